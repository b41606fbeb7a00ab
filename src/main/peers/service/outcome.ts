/** What came of a call to the blockchain service's registry. */

import { status as Status } from '@grpc/grpc-js';
import { AbortedError, UnavailableError } from '../../../shared/errors.js';
import { isLate, RpcError } from '../../../shared/grpc/call.js';
import { KeyRefusedError } from '../../../shared/grpc/call-key.js';

/** `absent`: it has no such method; `refused`: for want of the right key; `full`: RESOURCE_EXHAUSTED; `failed`: any other status. */
export const CALL_OUTCOMES = ['ok', 'absent', 'away', 'late', 'refused', 'full', 'failed'] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

/** Of a call that rejected. */
export function outcomeOf(error: unknown): Exclude<CallOutcome, 'ok'> {
  if (isLate(error)) return 'late';
  if (error instanceof UnavailableError || error instanceof AbortedError) return 'away';
  if (error instanceof KeyRefusedError) return 'refused';
  if (!(error instanceof RpcError)) return 'failed';
  if (error.code === Status.UNIMPLEMENTED) return 'absent';
  return error.code === Status.RESOURCE_EXHAUSTED ? 'full' : 'failed';
}
