/** The whole of a checker's work on one message, wherever it is done: signature first, and what it is of only if that holds. */

import sodium from 'sodium-native';
import { checkMessage, refusedMessage } from '../messages/check.js';
import type { CheckContext, MessageKind } from '../messages/kind.js';
import { outcomeIndex } from './outcomes.js';
import type { BatchMessage } from './raw-batch.js';
import type { CheckedMessage, Signed } from './types.js';

const FORGED = outcomeIndex('forged');

/** Whether an Ed25519 signature holds. Throws on other lengths of key and signature than 32 and 64. */
export function holds({ key, signature, bytes }: Signed): boolean {
  return sodium.crypto_sign_verify_detached(signature, bytes, key);
}

/** A message of `kind` after all that is asked of it; `forged` where its signature does not hold. */
export function judge(kind: MessageKind, raw: BatchMessage, context: CheckContext): CheckedMessage {
  if (raw.signed !== undefined && !holds(raw.signed)) return refusedMessage(FORGED, raw);
  return checkMessage(kind, raw, context);
}
