/** Which part of a representation is asked for (RFC 9110, section 14). */

/** Bytes `from` to before `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * The part that a `Range` header asks for of `size` bytes. Undefined: all of it, as where the header is none that is known, or asks for several parts, which a
 * server may leave at that. `unsatisfiable`: nothing of it is there.
 */
export function rangeOf(header: string, size: number): Range | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header) ?? [];
  if (first === '') {
    if (last === '') return undefined;
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { from: size - length, to: size };
  }
  const from = Number(first);
  const to = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < from) return undefined;
  return from >= size ? 'unsatisfiable' : { from, to };
}
