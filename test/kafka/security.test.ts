import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Senders } from '../../bench/gossip/arena.js';
import { hashAt } from '../../bench/gossip/traffic.js';
import { Secrets } from '../../src/shared/secrets/secrets.js';
import type { Settings } from '../../src/shared/settings/table.js';
import { createProducer } from '../../src/shared/sinks/kafka/index.js';
import { kafkaFiles } from '../../src/shared/sinks/kafka/security-settings.js';
import { BrokerFaultError, TopicFaultError } from '../../src/shared/sinks/kafka/types.js';
import { TlsWatch } from '../../src/shared/tls/watch.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { sumOf } from '../support/gossip.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { keptLog } from '../support/logger.js';
import { RotatingFiles } from '../support/rotating-files.js';
import { launchServer } from '../support/server-process.js';
import { type SettingChanges, settingsOf } from '../support/settings.js';
import { SharedByTests, temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const USER = 'alice';
const PASSWORD = 'open sesame 4711';
const WRONG = 'shut sesame 1147';
const ANNOUNCED = 100;

describe('TLS and SASL to the brokers', { concurrency: 1 }, () => {
  const context = new SharedByTests();
  after(() => context.clean());
  let cluster: KafkaCluster;
  let directory: string;
  const certificates = new Map<string, TestCertificate>();
  const file = (name: string, part: 'certificateFile' | 'keyFile' = 'certificateFile'): string =>
    certificates.get(name)?.[part] ?? '';

  before(async () => {
    directory = temporaryDirectory(context);
    const make = async (name: string, options = {}) => {
      const certificate = await makeCertificate(directory, name, options);
      certificates.set(name, certificate);
      return certificate;
    };
    const certificate = await make('broker');
    const client = await make('client');
    await make('stranger');
    const old = await make('expired-client', { expired: true });
    cluster = await startKafka(context, {
      security: {
        users: { [USER]: PASSWORD },
        listeners: {
          tls: { certificate },
          expired: { certificate: await make('expired', { expired: true }) },
          otherhost: { certificate: await make('otherhost', { host: 'broker.example' }) },
          mutual: { certificate, clientAuthority: client.certificate + old.certificate },
          sasl: { sasl: true },
          sasltls: { certificate, sasl: true },
        },
      },
    });
    writeFileSync(join(directory, 'password'), `${PASSWORD}\n`);
    writeFileSync(join(directory, 'wrong'), WRONG);
  });

  const tls = (ca = 'broker'): SettingChanges => ({
    KAFKA_ENABLE_TLS: true,
    KAFKA_TLS_CA_FILE: file(ca),
  });
  const mutual = (client: string): SettingChanges => ({
    ...tls(),
    KAFKA_TLS_CERT_FILE: file(client),
    KAFKA_TLS_KEY_FILE: file(client, 'keyFile'),
  });
  const sasl = (
    mechanism: Settings['KAFKA_SASL_MECHANISM'],
    password = PASSWORD,
    username = USER,
  ): SettingChanges => ({
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: username,
    KAFKA_SASL_PASSWORD: password,
  });

  function producerOn(listener: string, settings: SettingChanges, topic = cluster.topic()) {
    const brokers = listener === 'plain' ? cluster.brokers : cluster.listener(listener);
    const { logger, lines } = keptLog();
    const producer = createProducer(
      settingsOf({ ...settings, kafka_blocksConfig: cluster.url(topic, {}, brokers) }),
      'kafka_blocksConfig',
      { logger, brokerSocketPath: undefined },
    );
    return { producer, lines };
  }

  const CONNECTING: readonly [string, string, () => SettingChanges][] = [
    ['TLS', 'tls', () => tls()],
    [
      'TLS unverified, the certificate expired',
      'expired',
      () => ({ KAFKA_ENABLE_TLS: true, KAFKA_TLS_SKIP_VERIFY: true }),
    ],
    ['mutual TLS', 'mutual', () => mutual('client')],
    ...(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const).flatMap(
      (mechanism): [string, string, () => SettingChanges][] => [
        [`SASL ${mechanism}`, 'sasl', () => sasl(mechanism)],
        [`SASL ${mechanism} over TLS`, 'sasltls', () => ({ ...tls(), ...sasl(mechanism) })],
      ],
    ),
    [
      'a password from a file',
      'sasl',
      () => ({ ...sasl('SCRAM-SHA-512', ''), KAFKA_SASL_PASSWORD_FILE: join(directory, 'password') }),
    ],
  ];
  for (const [what, listener, settings] of CONNECTING) {
    test(`${what}: a record arrives`, async (testing) => {
      const { producer, lines } = producerOn(listener, settings(), 'shared-by-all');
      testing.after(() => producer.disconnect());
      await producer.connect();
      await producer.send([{ value: Buffer.from(`by ${what}`) }]);
      await waitFor(async () => (await producer.health(AbortSignal.timeout(5000))).status === 200, {
        what: 'health',
        everyMs: 100,
      });
      assertNoSecret(lines);
    });
  }

  test('a client certificate that the brokers refuse is exchanged in its files, and the next connection is taken', async (testing) => {
    const files = new RotatingFiles(testing);
    files.swap(certificates.get('stranger') as TestCertificate);
    const settings = settingsOf({
      ...tls(),
      KAFKA_TLS_CERT_FILE: files.certFile,
      KAFKA_TLS_KEY_FILE: files.keyFile,
      kafka_blocksConfig: cluster.url(cluster.topic(), {}, cluster.listener('mutual')),
    });
    const { logger, lines } = keptLog();
    const watch = new TlsWatch({ logger }, { kafka: kafkaFiles(settings) });
    watch.start();
    testing.after(() => watch.stop());
    const producer = createProducer(settings, 'kafka_blocksConfig', {
      logger,
      brokerSocketPath: undefined,
      tls: watch.of('kafka'),
    });
    testing.after(() => producer.disconnect());
    await assert.rejects(producer.connect(), /KAFKA_TLS_CERT_FILE/);
    files.swap(certificates.get('client') as TestCertificate);
    await waitFor(() => lines.some(({ msg }) => msg === 'TLS files reloaded'), { what: 'the new pair' });
    await producer.connect();
    await producer.send([{ value: Buffer.from('by the new pair') }]);
  });

  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
    test(`a password that the brokers refuse is exchanged in its file, and the next connection is taken: ${mechanism}`, async (testing) => {
      const path = join(temporaryDirectory(testing), 'password');
      writeFileSync(path, `${WRONG}\n`);
      const settings = settingsOf({
        ...sasl(mechanism, ''),
        KAFKA_SASL_PASSWORD_FILE: path,
        kafka_blocksConfig: cluster.url(cluster.topic(), {}, cluster.listener('sasl')),
      });
      const { logger, lines } = keptLog();
      const secrets = new Secrets(settings, logger);
      secrets.start();
      testing.after(() => secrets.stop());
      const producer = createProducer(settings, 'kafka_blocksConfig', {
        logger,
        brokerSocketPath: undefined,
        secrets,
      });
      testing.after(() => producer.disconnect());
      await assert.rejects(producer.connect(), /KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD/);
      writeFileSync(path, `${PASSWORD}\n`);
      await waitFor(() => lines.some(({ msg }) => msg === 'a secret is read anew'), { what: 'the password' });
      await producer.connect();
      await producer.send([{ value: Buffer.from('by the new password') }]);
      assertNoSecret(lines);
    });
  }

  test('Kafka has what each of them sent', async () => {
    const printed = await cluster.consoleConsumer({ topic: 'shared-by-all', max: CONNECTING.length });
    assert.deepEqual(
      printed,
      CONNECTING.map(([what]) => `by ${what}`),
    );
  });

  const FAILING: readonly [string, string, () => SettingChanges, RegExp][] = [
    [
      'an unknown authority',
      'tls',
      () => tls('stranger'),
      /KAFKA_TLS_CA_FILE: the certificate of .* not of an authority that is trusted/,
    ],
    [
      'no authority',
      'tls',
      () => ({ KAFKA_ENABLE_TLS: true }),
      /KAFKA_TLS_CA_FILE: the certificate of .* not of an authority that is trusted/,
    ],
    [
      'an expired certificate',
      'expired',
      () => tls('expired'),
      /KAFKA_ENABLE_TLS: the certificate of .* has expired/,
    ],
    [
      'a certificate of another host',
      'otherhost',
      () => tls('otherhost'),
      /kafka_blocksConfig: the certificate of .* is not for the host 127\.0\.0\.1/,
    ],
    ['TLS with a broker that speaks none', 'plain', () => tls(), /KAFKA_ENABLE_TLS: .* does not speak TLS/],
    [
      'no TLS with a broker that speaks it',
      'tls',
      () => ({}),
      /KAFKA_ENABLE_TLS: .* speaks TLS, which is not enabled/,
    ],
    [
      'mutual TLS without a certificate',
      'mutual',
      () => tls(),
      /KAFKA_TLS_CERT_FILE: .* asks for a client certificate/,
    ],
    [
      'mutual TLS with a certificate of nobody',
      'mutual',
      () => mutual('stranger'),
      /KAFKA_TLS_CERT_FILE: .* refuses the client certificate/,
    ],
    [
      'mutual TLS with an expired certificate',
      'mutual',
      () => mutual('expired-client'),
      /KAFKA_TLS_CERT_FILE: .* refuses the client certificate/,
    ],
    ...(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const).flatMap(
      (mechanism): [string, string, () => SettingChanges, RegExp][] => [
        [
          `SASL ${mechanism} with a wrong password`,
          'sasl',
          () => sasl(mechanism, WRONG),
          /KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: /,
        ],
        [
          `SASL ${mechanism} with an unknown user`,
          'sasltls',
          () => ({ ...tls(), ...sasl(mechanism, WRONG, 'mallory') }),
          /KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: /,
        ],
      ],
    ),
    [
      'a wrong password from a file',
      'sasl',
      () => ({ ...sasl('PLAIN', ''), KAFKA_SASL_PASSWORD_FILE: join(directory, 'wrong') }),
      /KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: /,
    ],
    ['no SASL with a broker that asks for it', 'sasl', () => ({}), /KAFKA_SASL_MECHANISM: /],
    ['SASL with a broker that speaks none', 'plain', () => sasl('PLAIN'), /KAFKA_SASL_MECHANISM: /],
  ];
  // They wait more than they work.
  describe('what does not fit', { concurrency: 6 }, () => {
    for (const [what, listener, settings, expected] of FAILING) {
      test(`${what}: one error names the setting`, async (testing) => {
        const { producer, lines } = producerOn(listener, settings());
        testing.after(() => producer.disconnect());
        const connecting = assert.rejects(producer.connect(), (error: Error) => {
          testing.diagnostic(error.message);
          assert.match(error.message, expected);
          assert.ok(error instanceof BrokerFaultError || error instanceof TopicFaultError);
          return true;
        });
        await within(connecting, 20_000, 'failing to connect');
        const health = await producer.health(AbortSignal.timeout(10_000));
        assert.equal(health.status, 503);
        assert.match(health.error ?? '', expected);
        // What is wrong is told once, by who called: not by the driver at each of its attempts.
        assert.deepEqual(
          lines.filter(({ level }) => Number(level) > 30),
          [],
        );
        assertNoSecret(lines);
      });
    }
  });

  const servedTopics = (listener: string): Record<string, string> => ({
    kafka_blocksConfig: cluster.url(cluster.topic('blocks'), {}, cluster.listener(listener)),
    kafka_subtreesConfig: cluster.url('served-subtrees', {}, cluster.listener(listener)),
    kafka_rejectedTxConfig: cluster.url(cluster.topic('rejectedtx'), {}, cluster.listener(listener)),
  });
  const asSet = (settings: SettingChanges): Record<string, string> =>
    Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, String(value)]));

  test('a server whose topics are behind TLS and SASL is ready, and what it hears arrives', async (testing) => {
    const server = launchServer(testing, {
      set: { ...asSet({ ...tls(), ...sasl('SCRAM-SHA-512') }), ...servedTopics('sasltls') },
    });
    const { ports, peerId } = await server.ready();
    await waitFor(async () => (await readinessOf(ports.health)).code === 200, {
      what: 'readiness',
      timeoutMs: 30_000,
      everyMs: 100,
    });
    const senders = await Senders.prepare(
      'teranode/bitcoin/1.0.0/regtest-subtree',
      { kind: 'subtree', messages: ANNOUNCED },
      { authors: [11] },
    );
    testing.after(() => senders.close());
    await senders.connect(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
    senders.send();
    const printed = await cluster.consoleConsumer({
      topic: 'served-subtrees',
      max: ANNOUNCED,
      args: ['--formatter-property', 'print.key=true', '--formatter-property', 'print.value=false'],
    });
    assert.deepEqual(
      printed,
      Array.from({ length: ANNOUNCED }, (_, nth) => hashAt(nth)),
    );
    assertNoSecret(server.lines());
  });

  test('a server with a wrong password starts, says so once for each topic that it writes or reads, and is not ready because of it', async (testing) => {
    const rejected = cluster.topic('rejectedtx');
    const server = launchServer(testing, {
      set: {
        ...asSet({ ...tls(), ...sasl('SCRAM-SHA-512', WRONG) }),
        ...servedTopics('sasltls'),
        kafka_rejectedTxConfig: cluster.url(rejected, {}, cluster.listener('sasltls')),
      },
    });
    const { ports } = await server.ready();
    const named = /KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: /;
    await waitFor(
      async () => {
        const { code, text } = await readinessOf(ports.health);
        const { dependencies } = JSON.parse(text) as {
          dependencies: { resource: string; status: string; error: string }[];
        };
        const ailing = dependencies.filter(({ status, error }) => status === '503' && named.test(error));
        // Blocks, subtrees and rejected transactions.
        return code === 503 && ailing.length === 3 && text.includes(`kafka ${rejected}`);
      },
      { what: 'readiness that names the settings for each topic', timeoutMs: 30_000, everyMs: 200 },
    );
    await waitFor(
      async () => {
        const scraped = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
        const attempts = [
          ...['blocks', 'subtrees'].map((topic) =>
            sumOf(scraped, 'teranode_p2p_kafka_faults_total', { topic }),
          ),
          sumOf(scraped, 'teranode_p2p_kafka_consumer_ends_total', { topic: rejected }),
        ];
        return attempts.every((count) => count >= 4);
      },
      { what: 'a few attempts for each', timeoutMs: 60_000, everyMs: 200 },
    );
    const said = server.lines().filter((line) => Number(line.level) > 30 && named.test(JSON.stringify(line)));
    assert.deepEqual(said.map(({ topic }) => topic).sort(), ['blocks', rejected, 'subtrees']);
    assertNoSecret(server.lines());
  });
});

async function readinessOf(port: number | undefined): Promise<{ code: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${port}/health/readiness`);
  return { code: answer.status, text: await answer.text() };
}

function assertNoSecret(lines: readonly object[]): void {
  const text = JSON.stringify(lines);
  for (const secret of [PASSWORD, WRONG]) {
    assert.ok(!text.includes(secret), 'a password is in the log');
    assert.ok(!text.includes(Buffer.from(secret).toString('base64')), 'a password is in the log');
  }
}
