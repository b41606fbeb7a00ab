/**
 * How many files and sockets this process may have open, and has. At the limit nothing can be accepted, dialled or read any more, and a
 * listening socket whose connections cannot be accepted keeps its loop busy for nothing: accepting is bounded below it. Linux tells; where
 * the system does not, nothing is bounded.
 */

import { readdirSync, readFileSync } from 'node:fs';

/** Of main, for what it opens besides those who connect: files of stores, dials, Kafka, other services, processes. */
const OWN_OF_MAIN = 96;
/** Of a notification server, the same: certificates, the frame stream, and connections that have yet to say what they want. */
const RESERVED = { least: 32, most: 256, share: 8 } as const;

/** The soft limit, which Node raises to the hard one when it starts; infinite where there is none, or the system does not tell. */
export const DESCRIPTOR_LIMIT: number = readLimit();

function readLimit(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Open now; all that there may be where none is left to look with, and 0 where the system does not tell. */
export function openDescriptors(): number {
  try {
    // The one it looks through is counted too.
    return readdirSync('/proc/self/fd').length - 1;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EMFILE' ? DESCRIPTOR_LIMIT : 0;
  }
}

/** Connections that main takes at the most: half of what it does not need itself are peers, an eighth each the other ports. */
export function mainShares(limit = DESCRIPTOR_LIMIT): { readonly peers: number; readonly port: number } {
  const left = Math.max(0, limit - OWN_OF_MAIN);
  return { peers: Math.max(8, Math.floor(left / 2)), port: Math.max(4, Math.floor(left / 8)) };
}

export interface ClientShare {
  /** WebSockets at the most. */
  readonly clients: number;
  /** Connections at the most, those included that have yet to say what they want. */
  readonly connections: number;
}

/** What a notification server that has `open` when it begins can serve. */
export function clientShare(open: number, limit = DESCRIPTOR_LIMIT): ClientShare {
  const { least, most, share } = RESERVED;
  const reserved = Math.min(Math.max(Math.floor(limit / share), least), most);
  return {
    clients: Math.max(1, limit - open - reserved),
    connections: Math.max(1, limit - open - Math.floor(reserved / 2)),
  };
}
