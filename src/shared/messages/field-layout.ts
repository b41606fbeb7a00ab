/** Tables of fields made ready for reading JSON by them. */

import { type WireField, zeroMessage } from './wire-fields.js';

interface Slot {
  readonly field: WireField;
  /** Upper case. */
  readonly key: Uint8Array;
}

/** A table of fields made ready for reading. */
export interface Layout {
  /** Of each field Go's zero value. */
  readonly zero: Readonly<Record<string, unknown>>;
  /** Fields whose zero value is an object, which no two messages may share. */
  readonly objects: readonly WireField[];
  /** By the key's length. */
  readonly byLength: readonly (readonly Slot[])[];
  readonly byFolded: ReadonlyMap<string, WireField>;
}

const LAYOUTS = new WeakMap<readonly WireField[], Layout>();

/** `key` with every character that Go holds equal made the same. Of the rest only equality counts. */
export function folded(key: string): string {
  return key
    .replaceAll('ſ', 's')
    .replaceAll('\u212A', 'k')
    .replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

/** The layout of `table`, made once. Throws RangeError where a field's two keys differ by more than their case. */
export function layoutOf(table: readonly WireField[]): Layout {
  let layout = LAYOUTS.get(table);
  if (layout === undefined) {
    const byLength: Slot[][] = [];
    const byFolded = new Map<string, WireField>();
    for (const field of table) {
      const key = folded(field.direct);
      if (folded(field.bus) !== key)
        throw new RangeError(`${field.bus} is not ${field.direct} in another case`);
      byFolded.set(key, field);
      while (byLength.length <= key.length) byLength.push([]);
      byLength[key.length]?.push({ field, key: Buffer.from(key, 'latin1') });
    }
    const objects = table.filter(({ type }) => type === 'object');
    layout = { zero: zeroMessage(table), objects, byLength, byFolded };
    LAYOUTS.set(table, layout);
  }
  return layout;
}

/** A message of which nothing was told. */
export function emptyMessage({ zero, objects }: Layout): Record<string, unknown> {
  const message = { ...zero };
  for (const { name, members } of objects) message[name] = emptyMessage(layoutOf(members));
  return message;
}
