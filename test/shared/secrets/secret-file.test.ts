import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { SecretFile } from '../../../src/shared/secrets/secret-file.js';
import { adminKeyFileProblems, parseAdminKeys, Secrets } from '../../../src/shared/secrets/secrets.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

function watched(context: TestContext, text: string) {
  const path = join(temporaryDirectory(context), 'keys');
  writeFileSync(path, text);
  const { logger, lines } = keptLog();
  const file = new SecretFile(
    { parse: parseAdminKeys, logger },
    { setting: 'grpc_admin_api_key_file', path, everyMs: 20 },
  );
  file.start();
  context.after(() => file.stop());
  return { path, file, lines };
}

test('a new text is taken, what cannot be used is refused and the old one stays, and that the old one is back is told', async (context) => {
  const { path, file, lines } = watched(context, 'first-key\n');
  const changes: (readonly string[])[] = [];
  file.onChange((keys) => changes.push(keys));
  assert.deepEqual(file.current, ['first-key']);
  writeFileSync(path, 'second-key\r\nfirst-key\n\n');
  await waitFor(() => file.current.length === 2, { what: 'two keys' });
  assert.deepEqual(file.current, ['second-key', 'first-key']);
  for (const spoil of [
    () => writeFileSync(path, 'not a key\n'),
    () => writeFileSync(path, ''),
    () => writeFileSync(path, 'k\n'.repeat(100)),
    () => writeFileSync(path, '\0first-key'),
    () => rmSync(path),
  ]) {
    const told = lines.length;
    spoil();
    await waitFor(() => lines.length > told, { what: 'a refusal' });
    assert.match(file.refused ?? '', /^grpc_admin_api_key_file: .*keys/);
    assert.deepEqual(file.current, ['second-key', 'first-key']);
  }
  writeFileSync(path, 'second-key\r\nfirst-key\n\n');
  await waitFor(() => file.refused === undefined, { what: 'the old text' });
  assert.deepEqual(changes, [['second-key', 'first-key']]);
  assert.ok(!/first-key|second-key|not a key/.test(JSON.stringify(lines)), 'never logged');
});

test('a folder of Kubernetes whose link is moved is followed', async (context) => {
  const directory = temporaryDirectory(context);
  for (const version of ['one', 'two']) {
    mkdirSync(join(directory, version));
    writeFileSync(join(directory, version, 'keys'), `key-${version}`);
  }
  symlinkSync('one', join(directory, '..data'));
  symlinkSync(join('..data', 'keys'), join(directory, 'keys'));
  const file = new SecretFile(
    { parse: parseAdminKeys },
    { setting: 'grpc_admin_api_key_file', path: join(directory, 'keys'), everyMs: 20 },
  );
  file.start();
  context.after(() => file.stop());
  assert.deepEqual(file.current, ['key-one']);
  symlinkSync('two', join(directory, '..new'));
  renameSync(join(directory, '..new'), join(directory, '..data'));
  await waitFor(() => file.current[0] === 'key-two', { what: 'the new folder' });
});

test('a file that is missing, is none, or has no key is an error by its setting, and so is one beside the key itself', (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'keys');
  const problemsOf = (file: string, key = '') =>
    adminKeyFileProblems(settingsOf({ grpc_admin_api_key_file: file, grpc_admin_api_key: key })).join();
  assert.match(problemsOf(path), /^grpc_admin_api_key_file: .*ENOENT/);
  assert.match(problemsOf(directory), /^grpc_admin_api_key_file: .*not a file/);
  writeFileSync(path, '\n');
  assert.match(problemsOf(path), /^grpc_admin_api_key_file: .*holds no key/);
  assert.throws(() => new Secrets(settingsOf({ grpc_admin_api_key_file: path })), ConfigurationError);
  writeFileSync(path, 'a-key\n');
  assert.equal(problemsOf(path), '');
  assert.match(problemsOf(path, 'another'), /must be empty where grpc_admin_api_key is set/);
});
