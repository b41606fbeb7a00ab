/** The checker's work on one message: pure, and the same for what gossip and the direct stream bring. */

import { hash as digest } from 'node:crypto';
import { block } from '../messages/block.js';
import type { CheckContext } from '../messages/context.js';
import type { PeerFact } from '../messages/fact.js';
import { frameJson } from '../messages/frame.js';
import { unwrap } from '../messages/framing.js';
import { NOT_PLAIN } from '../messages/json-tokens.js';
import { forwardBoundOf, type MessageKind } from '../messages/kind.js';
import { outcomeIndex } from '../messages/outcomes.js';
import { Refusal } from '../messages/refusal.js';
import { zeroMessage } from '../messages/wire-fields.js';
import type { CheckedMessage, RawMessage } from './types.js';

const OK = outcomeIndex('ok');
const UNFORWARDED = outcomeIndex('unforwarded');
const POISONOUS = outcomeIndex('poisonous');
const NOTHING = new Uint8Array(0);
/** Bytes of a digest that are kept: collisions are out of reach, and an attacker could only silence itself. */
const DIGEST_BYTES = 16;

/** 16 bytes as latin1 text. */
function shortDigest(text: string): string {
  return digest('sha256', text, 'buffer').toString('latin1', 0, DIGEST_BYTES);
}

/** Kind and hash in 16 characters of latin1: of the hash its last digits, for a block's first are mostly zeros. */
function hashKeyOf(kind: number, hash: string): string {
  return (
    String.fromCharCode(kind) + Buffer.from(hash.slice(-2 * (DIGEST_BYTES - 1)), 'hex').toString('latin1')
  );
}

function claimsOriginator(kind: MessageKind): boolean {
  return kind.wire.some((field) => field.name === 'peerId');
}

/** A message that goes no further than its outcome. */
export function refusedMessage(
  outcome: number,
  raw: Pick<RawMessage, 'kind' | 'author' | 'standing' | 'receivedAt'>,
): CheckedMessage {
  const { kind, author, standing, receivedAt } = raw;
  return {
    outcome,
    kind,
    own: false,
    author,
    standing,
    proven: false,
    receivedAt,
    repeatKey: '',
    hashKey: '',
    frame: NOTHING,
    record: undefined,
    fact: '',
  };
}

function outcomeOf(error: unknown): number {
  // What no check foresaw is our fault, not the author's, and must not end the checker.
  return error instanceof Refusal ? outcomeIndex(error.outcome) : POISONOUS;
}

/**
 * Everything that WIRE §2 asks of `raw`, a message of `kind` whose signature holds, in one answer. Throws nothing but NOT_PLAIN, and that
 * only where the context has `plainOnly`.
 */
export function checkMessage(kind: MessageKind, raw: RawMessage, context: CheckContext): CheckedMessage {
  try {
    return taken(kind, raw, context);
  } catch (error) {
    if (error === NOT_PLAIN) throw error;
    return refusedMessage(outcomeOf(error), raw);
  }
}

function taken(kind: MessageKind, raw: RawMessage, context: CheckContext): CheckedMessage {
  const { message: told, size } = unwrap(raw.data, kind, context.plainOnly);
  const message = kind.decode(told, context);
  const originator = kind.originator(message);
  if ((originator !== '' || claimsOriginator(kind)) && originator !== raw.author) {
    throw new Refusal('spoofed', 'PeerId is not the author');
  }
  const { hash, url } = kind.identity(message);
  const fact = kind.fact?.(message);
  return {
    outcome: size > forwardBoundOf(kind) ? UNFORWARDED : OK,
    kind: raw.kind,
    own: false,
    author: raw.author,
    standing: raw.standing,
    proven: kind.proven?.(message) ?? false,
    receivedAt: raw.receivedAt,
    repeatKey: kind.repeats ? shortDigest(`${kind.name}\n${raw.author}\n${hash}\n${url}`) : '',
    header: headerOf(kind, message),
    hashKey: kind.record === undefined || hash === '' ? '' : hashKeyOf(raw.kind, hash),
    frame: frameOf(kind, message, raw.receivedAt, context),
    record: kind.record?.(message, context),
    fact: fact === undefined ? '' : JSON.stringify(fact),
  };
}

function frameOf<M>(kind: MessageKind<M>, message: M, at: number, context: CheckContext): Uint8Array {
  const { name, frame } = kind;
  if (frame === undefined) return NOTHING;
  return Buffer.from(frameJson(name, frame.fields, message, at, context.generation));
}

function headerOf<M>(kind: MessageKind<M>, message: M): Uint8Array | undefined {
  const header = kind.header?.(message) ?? '';
  return header === '' ? undefined : Buffer.from(header, 'hex');
}

/** A message of this node, which never was bytes: shown to WebSocket clients, goes no further. Never throws. */
export function ownMessage<M extends object>(
  kind: MessageKind<M>,
  message: Partial<M>,
  { author, receivedAt }: Pick<RawMessage, 'author' | 'receivedAt'>,
  context: CheckContext,
): CheckedMessage {
  const raw = { kind: kind.id, author, standing: 'configured', receivedAt } as const;
  try {
    const own = { ...context, own: true };
    const shown = kind.decode({ ...zeroMessage(kind.wire), ...message } as M, own);
    const taken = { ...refusedMessage(OK, raw), own: true };
    return { ...taken, header: headerOf(kind, shown), frame: frameOf(kind, shown, receivedAt, own) };
  } catch (error) {
    return { ...refusedMessage(outcomeOf(error), raw), own: true };
  }
}

/** What became of a message on the direct stream. */
export interface CheckedDirect {
  /** Index in OUTCOMES. */
  readonly outcome: number;
  readonly fact: PeerFact | undefined;
}

/**
 * Checks a best-block answer: a block message whose `PeerId` may be empty, as Go leaves it, or the sender's. Never throws.
 */
export function checkDirect(source: string, data: Uint8Array, context: CheckContext): CheckedDirect {
  try {
    const message = block.decode(unwrap(data, block).message, context);
    if (message.peerId !== '' && message.peerId !== source) {
      throw new Refusal('spoofed', 'PeerId is not the sender');
    }
    return { outcome: OK, fact: block.fact?.({ ...message, peerId: source }) };
  } catch (error) {
    return { outcome: outcomeOf(error), fact: undefined };
  }
}
