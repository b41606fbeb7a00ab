/** Keys by the time at which they expire, soonest first: a binary heap in two arrays. */

export class ExpiryQueue {
  #keys: string[] = [];
  #times: number[] = [];

  get size(): number {
    return this.#keys.length;
  }

  /** Time of the soonest; Infinity when empty. */
  get soonest(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  /** The same key may be in the queue more than once: who pops decides whether it still means anything. */
  push(key: string, time: number): void {
    let index = this.#keys.length;
    this.#keys.push(key);
    this.#times.push(time);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#times[parent] as number;
      if (above <= time) break;
      this.#put(index, this.#keys[parent] as string, above);
      index = parent;
    }
    this.#put(index, key, time);
  }

  pop(): { readonly key: string; readonly time: number } | undefined {
    const [first, soonest] = [this.#keys[0], this.#times[0]];
    const key = this.#keys.pop();
    const time = this.#times.pop();
    if (first === undefined || soonest === undefined || key === undefined || time === undefined)
      return undefined;
    const size = this.#keys.length;
    if (size > 0) this.#sink(key, time, size);
    return { key: first, time: soonest };
  }

  clear(): void {
    this.#keys = [];
    this.#times = [];
  }

  #sink(key: string, time: number, size: number): void {
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= size) break;
      if (child + 1 < size && (this.#times[child + 1] as number) < (this.#times[child] as number)) child++;
      const below = this.#times[child] as number;
      if (below >= time) break;
      this.#put(index, this.#keys[child] as string, below);
      index = child;
    }
    this.#put(index, key, time);
  }

  #put(index: number, key: string, time: number): void {
    this.#keys[index] = key;
    this.#times[index] = time;
  }
}
