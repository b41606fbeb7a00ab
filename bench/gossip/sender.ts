/**
 * Load: a peer in a process of its own that sends what was signed before, on a GossipSub stream and without GossipSub, so
 * that it costs the machine as little as an encrypted libp2p stream can. It is slowed by the receiver's stream and by a
 * window of messages that the receiver has not yet processed, and says how much of its time that was.
 */

import '../../src/shared/process/polyfill.js';

import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Stream } from '@libp2p/interface';
import type { Libp2p } from 'libp2p';
import { joinTopic } from './join-topic.js';
import { Traffic, type TrafficOptions } from './traffic.js';

export type SenderOrder =
  | {
      readonly type: 'sign';
      readonly topic: string;
      readonly traffic: TrafficOptions;
      /** Bytes that the seeds of the authors' keys are made of; of this peer's own key, where it is a relay. */
      readonly authors: readonly number[];
      readonly self: number;
    }
  | { readonly type: 'connect'; readonly address: string }
  /** `rate`: messages a second, spread evenly; as fast as it goes without. `from`: the first message; what was sent before is not sent again. */
  | { readonly type: 'send'; readonly window: number; readonly rate?: number; readonly from?: number }
  | { readonly type: 'processed'; readonly count: number }
  | { readonly type: 'stop' }
  /** Send on up to this many, and report. */
  | { readonly type: 'finish'; readonly upTo: number }
  | { readonly type: 'disconnect' };

export type SenderReport =
  | { readonly type: 'signed' | 'connected' | 'disconnected' }
  | { readonly type: 'stopped'; readonly sent: number }
  | {
      readonly type: 'sent';
      /** Messages up to here are sent, those before `from` included. */
      readonly sent: number;
      readonly seconds: number;
      /** Part of the time in which it waited for the receiver. */
      readonly waited: number;
      /** With a rate: for each message since `from` when it was handed to the stream, ms of the monotonic clock. */
      readonly times: readonly number[];
    };

const TURN = 32;
const report = (message: SenderReport) => process.send?.(message);
const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

let traffic: Traffic | undefined;
let topic = '';
let seed = 0;
let libp2p: Libp2p | undefined;
let stream: Stream | undefined;

let limit = 0;
let first = 0;
let sent = 0;
let processed = 0;
let window = 0;
let rate: number | undefined;
let times: number[] = [];
let began = 0;
let waitedMs = 0;
let pumping: Promise<void> = Promise.resolve();
let wake: () => void = () => {};

const key = (byte: number) => generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(byte));

async function connect(address: string): Promise<void> {
  ({ libp2p, stream } = await joinTopic({ key: await key(seed), address, topic }));
}

async function waiting(until: Promise<unknown>): Promise<void> {
  const from = performance.now();
  await until;
  waitedMs += performance.now() - from;
}

async function pump(): Promise<void> {
  if (traffic === undefined || stream === undefined) throw new Error('nothing to send, or nowhere');
  while (sent < limit) {
    let end = Math.min(limit, sent + TURN, processed + window);
    if (rate !== undefined) {
      end = Math.min(end, first + Math.floor(((monotonicMs() - began) * rate) / 1000));
      if (sent >= end) {
        await delay(1);
        continue;
      }
    }
    if (sent >= end) {
      await waiting(
        new Promise<void>((resolve) => {
          wake = resolve;
        }),
      );
      continue;
    }
    let writable = true;
    while (writable && sent < end) {
      if (rate !== undefined) times.push(monotonicMs());
      writable = stream.send(traffic.frame(sent++));
    }
    if (!writable) await waiting(stream.onDrain());
    else await nextTurn();
  }
}

async function follow(order: SenderOrder): Promise<void> {
  switch (order.type) {
    case 'sign':
      ({ topic, self: seed } = order);
      traffic = new Traffic(await Promise.all(order.authors.map(key)), topic, order.traffic);
      report({ type: 'signed' });
      break;
    case 'connect':
      await connect(order.address);
      report({ type: 'connected' });
      break;
    case 'send':
      ({ window, rate, from: first = 0 } = order);
      [sent, processed, waitedMs, times] = [first, 0, 0, []];
      limit = traffic?.messages ?? 0;
      began = monotonicMs();
      pumping = pump();
      await pumping;
      break;
    case 'processed':
      processed = order.count;
      wake();
      break;
    case 'stop':
      limit = sent;
      wake();
      report({ type: 'stopped', sent });
      break;
    case 'finish': {
      const seconds = (monotonicMs() - began) / 1000;
      const waited = waitedMs / 1000 / seconds;
      await pumping;
      limit = order.upTo;
      rate = undefined;
      pumping = pump();
      await pumping;
      report({ type: 'sent', sent, seconds, waited, times });
      break;
    }
    case 'disconnect':
      await libp2p?.stop();
      report({ type: 'disconnected' });
      break;
  }
}

process.on('message', (order: SenderOrder) => {
  follow(order).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
