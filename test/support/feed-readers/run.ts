/** Readers of the feed with every parameter, on every medium, beside a server that dies again and again, and beside gateways. */

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { localSocketPath } from '../../../src/shared/ipc/socket-path.js';
import { notifications } from '../../../src/shared/messages/topics.js';
import { announcementOf } from '../announced-records.js';
import { TOPICS } from '../deaths/oracle.js';
import { type Audience, type AudienceOptions, dieAtRandom } from '../deaths/run.js';
import { recordsIn, serveBroker } from '../embedded-broker.js';
import { TRANSPORTS } from '../notifications.js';
import { temporaryDirectory } from '../temporary.js';
import { BesideGateways } from './gateways.js';
import { FeedReaders } from './readers.js';
import { TokenFile } from './tokens.js';

const READERS = 13;
const LIVES = 3;
/** Every so many seeds have gateways too. */
const WITH_GATEWAYS = 3;
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

/** One seed: three lives, and with `gateways` every third time two of them. A failure tells the seed, and `SEED=…` makes the same again. */
export async function readThroughDeaths(
  context: TestContext,
  seed: number,
  { gateways = false }: { readonly gateways?: boolean } = {},
): Promise<void> {
  const directory = temporaryDirectory(context);
  const { broker, socketPath } = await serveBroker(context, {}, localSocketPath(directory, 'broker.sock'));
  const transport = TRANSPORTS[seed % TRANSPORTS.length] ?? 'ws';
  const valuesIn = async (topic: string) =>
    (await recordsIn(broker, topic)).map(({ value }) => value ?? Buffer.alloc(0));
  const hasGateways = gateways && seed % WITH_GATEWAYS === 0;
  const tokensPath = join(temporaryDirectory(context), 'tokens');
  const file = seed % OF_SEEDS < WITH_TOKENS ? new TokenFile(tokensPath) : undefined;
  const { name: topic } = notifications;
  const audience = (those: Pick<TestContext, 'after'>, options: AudienceOptions): Audience => {
    const node = new FeedReaders(those, options, { count: READERS, file });
    if (!hasGateways) return node;
    const records = () => valuesIn(topic);
    return new BesideGateways(those, options, {
      node,
      socketPath,
      topic,
      transport,
      readers: READERS,
      records,
    });
  };
  await dieAtRandom(context, {
    seed,
    lives: LIVES,
    settings: {
      DATADIR: directory,
      p2p_websocket_transport: transport,
      p2p_notification_servers: 2,
      ...(file && { p2p_feed_tokens_file: tokensPath }),
      p2p_websocket_client_buffer: CLIENT_BUFFERS[(seed >> 1) % CLIENT_BUFFERS.length],
      // Several segments, of 3 MiB, all of which are kept.
      p2p_feed_retention_bytes: 24 * 1_048_576,
      ...(hasGateways ? { kafka_notificationsConfig: `memory://embedded/${topic}?partitions=1` } : {}),
    },
    padding: 1_900,
    flood: 200,
    records: async (kind) =>
      (await recordsIn(broker, TOPICS[kind])).map(({ key, value }) =>
        announcementOf(key, value ?? Buffer.alloc(0)),
      ),
    looksOften: true,
    audience,
  });
}
