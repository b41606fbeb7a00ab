/** `teranode-p2p records`: what is in the embedded broker, read from outside the server's process. */

import { type Command, InvalidArgumentError } from 'commander';
import { raceSignal } from 'race-signal';
import type { KafkaTopic } from '../../shared/messages/kafka-topic.js';
import { ANNOUNCED_TOPICS, KAFKA_TOPICS } from '../../shared/messages/topics.js';
import type { Settings } from '../../shared/settings/table.js';
import { EmbeddedBrokerClient } from '../../shared/sinks/kafka/embedded/client.js';
import type { TopicState } from '../../shared/sinks/kafka/embedded/port.js';
import type { ConsumedRecord } from '../../shared/sinks/kafka/types.js';
import { CommandError, countArgument, interrupted, runningServer, settingsFor } from './context.js';
import { printable, short, type Terminal } from './terminal.js';

interface RecordsOptions {
  readonly from: number | 'oldest' | 'newest';
  readonly follow: boolean;
  readonly json: boolean;
  readonly hex: boolean;
  readonly count?: number;
}

const READ_BYTES = 1024 * 1024;
const WAIT_MS = 2000;

/** Those that every server has. */
const TOPICS = KAFKA_TOPICS.filter(({ setting }) => setting.optional !== true).map(({ name }) => name);

function fromArgument(text: string): RecordsOptions['from'] {
  if (text === 'oldest' || text === 'newest') return text;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected oldest, newest or an offset.');
}

export function recordsCommand(program: Command, terminal: Terminal): void {
  program
    .command('records')
    .description('Read a topic of the embedded broker.')
    .argument('<topic>', `${TOPICS.join(', ')} or any other of its topics`)
    .option('--from <offset>', 'oldest, newest or an offset', fromArgument, 'oldest')
    .option('-f, --follow', 'go on with what comes', false)
    .option('-n, --count <n>', 'end after so many records', countArgument)
    .option('--json', 'one JSON object a line', false)
    .option('--hex', 'keys and values as they are, in hex', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p records blocks --follow\n  $ teranode-p2p records subtrees --json --hex --set DATADIR=data/devnet/node3',
    )
    .action(async (topic: string, options: RecordsOptions, command: Command) => {
      const { settings } = settingsFor(command, terminal);
      const { brokerSocket } = runningServer(settings);
      if (brokerSocket === undefined) {
        throw new CommandError(
          'that server has no embedded broker: its topics are on Kafka, whose own tools read them',
        );
      }
      const client = new EmbeddedBrokerClient({ socketPath: brokerSocket });
      const known = knownTopic(settings, topic);
      const decode = known && ((value: Uint8Array) => known.read(value, settings.kafka_record_format));
      try {
        let shown = 0;
        await readTopic(client, await findTopic(client, topic), options, (record) => {
          shown++;
          show(record, decode, options, terminal);
        });
        if (shown === 0 && options.count !== 0) terminal.note(noRecords(topic, known, options.from));
      } finally {
        await client.close();
      }
    });
}

async function findTopic(client: EmbeddedBrokerClient, name: string): Promise<TopicState> {
  const topics = await client.topics();
  const topic = topics.find((one) => one.topic === name);
  if (topic !== undefined) return topic;
  throw new CommandError(
    `no topic ${printable(name)}; there ${topics.length === 1 ? 'is' : 'are'} ${topics.map((one) => printable(one.topic)).join(', ') || 'none'}`,
  );
}

async function readTopic(
  client: EmbeddedBrokerClient,
  { topic, offsets }: TopicState,
  { from, follow, count = Number.POSITIVE_INFINITY }: RecordsOptions,
  onRecord: (record: ConsumedRecord) => void,
): Promise<void> {
  let left = count;
  const ending = new AbortController();
  const { signal } = ending;
  void interrupted().then(() => ending.abort());
  const readPartition = async (partition: number, oldest: number, next: number) => {
    let offset = from === 'oldest' ? oldest : from === 'newest' ? next : from;
    while (!signal.aborted && left > 0 && (follow || offset < next)) {
      const request = { topic, partition, offset, maxBytes: READ_BYTES, waitMs: follow ? WAIT_MS : 0 };
      const records = await client.read(request);
      if (signal.aborted || (records.length === 0 && !follow)) return;
      for (const record of records) {
        offset = Number(record.offset) + 1;
        if (left-- > 0) onRecord(record);
      }
    }
  };
  const read = offsets.map(({ oldest, next }, partition) => readPartition(partition, oldest, next));
  await raceSignal(Promise.all(read), signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

function noRecords(topic: string, known: KafkaTopic | undefined, from: RecordsOptions['from']): string {
  const where = from === 'oldest' ? '' : ` from ${from} on`;
  const own = ANNOUNCED_TOPICS.some((one) => one === known);
  return `no records in ${printable(topic)}${where}${own ? " (a node's own are not in it)" : ''}`;
}

/** What the settings call `topic`; undefined for one of somebody else. */
function knownTopic(settings: Settings, topic: string): KafkaTopic | undefined {
  return KAFKA_TOPICS.find(({ setting: { key } }) => settings[key]?.topic === topic);
}

type Decoder = (value: Uint8Array) => unknown;

function show(
  record: ConsumedRecord,
  decode: Decoder | undefined,
  { json, hex }: RecordsOptions,
  terminal: Terminal,
): void {
  const encoding = hex ? 'hex' : 'utf8';
  const key = record.key === undefined ? null : Buffer.from(record.key).toString(encoding);
  const value = hex ? Buffer.from(record.value).toString('hex') : decoded(record.value, decode);
  const { topic, partition, offset, timestamp } = record;
  if (json) {
    terminal.json({ topic, partition, offset, timestamp, key, value });
    return;
  }
  const text = typeof value === 'string' ? printable(value) : printable(JSON.stringify(value));
  terminal.line(
    [
      terminal.style('dim', new Date(timestamp).toISOString()),
      `${partition}/${offset}`.padEnd(8),
      short(key ?? '–').padEnd(15),
      text,
    ].join(' '),
  );
}

/** What does not decode is shown in hex. */
function decoded(value: Uint8Array, decode: Decoder | undefined): unknown {
  try {
    if (decode !== undefined) return decode(value);
  } catch {
    // Somebody else's record.
  }
  return Buffer.from(value).toString('hex');
}
