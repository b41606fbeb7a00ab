import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../../bin/changelog.mjs', import.meta.url));

/** A checkout of `version` with such a CHANGELOG.md. */
function checkout(context: TestContext, version: string, changelog: string) {
  const root = mkdtempSync(join(tmpdir(), 'changelog-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'bin'));
  copyFileSync(SCRIPT, join(root, 'bin', 'changelog.mjs'));
  writeFileSync(join(root, 'package.json'), JSON.stringify({ version }));
  writeFileSync(join(root, 'CHANGELOG.md'), changelog);
  const args = (...more: string[]) => [join(root, 'bin', 'changelog.mjs'), ...more];
  return {
    run: (...more: string[]) => execFileSync(process.execPath, args(...more), { encoding: 'utf8' }),
    fail: (...more: string[]) => spawnSync(process.execPath, args(...more), { encoding: 'utf8' }),
    text: () => readFileSync(join(root, 'CHANGELOG.md'), 'utf8'),
  };
}

test('a release takes what is unreleased for its own, dated, and its notes are that', (context) => {
  const { run, text } = checkout(
    context,
    '0.2.0',
    '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One.\n\n## [0.1.0] - 2026-01-01\n\n- Zero.\n',
  );
  run();
  assert.match(
    text(),
    /^# Changelog\n\n## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n### Added\n\n- One\.\n\n## \[0\.1\.0\]/,
  );
  assert.equal(run('show'), '### Added\n\n- One.\n');
});

test('a release without a word of what it changes is refused, and so is one that is there already', (context) => {
  const empty = checkout(context, '0.2.0', '# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n');
  const before = empty.text();
  const said = empty.fail();
  assert.notEqual(said.status, 0);
  assert.match(said.stderr, /says nothing under \[Unreleased\]/);
  assert.equal(empty.text(), before);

  const twice = checkout(
    context,
    '0.1.0',
    '# Changelog\n\n## [Unreleased]\n\n- Two.\n\n## [0.1.0] - 2026-01-01\n\n- One.\n',
  );
  assert.match(twice.fail().stderr, /has a section \[0\.1\.0\] already/);
});
