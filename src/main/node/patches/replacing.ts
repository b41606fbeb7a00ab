/** Gives a library's component other components than libp2p would: those are no plain objects, and cannot be spread. */

/** `original` with some of it replaced; not a copy: what is not replaced keeps its own `this`. */
export function replacing<T extends object>(original: T, replaced: Partial<T>): T {
  return new Proxy(original, {
    get(target, key) {
      if (key in replaced) return replaced[key as keyof T];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
