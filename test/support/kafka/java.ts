/** Java and Maven as the machine has them, and what to do about it when it has not. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The oldest that runs Kafka 4. */
const OLDEST_JAVA = 17;
/** A cluster in KAFKA_BROKERS is no way out: many tests stop brokers of their own, and Kafka's programs read for others. */
const ADVICE = 'install both (Debian: apt-get install openjdk-17-jre-headless maven)';

/** The Java to run, `JAVA_HOME`'s first. Throws when there is none, or one too old for Kafka. */
export function findJava(): string {
  const home = process.env.JAVA_HOME ?? '';
  const inHome = join(home, 'bin', 'java');
  const java = home !== '' && existsSync(inHome) ? inHome : 'java';
  const { error, status, stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' });
  if (error !== undefined || status !== 0) {
    throw new Error(`a Kafka broker for the tests needs Java ${OLDEST_JAVA} and Maven: ${ADVICE}`);
  }
  const version = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
  if (version < OLDEST_JAVA) {
    throw new Error(`a Kafka broker for the tests needs Java ${OLDEST_JAVA}, this is ${version}: ${ADVICE}`);
  }
  return java;
}

/** Throws when there is no Maven. */
export function findMaven(): string {
  const { error, status } = spawnSync('mvn', ['-v'], { encoding: 'utf8' });
  if (error !== undefined || status !== 0) {
    throw new Error(`the jars of Kafka are fetched by Maven, which is missing: ${ADVICE}`);
  }
  return 'mvn';
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; kills it after `timeoutMs`, which rejects. */
export function runToEnd(command: string, args: readonly string[], timeoutMs: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const stopGuard = guard(child);
    const stdout: string[] = [];
    const stderr: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => stdout.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      stopGuard();
    };
    child.once('error', (error) => {
      done();
      reject(error);
    });
    child.once('close', (code) => {
      done();
      const ended = { code, stdout: stdout.join(''), stderr: stderr.join('') };
      if (late) {
        const said = `${ended.stdout.slice(-2000)}${ended.stderr.slice(-4000)}`;
        reject(new Error(`${command} ${args.at(-1) ?? ''} took longer than ${timeoutMs} ms\n${said}`));
      } else resolve(ended);
    });
  });
}

/**
 * Kills `child` (and removes `directory`) when this process ends without having done so itself, whatever ends it: a
 * shell of its own reads from a pipe that closes with this process. The function given back lets go.
 */
export function guard(child: ChildProcess, directory = ''): () => void {
  if (child.pid === undefined) return () => {};
  const script = 'read -r _ && exit; kill -9 "$1"; test -z "$2" || { sleep 1; rm -rf "$2"; }';
  const shell = spawn('sh', ['-c', script, 'sh', String(child.pid), directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  const unreferenced = shell.stdin as typeof shell.stdin & { unref?(): void };
  unreferenced.unref?.();
  return () => shell.stdin.end('done\n');
}
