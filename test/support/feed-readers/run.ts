/** Readers of the feed with every parameter, on every medium, beside a server that dies again and again, and beside gateways. */

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { localSocketPath } from '../../../src/shared/ipc/socket-path.js';
import { notifications } from '../../../src/shared/messages/topics.js';
import { announcementOf } from '../announced-records.js';
import { TOPICS } from '../deaths/oracle.js';
import { type Audience, type AudienceOptions, dieAtRandom, type RandomDeaths } from '../deaths/run.js';
import { recordsIn, serveBroker } from '../embedded-broker.js';
import { TRANSPORTS } from '../notifications.js';
import { temporaryDirectory } from '../temporary.js';
import { BesideGateways, type GatewaysOptions } from './gateways.js';
import { FeedReaders } from './readers.js';
import { TokenFile } from './tokens.js';

const READERS = 13;
const LIVES = 3;
/** Of every so many seeds, so many have tokens: with each transport. */
const OF_SEEDS = 5;
const WITH_TOKENS = 3;
/** What waits for a reader who is live: less than what is read for one who is not, and more. */
const CLIENT_BUFFERS = [64 * 1024, 384 * 1024];

/** Seeds from 1 on, `count` or as many as `FEED_SEEDS` says; the one that `SEED` names where it names one. */
export function seedsToRead(count: number): readonly number[] {
  const { SEED, FEED_SEEDS = String(count) } = process.env;
  if (SEED !== undefined) return [Number(SEED)];
  return Array.from({ length: Number(FEED_SEEDS) }, (_, index) => index + 1);
}

/** Where a server writes its topics, and gateways read them. */
export interface Topics {
  /** Announcements, of each life; not the notifications. */
  readonly deaths: Pick<RandomDeaths, 'settings' | 'records' | 'looksOften' | 'broker'>;
  /** The notifications, one partition, as the server names them and as gateways do. */
  readonly notifications: {
    readonly written: string;
    readonly read: Pick<GatewaysOptions, 'topicUrl' | 'socketPath'>;
  };
  /** Values of all records of the notifications. */
  values(): Promise<readonly Uint8Array[]>;
}

/** Topics in the broker that is embedded, in `directory`, a DATADIR. */
export async function embeddedTopics(context: TestContext, directory: string): Promise<Topics> {
  const { broker, socketPath } = await serveBroker(context, {}, localSocketPath(directory, 'broker.sock'));
  const { name: topic } = notifications;
  return {
    deaths: {
      settings: {},
      records: async (kind) =>
        (await recordsIn(broker, TOPICS[kind])).map(({ key, value }) =>
          announcementOf(key, value ?? Buffer.alloc(0)),
        ),
      looksOften: true,
    },
    notifications: {
      written: `memory://embedded/${topic}?partitions=1`,
      // Read by the broker's socket: nobody is at that address.
      read: { topicUrl: `kafka://127.0.0.1:1/${topic}`, socketPath },
    },
    values: async () => (await recordsIn(broker, topic)).map(({ value }) => value ?? Buffer.alloc(0)),
  };
}

/** One seed: three lives, with `gateways` two of them beside the server. A failure tells the seed, and `SEED=…` makes the same again. */
export async function readThroughDeaths(
  context: TestContext,
  seed: number,
  {
    gateways = false,
    topics: topicsOf = embeddedTopics,
  }: { readonly gateways?: boolean; readonly topics?: typeof embeddedTopics } = {},
): Promise<void> {
  const directory = temporaryDirectory(context);
  const topics = await topicsOf(context, directory);
  const transport = TRANSPORTS[seed % TRANSPORTS.length] ?? 'ws';
  const tokensPath = join(temporaryDirectory(context), 'tokens');
  const file = seed % OF_SEEDS < WITH_TOKENS ? new TokenFile(tokensPath) : undefined;
  const { written, read } = topics.notifications;
  const audience = (those: Pick<TestContext, 'after'>, options: AudienceOptions): Audience => {
    const node = new FeedReaders(those, options, { count: READERS, file });
    if (!gateways) return node;
    const records = () => topics.values();
    return new BesideGateways(those, options, { ...read, node, transport, readers: READERS, records });
  };
  await dieAtRandom(context, {
    ...topics.deaths,
    seed,
    lives: LIVES,
    settings: {
      ...topics.deaths.settings,
      DATADIR: directory,
      p2p_websocket_transport: transport,
      p2p_notification_servers: 2,
      ...(file && { p2p_feed_tokens_file: tokensPath }),
      p2p_websocket_client_buffer: CLIENT_BUFFERS[(seed >> 1) % CLIENT_BUFFERS.length],
      // Several segments, of 3 MiB, all of which are kept.
      p2p_feed_retention_bytes: 24 * 1_048_576,
      ...(gateways ? { kafka_notificationsConfig: written } : {}),
    },
    padding: 1_900,
    flood: 200,
    audience,
  });
}
