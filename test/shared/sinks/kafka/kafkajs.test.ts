import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { createConsumer, createProducer } from '../../../../src/shared/sinks/kafka/index.js';
import { faultFrom } from '../../../../src/shared/sinks/kafka/kafkajs/faults.js';
import {
  BrokerFaultError,
  RecordFaultError,
  TopicFaultError,
} from '../../../../src/shared/sinks/kafka/types.js';
import { makeCertificate } from '../../../support/certificates.js';
import { keptLog } from '../../../support/logger.js';
import { freePorts } from '../../../support/ports.js';
import { settingsOf } from '../../../support/settings.js';
import { temporaryDirectory } from '../../../support/temporary.js';
import { waitFor, within } from '../../../support/wait.js';

const protocolError = (type: string): Error =>
  Object.assign(new kafkajs.KafkaJSProtocolError(new Error(type)), { type });

for (const [type, fault] of [
  ['MESSAGE_TOO_LARGE', RecordFaultError],
  ['INVALID_RECORD', RecordFaultError],
  ['UNKNOWN_TOPIC_OR_PARTITION', TopicFaultError],
  ['TOPIC_AUTHORIZATION_FAILED', TopicFaultError],
  ['SASL_AUTHENTICATION_FAILED', TopicFaultError],
  ['INVALID_TIMESTAMP', TopicFaultError],
  ['NOT_ENOUGH_REPLICAS', BrokerFaultError],
  ['REQUEST_TIMED_OUT', BrokerFaultError],
  ['OUT_OF_ORDER_SEQUENCE_NUMBER', BrokerFaultError],
] as const) {
  test(`${type} is a ${fault.name}, however deep in the error`, () => {
    const cause = protocolError(type);
    assert.ok(faultFrom(cause, 'x') instanceof fault);
    const wrapped = Object.assign(new kafkajs.KafkaJSNonRetriableError(new Error('outer') as never), {
      cause,
    });
    assert.ok(faultFrom(wrapped, 'x') instanceof fault);
    const { message } = faultFrom(wrapped, 'cannot produce');
    assert.match(message, /^cannot produce: (?:KAFKA_SASL_\w+, KAFKA_SASL_\w+: )?/);
    assert.ok(message.endsWith(`(${type})`), message);
  });
}

test('a broker that is named by its IPv6 address is reached', async (context) => {
  // An IPv4 address in IPv6's clothes: it is there also where a machine has no other.
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  context.after(() => server.close());
  const { port } = server.address() as { port: number };
  const reached = once(server, 'connection');
  const producer = createProducer(
    settingsOf({ kafka_blocksConfig: `kafka://[::ffff:127.0.0.1]:${port}/blocks` }),
    'kafka_blocksConfig',
    { logger: keptLog().logger, brokerSocketPath: undefined },
  );
  const giveUp = new AbortController();
  const connecting = assert.rejects(producer.connect(giveUp.signal));
  const [socket] = (await within(reached, 5000, 'a connection')) as [Socket];
  // ApiVersions is what every connection begins with.
  const [request] = (await once(socket, 'data')) as [Buffer];
  assert.equal(request.readInt16BE(4), 18);
  giveUp.abort();
  await connecting;
  await producer.disconnect();
  server.close();
  socket.destroy();
});

test('a broker that is not there is a fault within a few seconds, told in our log and nowhere else', async (context) => {
  const [port] = await freePorts(1);
  const log = keptLog();
  const warnings: string[] = [];
  const warned = (warning: Error): number => warnings.push(warning.name);
  process.on('warning', warned);
  context.after(() => process.off('warning', warned));
  const settings = settingsOf({
    kafka_blocksConfig: `kafka://127.0.0.1:${port}/blocks`,
    kafka_rejectedTxConfig: `kafka://127.0.0.1:${port}/rejectedtx`,
  });
  const options = { logger: log.logger, brokerSocketPath: undefined };
  const producer = createProducer(settings, 'kafka_blocksConfig', options);
  await within(assert.rejects(producer.connect(), BrokerFaultError), 8000, 'failing to connect');
  const health = await within(producer.health(AbortSignal.timeout(500)), 8000, 'a health check');
  assert.equal(health.status, 503);
  await producer.disconnect();
  const consumer = createConsumer(settings, 'kafka_rejectedTxConfig', { ...options, group: 'p2p' });
  await within(
    consumer.start(async () => {}),
    8000,
    'a start in vain',
  );
  await within(consumer.stop(), 8000, 'stopping');
  assert.ok(log.lines.some(({ kafkajs }) => kafkajs !== undefined));
  assert.deepEqual(
    warnings.filter((name) => name === 'TimeoutNegativeWarning'),
    [],
  );
});

test('TLS settings that do not fit are errors that name them', async (context) => {
  const directory = temporaryDirectory(context);
  const { certificateFile, keyFile } = await makeCertificate(directory, 'client');
  const create = (changes: object) => () =>
    createProducer(
      settingsOf({ kafka_blocksConfig: 'kafka://localhost:9092/blocks', KAFKA_ENABLE_TLS: true, ...changes }),
      'kafka_blocksConfig',
      { logger: keptLog().logger, brokerSocketPath: undefined },
    );
  assert.throws(
    create({ KAFKA_TLS_CERT_FILE: certificateFile }),
    /^ConfigurationError: KAFKA_TLS_KEY_FILE: .*together/,
  );
  assert.throws(
    create({ KAFKA_TLS_KEY_FILE: keyFile }),
    /^ConfigurationError: KAFKA_TLS_CERT_FILE: .*together/,
  );
  assert.throws(create({ KAFKA_TLS_CA_FILE: join(directory, 'none') }), /KAFKA_TLS_CA_FILE: cannot be read/);
  assert.equal(create({ KAFKA_TLS_SKIP_VERIFY: true })().topic, 'blocks');
});

test('where no broker answers, one address and one cause are told, in the error, in health and in the log', async (context) => {
  const [port = 0, other = 0] = await freePorts(2);
  const closing = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
  context.after(() => closing.close());
  const { port: closed } = closing.address() as AddressInfo;
  const cases: readonly (readonly [string, RegExp])[] = [
    [`127.0.0.1:${port}`, new RegExp(`^127\\.0\\.0\\.1:${port}: connect ECONNREFUSED$`)],
    [`localhost:${port}`, new RegExp(`^localhost:${port}: connect ECONNREFUSED$`)],
    [`[::1]:${port}`, new RegExp(`^\\[::1\\]:${port}: connect ECONNREFUSED$`)],
    [`127.0.0.1:${port},127.0.0.1:${other}`, /^127\.0\.0\.1:\d+: connect ECONNREFUSED$/],
    [
      'nobody.invalid:9',
      /^kafka_blocksConfig: the host nobody\.invalid is unknown \((?:ENOTFOUND|EAI_AGAIN)\)$/,
    ],
    [`127.0.0.1:${closed}`, new RegExp(`^127\\.0\\.0\\.1:${closed} closed the connection$`)],
  ];
  for (const [brokers, expected] of cases) {
    const { logger, lines } = keptLog();
    const settings = settingsOf({
      kafka_blocksConfig: `kafka://${brokers}/blocks`,
      kafka_rejectedTxConfig: `kafka://${brokers}/rejected`,
    });
    const options = { logger, brokerSocketPath: undefined };
    const producer = createProducer(settings, 'kafka_blocksConfig', options);
    const error = (await producer.connect().catch((failure: unknown) => failure)) as Error;
    const health = await producer.health(AbortSignal.timeout(10_000));
    await producer.disconnect();
    const consumer = createConsumer(settings, 'kafka_rejectedTxConfig', { ...options, group: 'p2p' });
    await consumer.start(async () => {});
    const loud = () => lines.filter(({ level }) => Number(level) > 30);
    await waitFor(() => loud().length > 0, { what: 'a line of the log' });
    await consumer.stop();
    context.diagnostic(error.message);
    const cause = (text: unknown) =>
      String(text).replace(/^topic \w+ (?:does not answer|can be neither found nor made): /, '');
    assert.match(cause(error.message), expected);
    assert.match(cause(health.error), expected);
    for (const { reason } of loud()) {
      const asRead = cause(String(reason).replace('cannot consume rejected: ', ''));
      assert.match(asRead.replace('kafka_rejectedTxConfig', 'kafka_blocksConfig'), expected);
    }
    assert.doesNotMatch(JSON.stringify(loud()), /Connection error/);
  }
});
