/**
 * The whole of a checker's work on one message, in its thread or in main: signature first, and what it is of only if that holds. Remembers
 * nothing of messages.
 */

import type { CheckContext } from '../messages/context.js';
import { byId } from '../messages/ids.js';
import { NOT_PLAIN } from '../messages/json-tokens.js';
import type { MessageKind } from '../messages/kind.js';
import { outcomeIndex } from '../messages/outcomes.js';
import type { Settings } from '../settings/table.js';
import { checkMessage, refusedMessage } from './check.js';
import { checkContextOf } from './check-context.js';
import { signatureHolds } from './signature-check.js';
import type { CheckedMessage, RawMessage } from './types.js';

const FORGED = outcomeIndex('forged');

/** Bytes of data at the most of a message that main checks itself. */
const AT_HOME_BYTES = 2048;

export class Judge {
  /** By their ids. */
  readonly #kinds: readonly (MessageKind | undefined)[];
  #context: CheckContext;
  #atHome: CheckContext;

  constructor(settings: Settings, kinds: readonly MessageKind[]) {
    this.#kinds = byId(kinds);
    this.#context = checkContextOf(settings);
    this.#atHome = { ...this.#context, plainOnly: true };
  }

  /** Compact target of our tip, for the header checks to come; 0 while unknown. */
  set tipBits(tipBits: number) {
    if (tipBits === this.#context.tipBits) return;
    this.#context = { ...this.#context, tipBits };
    this.#atHome = { ...this.#context, plainOnly: true };
  }

  /** A message after all that is asked of it; `forged` where its signature does not hold. Throws RangeError on an unknown kind. */
  judge(message: RawMessage): CheckedMessage {
    const kind = this.#kinds[message.kind];
    if (kind === undefined) throw new RangeError(`no message kind ${message.kind}`);
    return judged(kind, message, this.#context);
  }

  /**
   * The same, but undefined for what may take long: a message that is larger than 2 KiB, of a kind that does not say that it may be
   * checked at home, or with texts that are not plain. Costs a fraction of a millisecond, whoever made the message.
   */
  judgeAtHome(message: RawMessage): CheckedMessage | undefined {
    const kind = this.#kinds[message.kind];
    if (kind?.atHome !== true || message.data.length > AT_HOME_BYTES) return undefined;
    try {
      return judged(kind, message, this.#atHome);
    } catch (error) {
      if (error === NOT_PLAIN) return undefined;
      throw error;
    }
  }
}

function judged(kind: MessageKind, message: RawMessage, context: CheckContext): CheckedMessage {
  const { signed } = message;
  if (signed !== undefined && !signatureHolds(signed)) return refusedMessage(FORGED, message);
  return checkMessage(kind, message, context);
}
