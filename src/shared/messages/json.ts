/** JSON as Go writes it: 64-bit integers unrounded. */

/** Compact JSON of text, numbers, bigints, booleans, and objects and arrays of them. `undefined` members are left out. */
export function stringify(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(stringify).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${stringify(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
