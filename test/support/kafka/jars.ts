/** The jars of Apache Kafka: named and checked by the `.jars` lists beside this file, fetched by Maven, kept in a cache. */

import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { findMaven, runToEnd } from './java.js';

/** A list of jars that make one classpath. The tools talk to every broker. */
export type JarList = 'broker-3.9.2' | 'broker-4.4.0' | 'tools-4.3.1';

interface Jar {
  readonly group: string;
  readonly artifact: string;
  readonly version: string;
  readonly sha256: string;
}

const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';
/** A slow line takes its time over some 50 MB. */
const FETCH_MS = 300_000;
const ABANDONED_MS = 3_600_000;

const found = new Map<JarList, Promise<string>>();

/** The classpath of `list`. Fetches what the cache lacks; rejects when a jar is not the one that the list names. */
export function classpathOf(list: JarList): Promise<string> {
  let classpath = found.get(list);
  if (classpath === undefined) {
    classpath = locate(list);
    found.set(list, classpath);
  }
  return classpath;
}

async function locate(list: JarList): Promise<string> {
  const jars = parseList(readFileSync(resolve('test/support/kafka', `${list}.jars`), 'utf8'));
  const directory = join(cacheDirectory(), list);
  if (problemsOf(directory, jars).length > 0) await fetch(list, jars, directory);
  return jars.map((jar) => join(directory, fileName(jar))).join(':');
}

function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME ?? '';
  return join(base === '' ? join(homedir(), '.cache') : base, 'teranode-p2p', 'kafka');
}

export function parseList(text: string): Jar[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const parts = /^([\w.-]+):([\w.-]+):([\w.-]+) ([0-9a-f]{64})$/.exec(line);
      const [, group, artifact, version, sha256] = parts ?? [];
      if (!group || !artifact || !version || !sha256) throw new Error(`no line of a list of jars: ${line}`);
      return { group, artifact, version, sha256 };
    });
}

function fileName({ artifact, version }: Jar): string {
  return `${artifact}-${version}.jar`;
}

/** What a directory has too few, too many or otherwise than the list says. */
export function problemsOf(directory: string, jars: readonly Jar[]): string[] {
  if (!existsSync(directory)) return [`${directory} is not there`];
  const expected = new Map(jars.map((jar) => [fileName(jar), jar.sha256]));
  const files = readdirSync(directory);
  const unknown = files.filter((file) => !expected.has(file)).map((file) => `${file} is unknown`);
  const missing = [...expected.keys()].filter((file) => !files.includes(file));
  const different = files.filter((file) => {
    const sha256 = expected.get(file);
    if (sha256 === undefined) return false;
    return (
      createHash('sha256')
        .update(readFileSync(join(directory, file)))
        .digest('hex') !== sha256
    );
  });
  return [
    ...unknown,
    ...missing.map((file) => `${file} is missing`),
    ...different.map((file) => `${file} has another SHA-256 than the list says`),
  ];
}

/** Fetched aside, checked, then put in place by one rename: who is interrupted, or second, harms nobody. */
async function fetch(list: string, jars: readonly Jar[], directory: string): Promise<void> {
  const maven = findMaven();
  console.error(`# fetching ${list} of Apache Kafka with Maven (once)`);
  removeAbandoned(dirname(directory));
  const aside = `${directory}.${randomUUID()}`;
  mkdirSync(aside, { recursive: true });
  try {
    const pom = join(aside, 'pom.xml');
    const fetched = join(aside, 'jars');
    writeFileSync(pom, pomOf(jars));
    const args = ['-q', '-B', '-f', pom, `${PLUGIN}:copy-dependencies`, `-DoutputDirectory=${fetched}`];
    let ended = await runToEnd(maven, args, FETCH_MS);
    // Two at once disturb each other in Maven's own store.
    if (ended.code !== 0) ended = await runToEnd(maven, args, FETCH_MS);
    if (ended.code !== 0) {
      throw new Error(
        `Maven cannot fetch ${list}:\n${ended.stdout.slice(-4000)}${ended.stderr.slice(-4000)}`,
      );
    }
    const problems = problemsOf(fetched, jars);
    if (problems.length > 0) throw new Error(`what Maven fetched is refused: ${problems.join('; ')}`);
    if (problemsOf(directory, jars).length === 0) return;
    rmSync(directory, { recursive: true, force: true });
    try {
      renameSync(fetched, directory);
    } catch (error) {
      if (problemsOf(directory, jars).length > 0) throw error;
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** What a fetch that was killed has left. */
function removeAbandoned(cache: string): void {
  if (!existsSync(cache)) return;
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    const isAside = /\.[0-9a-f]{8}-[0-9a-f-]{27}$/.test(name);
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    // biome-ignore lint/plugin: the age of a file.
    if (isAside && Date.now() - mtimeMs > ABANDONED_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** Every jar by its exact version, and nothing that it depends on besides: the list is whole. */
function pomOf(jars: readonly Jar[]): string {
  const dependencies = jars.map(
    ({ group, artifact, version }) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>` +
      '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>',
  );
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>',
    '<groupId>jars</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>',
    `<dependencies>\n${dependencies.join('\n')}\n</dependencies></project>`,
  ].join('\n');
}
