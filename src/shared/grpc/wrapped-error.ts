/**
 * What Teranode's services put behind a gRPC status: nearly every fault leaves them as INTERNAL, with the real one, and
 * those that it wraps, in the status details (`google.rpc.Status` of `errors.TError`).
 */

import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { ServiceError } from '@grpc/grpc-js';

/** Codes of Teranode's error.proto that mean "no such thing": anything, block, subtree, transaction. */
const NOT_FOUND_CODES: ReadonlySet<number> = new Set([3, 10, 20, 30]);

/** Details read of one status at the most: a chain of wrapped errors is short. */
const MAX_DETAILS = 32;

/** Whether one of the errors that the status carries says that there is no such thing. */
export function saysNotFound(error: unknown): boolean {
  const metadata = (error as Partial<ServiceError> | null)?.metadata;
  const status = metadata?.get('grpc-status-details-bin')[0];
  if (!(status instanceof Uint8Array)) return false;
  try {
    const details = bytesFields(status, 3).slice(0, MAX_DETAILS);
    return details.flatMap((any) => bytesFields(any, 2)).some(isNotFound);
  } catch {
    return false;
  }
}

/** A serialised TError: `code` 1, `message` 2. A database's "no rows" travels under a general code. */
function isNotFound(teranodeError: Uint8Array): boolean {
  if (NOT_FOUND_CODES.has(firstVarint(teranodeError, 1))) return true;
  return bytesFields(teranodeError, 2).some((text) => Buffer.from(text).includes('no rows in result set'));
}

/** The length-delimited fields numbered `field` of a message. */
function bytesFields(message: Uint8Array, field: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === field && wireType === 2) found.push(reader.bytes());
    else reader.skip(wireType);
  }
  return found;
}

/** The varint field numbered `field`; 0, as proto3 has it, where it is absent. */
function firstVarint(message: Uint8Array, field: number): number {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === field && wireType === 0) return reader.uint32();
    reader.skip(wireType);
  }
  return 0;
}
