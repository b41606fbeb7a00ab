/** Flat objects of text, numbers and bigints as JSON in the embedded store. */

const DIGITS = /^\d{1,20}$/;

/** JSON of `object`; bigints become text. */
export function encodeFlat<T extends object>(object: T): string {
  return JSON.stringify(object, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

/**
 * The object in `json`, with the fields of `template` and no other; what is not there is the template's. Throws RangeError
 * on a field of another type, on a number below 0, and on one that is not whole unless its field is among `fractions`;
 * SyntaxError on what is no JSON.
 */
export function decodeFlat<T extends object>(
  template: T,
  json: string,
  fractions: readonly (keyof T & string)[] = [],
): T {
  const stored: unknown = JSON.parse(json);
  if (typeof stored !== 'object' || stored === null) throw new RangeError('not an object');
  const read = stored as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(template).map(([key, initial]) => [
      key,
      Object.hasOwn(read, key)
        ? fieldOf(key, read[key], typeof initial, (fractions as readonly string[]).includes(key))
        : initial,
    ]),
  ) as T;
}

function fieldOf(key: string, value: unknown, type: string, fraction: boolean): string | number | bigint {
  if (type === 'bigint' && typeof value === 'string' && DIGITS.test(value)) return BigInt(value);
  if (type === 'number' && typeof value === 'number' && value >= 0) {
    if (fraction ? Number.isFinite(value) : Number.isSafeInteger(value)) return value;
  }
  if (type === 'string' && typeof value === 'string') return value;
  throw new RangeError(`${key} is not a ${type}`);
}
