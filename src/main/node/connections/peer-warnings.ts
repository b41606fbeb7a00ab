/**
 * Warnings about single peers. Strangers make as many peers as they like: past ten warnings at once and one in ten seconds, what is told
 * of strangers is told at debug level. Metrics count all.
 */

import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import type { Logger } from '../../../shared/logging/logger.js';

const OF_STRANGERS = { perSecond: 0.1, burst: 10, maxKeys: 1 };

export type WarnOfPeer = (
  fields: { readonly peer: string } & Record<string, unknown>,
  message: string,
) => void;

/** `isNamed`: whether a peer, base58, is one that the operator wrote down; of those every warning is a warning. */
export function peerWarnings(logger: Logger, isNamed: (peer: string) => boolean): WarnOfPeer {
  const rate = new KeyedRate(OF_STRANGERS);
  return (fields, message) => {
    logger[isNamed(fields.peer) || rate.take('') ? 'warn' : 'debug'](fields, message);
  };
}
