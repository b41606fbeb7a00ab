import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { settingsProblems } from '../../../../src/main/preflight/settings.js';
import type { Settings } from '../../../../src/shared/settings/table.js';
import {
  kafkaSecurityProblems,
  kafkaSecurityWarnings,
  readKafkaSecurity,
} from '../../../../src/shared/sinks/kafka/security-settings.js';
import { makeCertificate } from '../../../support/certificates.js';
import { type SettingChanges, settingsOf } from '../../../support/settings.js';
import { temporaryDirectory } from '../../../support/temporary.js';

const PASSWORD = 'hunter2hunter2';
const SASL: SettingChanges = {
  KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
  KAFKA_SASL_USERNAME: 'alice',
  KAFKA_SASL_PASSWORD: PASSWORD,
};

test('without settings there is neither TLS nor SASL', () => {
  assert.deepEqual(readKafkaSecurity(settingsOf()), { tls: undefined, sasl: undefined });
  assert.deepEqual(kafkaSecurityWarnings(settingsOf()), []);
});

test('a password file gives its one line, without the end of it', (context) => {
  const path = join(temporaryDirectory(context), 'password');
  for (const [text, password] of [
    [PASSWORD, PASSWORD],
    [`${PASSWORD}\n`, PASSWORD],
    [`${PASSWORD}\r\n`, PASSWORD],
    [' with spaces ', ' with spaces '],
  ] as const) {
    writeFileSync(path, text);
    const settings = settingsOf({ ...SASL, KAFKA_SASL_PASSWORD: '', KAFKA_SASL_PASSWORD_FILE: path });
    assert.equal(readKafkaSecurity(settings).sasl?.password, password);
  }
});

test('every problem is told at once, and none quotes a password', async (context) => {
  const directory = temporaryDirectory(context);
  const good = await makeCertificate(directory, 'good');
  const other = await makeCertificate(directory, 'other');
  const lines = join(directory, 'lines');
  writeFileSync(lines, `${PASSWORD}\nmore\n`);
  const empty = join(directory, 'empty');
  writeFileSync(empty, '\n');
  const none = join(directory, 'none');
  const cases: readonly [SettingChanges, readonly RegExp[]][] = [
    [{ KAFKA_SASL_USERNAME: 'alice' }, [/^KAFKA_SASL_MECHANISM: .*KAFKA_SASL_USERNAME/]],
    [{ KAFKA_SASL_PASSWORD: PASSWORD }, [/^KAFKA_SASL_MECHANISM: .*KAFKA_SASL_PASSWORD/]],
    [
      { KAFKA_SASL_MECHANISM: 'PLAIN' },
      [/^KAFKA_SASL_USERNAME: must not be empty/, /^KAFKA_SASL_PASSWORD: .*needed/],
    ],
    [{ ...SASL, KAFKA_SASL_USERNAME: '' }, [/^KAFKA_SASL_USERNAME: must not be empty/]],
    [{ ...SASL, KAFKA_SASL_PASSWORD: '' }, [/^KAFKA_SASL_PASSWORD: .*KAFKA_SASL_PASSWORD_FILE is needed/]],
    [{ ...SASL, KAFKA_SASL_PASSWORD_FILE: none }, [/_FILE: must be empty/, /_FILE: cannot be read/]],
    [
      { ...SASL, KAFKA_SASL_PASSWORD: '', KAFKA_SASL_PASSWORD_FILE: none },
      [/^KAFKA_SASL_PASSWORD_FILE: cannot be read/],
    ],
    [
      { ...SASL, KAFKA_SASL_PASSWORD: '', KAFKA_SASL_PASSWORD_FILE: lines },
      [/^KAFKA_SASL_PASSWORD_FILE: .* more than one line/],
    ],
    [
      { ...SASL, KAFKA_SASL_PASSWORD: '', KAFKA_SASL_PASSWORD_FILE: empty },
      [/^KAFKA_SASL_PASSWORD_FILE: .* is empty/],
    ],
    [
      {
        KAFKA_ENABLE_TLS: true,
        KAFKA_TLS_CA_FILE: none,
        KAFKA_TLS_CERT_FILE: good.keyFile,
        KAFKA_TLS_KEY_FILE: good.certificateFile,
        KAFKA_SASL_USERNAME: 'alice',
      },
      [
        /^KAFKA_TLS_CA_FILE: cannot be read/,
        /^KAFKA_TLS_CERT_FILE: .* is not a PEM certificate/,
        /^KAFKA_TLS_KEY_FILE: .* is not a PEM key/,
        /^KAFKA_SASL_MECHANISM: /,
      ],
    ],
    [
      {
        KAFKA_ENABLE_TLS: true,
        KAFKA_TLS_CERT_FILE: good.certificateFile,
        KAFKA_TLS_KEY_FILE: other.keyFile,
      },
      [/^KAFKA_TLS_KEY_FILE: is not the key of the certificate/],
    ],
  ];
  for (const [changes, expected] of cases) {
    const problems = kafkaSecurityProblems(settingsOf(changes));
    assert.equal(problems.length, expected.length, problems.join('\n'));
    for (const [index, line] of problems.entries()) assert.match(line, expected[index] ?? /^$/);
    assert.ok(!problems.join().includes(PASSWORD));
  }
});

test('a server is refused for them where a topic is on a cluster, and only there', () => {
  const named = (settings: Settings) =>
    settingsProblems(settings).filter((line) => line.startsWith('KAFKA_SASL'));
  const changes: SettingChanges = { KAFKA_SASL_USERNAME: 'alice', clientName: 'x' };
  assert.deepEqual(named(settingsOf(changes)), []);
  const onCluster = settingsOf({ ...changes, kafka_blocksConfig: 'kafka://localhost:9092/blocks' });
  assert.equal(named(onCluster).length, 1);
});

test('what is probably not meant is warned of', async (context) => {
  const directory = temporaryDirectory(context);
  const expired = await makeCertificate(directory, 'expired', { expired: true });
  const cases: readonly [SettingChanges, readonly RegExp[]][] = [
    [SASL, [/^KAFKA_SASL_MECHANISM: .*KAFKA_ENABLE_TLS/]],
    [{ ...SASL, KAFKA_SASL_MECHANISM: 'PLAIN' }, [/password in the clear/]],
    [{ ...SASL, KAFKA_ENABLE_TLS: true }, []],
    [{ KAFKA_ENABLE_TLS: true, KAFKA_TLS_SKIP_VERIFY: true }, [/^KAFKA_TLS_SKIP_VERIFY: .*not verified/]],
    [{ KAFKA_TLS_CA_FILE: 'ca.pem' }, [/^KAFKA_TLS_CA_FILE: is not read/]],
    [
      {
        KAFKA_ENABLE_TLS: true,
        KAFKA_TLS_CERT_FILE: expired.certificateFile,
        KAFKA_TLS_KEY_FILE: expired.keyFile,
      },
      [/^KAFKA_TLS_CERT_FILE: the certificate ended at \d{4}-/],
    ],
  ];
  for (const [changes, expected] of cases) {
    const warnings = kafkaSecurityWarnings(settingsOf(changes));
    assert.equal(warnings.length, expected.length, warnings.join('\n'));
    for (const [index, line] of warnings.entries()) assert.match(line, expected[index] ?? /^$/);
    assert.ok(!warnings.join().includes(PASSWORD));
  }
});
