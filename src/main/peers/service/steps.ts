/** The calls that what waits about a peer comes to, in their order. */

import type { PeerRegistryInfo } from '../../../shared/generated/peer_registry.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { Asserted, Told } from './asserted.js';
import { metricsCall, type RegistryCall } from './calls.js';
import type { Update } from './pending.js';

/** A call of an update, and how to have it again. */
export interface Step {
  readonly call: RegistryCall;
  /** Without it nothing that follows makes sense. */
  readonly first?: true;
  /** May be done twice: it says how things are, not what happened. */
  readonly repeatable?: true;
  readonly done?: (response: unknown) => void;
  /** Puts it back into what waits. */
  readonly again: (update: Update) => void;
}

/** How things are with a peer now. */
export interface StepsContext {
  readonly told: Told;
  readonly connected: boolean;
  /** Its offences are not told: the service would ban it for all others. */
  readonly isSpared: () => boolean;
  readonly asserted: Asserted;
  /** Its row; with `offered`, reports not told yet, also what was recorded, which counts where the service has no row. */
  readonly infoOf: (offered: readonly RegistryCall[] | undefined) => PeerRegistryInfo;
  /** A report or an offence was taken. */
  readonly onTaken: (call: RegistryCall, response: unknown) => void;
}

export function stepsOf(
  peer: PeerIdText,
  { seed, messageReceived, sent, received, calls }: Update,
  { told, connected, isSpared, asserted, infoOf, onTaken }: StepsContext,
): Step[] {
  const of = { peer_id: peer };
  const steps: Step[] = [];
  const offences = calls.filter(({ method }) => method === 'addBanScore');
  // What else was reported and not told is part of what is offered.
  const offered = seed ? calls.filter(({ method }) => method !== 'addBanScore') : undefined;
  // First: the service knows nothing to do about a peer that it does not know.
  if (seed || asserted.differs(peer, told)) {
    steps.push({
      call: { method: 'registerPeer', request: { peer: infoOf(offered) } },
      first: true,
      repeatable: true,
      done: () => asserted.told(peer, told),
      again: (update) => {
        update.told = true;
        update.seed ||= seed;
        update.calls.push(...(offered ?? []));
      },
    });
  }
  if (asserted.saysOtherwise(peer, connected)) {
    steps.push({
      call: { method: 'updateConnectionState', request: { ...of, connected } },
      repeatable: true,
      done: () => asserted.connection(peer, connected),
      again: (update) => {
        update.connection = true;
      },
    });
  }
  if (messageReceived) {
    steps.push({
      call: { method: 'updateLastMessageTime', request: of },
      repeatable: true,
      again: (update) => {
        update.messageReceived = true;
      },
    });
  }
  if (sent + received > 0n) {
    steps.push({
      call: metricsCall(peer, { bytes_sent_delta: sent, bytes_received_delta: received }),
      again: (update) => {
        update.sent += sent;
        update.received += received;
      },
    });
  }
  if (told.storage === '' && asserted.storageOf(peer) !== '') {
    steps.push({
      call: { method: 'updateStorage', request: { ...of, storage: '' } },
      repeatable: true,
      done: () => asserted.told(peer, told),
      again: (update) => {
        update.told = true;
      },
    });
  }
  const spared = offences.length > 0 && isSpared();
  for (const call of seed ? offences : calls) {
    if (spared && call.method === 'addBanScore') continue;
    steps.push({
      call,
      done: (response) => onTaken(call, response),
      again: (update) => {
        update.calls.push(call);
      },
    });
  }
  return steps;
}
