import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../temporary.js';
import { parseList, problemsOf } from './jars.js';

const LISTS = ['broker-3.9.2', 'broker-4.4.0', 'tools-4.3.1'] as const;

/** What a test file that wants a broker says on a machine whose programs are only those in `bin`. */
function startWith(context: TestContext, programs: Readonly<Record<string, string>>) {
  const bin = temporaryDirectory(context);
  const cache = temporaryDirectory(context);
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const program = `
    import { classpathOf } from ${JSON.stringify(resolve('dist/test/support/kafka/jars.js'))};
    import { findJava } from ${JSON.stringify(resolve('dist/test/support/kafka/java.js'))};
    findJava();
    console.log(await classpathOf('tools-4.3.1'));`;
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = { ...inherited, PATH: bin, JAVA_HOME: '', XDG_CACHE_HOME: cache, NODE_V8_COVERAGE: '' };
  const args = ['--input-type=module', '-e', program];
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  const kept = join(cache, 'teranode-p2p', 'kafka');
  return { status, stderr, kept: existsSync(kept) ? readdirSync(kept) : [] };
}

const java = (version: string): string => `echo 'openjdk version "${version}" 2025-01-01' >&2`;

test('every list of jars names each once, with its version and SHA-256', () => {
  for (const list of LISTS) {
    const jars = parseList(readFileSync(resolve('test/support/kafka', `${list}.jars`), 'utf8'));
    assert.ok(jars.length > 30);
    const names = jars.map(({ group, artifact }) => `${group}:${artifact}`);
    assert.equal(new Set(names).size, names.length, list);
  }
  assert.throws(() => parseList('org.apache.kafka:kafka-clients:4.4.0'), /no line of a list/);
});

test('a directory that lacks a jar, or holds a different or an unknown one, is not that of the list', (context) => {
  const directory = temporaryDirectory(context);
  const sha256 = createHash('sha256').update('one').digest('hex');
  const jars = parseList(`g:one:1 ${sha256}\n`);
  assert.deepEqual(problemsOf(join(directory, 'none'), jars), [`${join(directory, 'none')} is not there`]);
  assert.deepEqual(problemsOf(directory, jars), ['one-1.jar is missing']);
  const file = join(directory, 'one-1.jar');
  writeFileSync(file, 'one');
  assert.deepEqual(problemsOf(directory, jars), []);
  writeFileSync(file, 'two');
  assert.deepEqual(problemsOf(directory, jars), ['one-1.jar has another SHA-256 than the list says']);
  mkdirSync(join(directory, 'else'));
  assert.equal(problemsOf(directory, jars)[0], 'else is unknown');
});

test('without Java or Maven, or with a Java too old, it says what to install', (context) => {
  for (const [programs, expected] of [
    [{}, /needs Java 17 and Maven: install both \(Debian: .*\)/],
    [{ java: java('11.0.2') }, /needs Java 17, this is 11: install both/],
    [{ java: java('17.0.15') }, /fetched by Maven, which is missing: install both/],
  ] as const) {
    const { status, stderr } = startWith(context, programs);
    assert.notEqual(status, 0);
    assert.match(stderr, expected);
  }
});

test('what Maven fetches and the list does not know is refused, and nothing is kept of it', (context) => {
  const { status, stderr, kept } = startWith(context, {
    java: java('17.0.15'),
    // Puts one file where it was told to put the jars.
    mvn: 'for a; do case "$a" in -DoutputDirectory=*) d="${a#*=}"; /bin/mkdir -p "$d"; echo no > "$d/strange.jar";; esac; done',
  });
  assert.notEqual(status, 0);
  assert.match(stderr, /what Maven fetched is refused: strange\.jar is unknown; .*is missing/);
  assert.deepEqual(kept, []);
});

test('a Maven that fails is quoted', (context) => {
  const { status, stderr, kept } = startWith(context, {
    java: java('17.0.15'),
    mvn: 'case "$1" in -v) exit 0;; esac; echo "no route to the repository"; exit 1',
  });
  assert.notEqual(status, 0);
  assert.match(stderr, /Maven cannot fetch tools-4\.3\.1:\nno route to the repository/);
  assert.deepEqual(kept, []);
});
