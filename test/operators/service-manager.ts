/**
 * `systemctl` and `journalctl` where no systemd runs, in a place of its own: what can be done to files alone the real one does (`--root`); services are
 * started and stopped as their units say: check, command, folder, environment, user, what they may write, signal. `PLACE` has the place as JSON.
 */

import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Place, placed } from './place.js';

const place = JSON.parse(process.env.PLACE ?? '') as Place;
/** Handed to services besides what their units say: the test's ports. */
const { SERVICE_ENVIRONMENT = '{}' } = process.env;
const unitPath = (name: string): string => join(place.root, 'etc/systemd/system', `${name}.service`);
const pidPath = (name: string): string => join(place.root, 'run', `${name}.pid`);
const logPath = (name: string): string => join(place.root, 'run', `${name}.log`);

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

interface Unit {
  readonly lines: readonly (readonly [key: string, value: string])[];
  one(key: string): string | undefined;
}

function readUnit(name: string): Unit {
  if (!existsSync(unitPath(name))) fail(`Unit ${name}.service not found.`);
  // The dash of a file that may be missing is not needed here: any may be.
  const lines = placed(readFileSync(unitPath(name), 'utf8').replaceAll('=-/', '=/'), place)
    .split('\n')
    .flatMap((line) => {
      const parts = /^(\w+)=(.*)$/.exec(line);
      return parts === null ? [] : [[parts[1] ?? '', parts[2] ?? ''] as const];
    });
  return { lines, one: (key) => lines.find(([found]) => found === key)?.[1] };
}

function environmentOf({ lines }: Unit): Record<string, string> {
  const texts = lines.flatMap(([key, value]) => {
    if (key === 'Environment') return [value];
    return key === 'EnvironmentFile' && existsSync(value) ? readFileSync(value, 'utf8').split('\n') : [];
  });
  const told = texts
    .filter((text) => /^\w+=/.test(text))
    .map((text) => [text.split('=', 1)[0], text.slice(text.indexOf('=') + 1)]);
  return {
    PATH: process.env.PATH ?? '',
    HOME: place.root,
    ...Object.fromEntries(told),
    ...(JSON.parse(SERVICE_ENVIRONMENT) as Record<string, string>),
  };
}

/** Of a user of the place: its own numbers. */
function numbersOf(user: string): { readonly uid: number; readonly gid: number } {
  const line = readFileSync(join(place.root, 'etc/passwd'), 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${user}:`));
  if (line === undefined) fail(`there is no user ${user}`);
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** As systemd does with a state directory that is not its user's: all that is in it becomes so. */
function giveAll(path: string, uid: number, gid: number): void {
  lchownSync(path, uid, gid);
  if (lstatSync(path).isDirectory())
    for (const name of readdirSync(path)) giveAll(join(path, name), uid, gid);
}

/**
 * What a unit's command is run by: its user, without a capability, in a system of which it may write its state directory and what `ReadWritePaths=` names
 * (`ProtectSystem=strict`). Nothing for a unit that names no user.
 */
function confinementOf(unit: Unit): readonly string[] {
  const user = unit.one('User');
  if (user === undefined) return [];
  const { uid, gid } = numbersOf(user);
  const state = join(place.root, 'var/lib', unit.one('StateDirectory') ?? fail('a user, and no state'));
  mkdirSync(state, { recursive: true });
  chmodSync(state, Number.parseInt(unit.one('StateDirectoryMode') ?? '755', 8));
  if (lstatSync(state).uid !== uid) giveAll(state, uid, gid);
  const others = unit.lines.flatMap(([key, value]) => (key === 'ReadWritePaths' ? [value] : []));
  const writable = [state, ...others.filter(existsSync)];
  const confine = [
    'mount --make-rprivate /',
    ...writable.map((path) => `mount --bind '${path}' '${path}'`),
    `if [ '${unit.one('ProtectSystem')}' = strict ]; then mount -o remount,bind,ro /; fi`,
    `umask ${unit.one('UMask') ?? '0022'}`,
    `exec setpriv --reuid=${uid} --regid=${gid} --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"`,
  ];
  return ['unshare', '--mount', 'bash', '-euc', confine.join('\n'), 'bash'];
}

function start(name: string): void {
  const unit = readUnit(name);
  const options = { cwd: unit.one('WorkingDirectory') ?? place.root, env: environmentOf(unit) };
  const log = openSync(logPath(name), 'a');
  const confinement = confinementOf(unit);
  for (const key of ['ExecStartPre', 'ExecStart'] as const) {
    const told = unit.one(key)?.split(' ');
    if (told === undefined) continue;
    const [command = '', ...args] = [...confinement, ...told];
    if (key === 'ExecStartPre') {
      const { status } = spawnSync(command, args, { ...options, stdio: ['ignore', log, log] });
      if (status !== 0)
        fail(`${name}.service: ${told.join(' ')} failed:\n${readFileSync(logPath(name), 'utf8')}`);
    }
    if (key === 'ExecStart') {
      const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] });
      if (child.pid === undefined) fail(`${name}.service: no ${command}`);
      writeFileSync(pidPath(name), String(child.pid));
      child.unref();
    }
  }
}

async function stop(name: string): Promise<void> {
  const pid = Number(readFileSync(pidPath(name), 'utf8'));
  const isThere = (): boolean => {
    try {
      // One that has ended and that nobody has waited for is there no more.
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  };
  if (isThere()) process.kill(pid, 'SIGTERM');
  while (isThere()) await delay(50);
  rmSync(pidPath(name));
}

const [program, verb = '', ...names] = process.argv.slice(2);
const [unit = ''] = names;
if (program === 'journalctl') {
  process.stdout.write(readFileSync(logPath(process.argv[process.argv.indexOf('-u') + 1] ?? ''), 'utf8'));
} else if (verb === 'start') start(unit);
else if (verb === 'stop') await stop(unit);
else if (verb === 'restart') {
  await stop(unit);
  start(unit);
} else if (['enable', 'disable', 'is-enabled', 'cat'].includes(verb)) {
  const { status } = spawnSync('/usr/bin/systemctl', ['--root', place.root, verb, ...names], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} else if (verb !== 'daemon-reload') fail(`systemctl ${verb} is not known to this test`);
