import assert from 'node:assert/strict';
import { rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import type { TlsFileSet } from '../../../src/shared/tls/files.js';
import { type LookOutcome, WatchedPem } from '../../../src/shared/tls/watch.js';
import { RotatingFiles } from '../../support/rotating-files.js';

const setOf = (files: RotatingFiles): TlsFileSet => ({
  files: {
    cert: { setting: 'server_certFile', path: files.certFile },
    key: { setting: 'server_keyFile', path: files.keyFile },
    ca: { setting: 'grpc_ca_file', path: files.caFile },
  },
  level: 'a test',
});

async function watched(context: TestContext) {
  const files = new RotatingFiles(context);
  const first = await files.make();
  files.swap(first);
  const pem = new WatchedPem(setOf(files));
  /** What two looks at the same files say: the first may still be in the middle of writing. */
  const settled = async (): Promise<LookOutcome | undefined> => {
    assert.equal(await pem.look(), undefined);
    return pem.look();
  };
  const current = () => pem.current.cert?.toString();
  return { files, first, pem, settled, current };
}

test('new files are taken at the second look that finds them the same', async (context) => {
  const { files, pem, settled, current } = await watched(context);
  const before = pem.current;
  assert.equal(await settled(), undefined, 'nothing new');
  assert.equal(pem.current, before);
  const heard: (string | undefined)[] = [];
  pem.onChange(({ cert }) => heard.push(cert?.toString()));
  const second = await files.make();
  files.swap(second);
  assert.deepEqual(await settled(), { outcome: 'reloaded' });
  assert.equal(current(), second.certificate);
  assert.deepEqual(heard, [second.certificate]);
  const [third, fourth] = [await files.make(), await files.make()];
  files.overwrite(third);
  assert.equal(await pem.look(), undefined);
  files.overwrite(fourth);
  assert.equal(await pem.look(), undefined, 'they changed in between');
  assert.deepEqual(await pem.look(), { outcome: 'reloaded' });
  assert.equal(current(), fourth.certificate);
});

test('files of the same length and time as those before are new all the same', async (context) => {
  const { files, settled, current, first } = await watched(context);
  const second = await files.make();
  // Empty lines behind a block are nothing to PEM.
  const pair = {
    ...second,
    certificate: second.certificate.padEnd(first.certificate.length, '\n'),
    key: second.key.padEnd(first.key.length, '\n'),
  };
  const times = [files.certFile, files.keyFile].map((path) => statSync(path));
  files.overwrite(pair);
  [files.certFile, files.keyFile].forEach((path, at) => {
    utimesSync(path, times[at]?.atime ?? 0, times[at]?.mtime ?? 0);
  });
  assert.deepEqual(await settled(), { outcome: 'reloaded' });
  assert.equal(current(), pair.certificate);
});

for (const [what, damage] of [
  ['a certificate without its key', (files, next) => files.overwrite(next, 'certificate')],
  ['half a certificate', (files, next) => writeFileSync(files.certFile, next.certificate.slice(0, 300))],
  [
    'a chain that breaks off',
    (files, next) => {
      files.overwrite({ ...next, certificate: next.certificate + next.certificate.slice(0, 300) });
    },
  ],
  ['an empty key', (files) => writeFileSync(files.keyFile, '')],
  ['an authority that is none', (files) => writeFileSync(files.caFile, 'junk')],
  [
    'authorities that break off',
    (files, next) => writeFileSync(files.caFile, next.certificate + next.certificate.slice(0, 300)),
  ],
  ['a key that is gone', (files) => rmSync(files.keyFile)],
] as const satisfies readonly (readonly [
  string,
  (files: RotatingFiles, next: Awaited<ReturnType<RotatingFiles['make']>>) => void,
])[]) {
  test(`${what} leaves the old pair in use, is told once, and a whole pair is taken afterwards`, async (context) => {
    const { files, first, pem, settled, current } = await watched(context);
    const next = await files.make();
    damage(files, next);
    const found = await settled();
    assert.ok(found?.outcome === 'refused', JSON.stringify(found));
    assert.match(found.problems[0] ?? '', /^(?:server_certFile|server_keyFile|grpc_ca_file): /);
    assert.equal(current(), first.certificate);
    assert.equal(await pem.look(), undefined, 'told once');
    for (const [path, text] of [
      [files.certFile, next.certificate],
      [files.keyFile, next.key],
      [files.caFile, next.certificate],
    ] as const) {
      writeFileSync(path, text);
    }
    assert.deepEqual(await settled(), { outcome: 'reloaded' });
    assert.equal(current(), next.certificate);
  });
}

test('the files in use that come back after others are told of as that', async (context) => {
  const { files, first, settled } = await watched(context);
  files.overwrite(await files.make(), 'certificate');
  assert.equal((await settled())?.outcome, 'refused');
  files.overwrite(first);
  assert.deepEqual(await settled(), { outcome: 'restored' });
});

test('files that are not whole at the start name every setting', async (context) => {
  const files = new RotatingFiles(context);
  files.swap(await files.make());
  writeFileSync(files.certFile, 'junk');
  rmSync(files.keyFile);
  assert.throws(
    () => new WatchedPem(setOf(files)),
    (error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.deepEqual(
        error.problems.map((problem) => problem.split(':')[0]),
        ['server_certFile', 'server_keyFile'],
      );
      return true;
    },
  );
});
