/** The frame that is fanned out: 234 bytes of JSON, as a block's usually is, with the time of sending at a fixed place. */

export const FRAME_BYTES = 234;
/** On the wire: a text frame of 126 to 65,535 bytes from a server has a head of four. */
export const WIRE_BYTES = FRAME_BYTES + 4;

const HEAD = '{"type":"block","sent":"';
const DIGITS = 20;

/** JSON with the monotonic clock of this machine, which all its processes share. */
export function makeFrame(time: bigint = process.hrtime.bigint()): Buffer {
  const head = `${HEAD}${String(time).padStart(DIGITS, '0')}","hash":"`;
  return Buffer.from(`${head}${'a'.repeat(FRAME_BYTES - head.length - 2)}"}`);
}

/** The time of a frame whose wire form begins at `offset`. */
export function readTime(bytes: Buffer, offset: number): bigint {
  const start = offset + 4 + HEAD.length;
  return BigInt(bytes.toString('latin1', start, start + DIGITS));
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
