import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AdminKey, loadAdminKey } from '../../../src/main/grpc/admin-key.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { SecretFile } from '../../../src/shared/secrets/secret-file.js';
import { parseAdminKeys } from '../../../src/shared/secrets/secrets.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const refused = (pattern: RegExp) => (error: Error) => {
  assert.ok(error instanceof ConfigurationError);
  assert.match(error.message, pattern);
  return true;
};

test('a key is made once, kept with mode 0600, and found again', async (context) => {
  const dataDirectory = temporaryDirectory(context);
  const { logger, lines } = keptLog();
  await loadAdminKey({ apiKey: '', dataDirectory }, logger);
  const path = join(dataDirectory, 'admin.key');
  const kept = readFileSync(path, 'utf8').trim();
  assert.match(kept, /^[0-9a-f]{64}$/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dataDirectory), ['admin.key']);
  const again = await loadAdminKey({ apiKey: '', dataDirectory }, logger);
  assert.equal(again.matches(kept), true);
  assert.equal(again.matches(`${kept}0`), false);
  assert.equal(JSON.stringify(lines).includes(kept), false, 'never logged');
});

test('the setting is the key where it is set, and no file is made', async (context) => {
  const dataDirectory = temporaryDirectory(context);
  const key = await loadAdminKey({ apiKey: 'from-the-setting', dataDirectory }, keptLog().logger);
  assert.equal(key.matches('from-the-setting'), true);
  assert.equal(key.matches(''), false);
  assert.deepEqual(readdirSync(dataDirectory), []);
  for (const apiKey of [' ', 'two words', 'schlüssel', 'x'.repeat(257), 'line\n']) {
    await assert.rejects(
      loadAdminKey({ apiKey, dataDirectory }, keptLog().logger),
      refused(/^grpc_admin_api_key: /),
    );
  }
});

test('a file that holds no key or cannot be read is an error that says what to do', async (context) => {
  const dataDirectory = temporaryDirectory(context);
  const path = join(dataDirectory, 'admin.key');
  const load = () => loadAdminKey({ apiKey: '', dataDirectory }, keptLog().logger);
  for (const content of [
    '',
    '\n',
    'short',
    'a key with spaces in it',
    Buffer.alloc(32, 0xff),
    'k'.repeat(300),
  ]) {
    writeFileSync(path, content);
    await assert.rejects(load, refused(/admin\.key holds no key; remove it/));
  }
  const blocked = temporaryDirectory(context);
  mkdirSync(join(blocked, 'admin.key'));
  await assert.rejects(
    loadAdminKey({ apiKey: '', dataDirectory: blocked }, keptLog().logger),
    refused(/^DATADIR: .*cannot be read/),
  );
  await assert.rejects(
    loadAdminKey({ apiKey: '', dataDirectory: join(blocked, 'missing') }, keptLog().logger),
    refused(/^DATADIR: .*cannot be written/),
  );
});

test('a key that others can read is taken back from them, with a warning', async (context) => {
  const dataDirectory = temporaryDirectory(context);
  const path = join(dataDirectory, 'admin.key');
  writeFileSync(path, `${'ab'.repeat(32)}\n`);
  chmodSync(path, 0o644);
  const { logger, lines } = keptLog();
  const key = await loadAdminKey({ apiKey: '', dataDirectory }, logger);
  assert.equal(key.matches('ab'.repeat(32)), true);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(lines.length, 1);
});

test('keys in a file are each taken, and others as soon as the file has others; a placeholder among them opens nothing to strangers', async (context) => {
  const dataDirectory = temporaryDirectory(context);
  const path = join(dataDirectory, 'keys');
  const [old, next] = ['the-old-key-of-the-node', 'the-new-key-of-the-node'];
  writeFileSync(path, `${old}\n`);
  const { logger, lines } = keptLog();
  const apiKeyFile = new SecretFile(
    { parse: parseAdminKeys, logger },
    { setting: 'grpc_admin_api_key_file', path, everyMs: 20 },
  );
  apiKeyFile.start();
  context.after(() => apiKeyFile.stop());
  const key = await loadAdminKey({ apiKey: '', apiKeyFile, dataDirectory, exposed: true }, logger);
  assert.deepEqual(readdirSync(dataDirectory), ['keys'], 'none is made');
  assert.deepEqual(
    [old, next, ''].map((each) => key.matches(each)),
    [true, false, false],
  );
  writeFileSync(path, `${old}\n${next}\n`);
  await waitFor(() => key.matches(next), { what: 'the new key' });
  assert.equal(key.matches(old), true);
  writeFileSync(path, `${next}\n`);
  await waitFor(() => !key.matches(old), { what: 'the end of the old key' });
  assert.equal(key.matches(next), true);
  assert.equal(key.refused, undefined);
  writeFileSync(path, `${next}\ntestkey\n`);
  await waitFor(() => key.refused !== undefined, { what: 'a placeholder' });
  writeFileSync(path, 'no key\n');
  await waitFor(() => apiKeyFile.refused !== undefined, { what: 'a refusal' });
  writeFileSync(path, `${next}\n`);
  await waitFor(() => key.refused === undefined, { what: 'the key' });
  writeFileSync(path, 'no key\n');
  await waitFor(() => /grpc_admin_api_key_file/.test(key.health().message), { what: 'readiness' });
  assert.equal(key.health().status, 200);
  assert.ok(!JSON.stringify(lines).includes(next), 'never logged');
});

test('keys are compared whole', () => {
  const key = new AdminKey('correct');
  assert.equal(key.matches('correct'), true);
  for (const wrong of ['', 'c', 'correc', 'correctt', 'Correct', 'c'.repeat(10_000)]) {
    assert.equal(key.matches(wrong), false, wrong.slice(0, 20));
  }
  assert.throws(() => new AdminKey(''), RangeError);
});
