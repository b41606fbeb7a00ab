/** The unit for systemd, before systemd's own tools. */

import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { settingsOf } from '../support/settings.js';
import { temporaryDirectory } from '../support/temporary.js';
import { attempt, run } from './tools.js';

const UNITS = ['teranode-p2p', 'teranode-p2p-gateway'];
const fileOf = (unit: string): string => `deploy/systemd/${unit}.service`;
const USERS = 'deploy/systemd/teranode-p2p.sysusers';
/** What `systemd-analyze security` says of a unit without any hardening is 9.6. */
const MOST_EXPOSURE = 20;

/** A system with a unit, the command that it runs, and what units of a system lean on. */
function system(
  context: TestContext,
  name: string,
  change: (unit: string) => string = (unit) => unit,
): string {
  const root = temporaryDirectory(context);
  for (const folder of ['etc/systemd/system', 'usr/local/bin', 'usr/lib/sysusers.d'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, `etc/systemd/system/${name}.service`), change(readFileSync(fileOf(name), 'utf8')));
  for (const target of ['sysinit', 'basic', 'shutdown', 'network-online', 'multi-user'])
    writeFileSync(
      join(root, `etc/systemd/system/${target}.target`),
      '[Unit]\nDescription=of a system\nDefaultDependencies=no\n',
    );
  writeFileSync(
    join(root, 'etc/systemd/system/system.slice'),
    '[Unit]\nDescription=of a system\nDefaultDependencies=no\n',
  );
  const command = join(root, 'usr/local/bin/teranode-p2p');
  writeFileSync(command, '#!/bin/sh\n');
  chmodSync(command, 0o755);
  return root;
}
const verify = (root: string, name: string) =>
  attempt('systemd-analyze', [
    'verify',
    '--man=no',
    '--root',
    root,
    join(root, `etc/systemd/system/${name}.service`),
  ]);

for (const name of UNITS) {
  it(`\`systemd-analyze verify\` finds nothing to say of ${name}, and tells of a mistake in it`, (context) => {
    const { status, stdout, stderr } = verify(system(context, name), name);
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
    const mistaken = verify(
      system(context, name, (unit) => unit.replace('ProtectHome=yes', 'ProtectHomes=yes')),
      name,
    );
    assert.match(mistaken.stderr, /ProtectHomes/);
  });

  it(`${name} leaves the server less than an attacker would want`, (context) => {
    const root = system(context, name);
    const path = join(root, `etc/systemd/system/${name}.service`);
    const within = (threshold: number) =>
      attempt('systemd-analyze', [
        'security',
        '--no-pager',
        '--offline=yes',
        `--threshold=${threshold}`,
        '--root',
        root,
        path,
      ]);
    const { status, stdout, stderr } = within(MOST_EXPOSURE);
    assert.equal(status, 0, `${stdout}${stderr}`);
    context.diagnostic(/Overall exposure.*/.exec(stdout)?.[0] ?? '');
    assert.notEqual(within(1).status, 0);
  });

  it(`${name} gives the server longer to stop than it takes, and no signal to its children before it`, () => {
    const unit = readFileSync(fileOf(name), 'utf8');
    const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]);
    assert.ok(seconds * 1000 >= settingsOf().shutdown_timeout + 5000);
    assert.match(unit, /^KillMode=mixed$/m);
  });
}

it('user and group are made by `systemd-sysusers`', (context) => {
  const root = system(context, 'teranode-p2p');
  mkdirSync(join(root, 'etc/sysusers.d'));
  cpSync(USERS, join(root, 'etc/sysusers.d/teranode-p2p.conf'));
  run('systemd-sysusers', ['--root', root]);
  assert.match(readFileSync(join(root, 'etc/passwd'), 'utf8'), /^teranode-p2p:x:\d+:\d+:/m);
  for (const name of UNITS) assert.match(readFileSync(fileOf(name), 'utf8'), /^User=teranode-p2p$/m);
});
