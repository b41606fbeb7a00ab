/** Go programs, built once a run; what has not changed comes from Go's own cache. */

import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const MODULE = resolve('test/interop');
/** The program that plays the neighbours. */
export const NEIGHBOUR = resolve('dist/interop/neighbour');
/** What every program's protocol definitions compile to; the Go side reads it and needs no generated code. */
export const DESCRIPTORS = resolve('dist/interop/descriptors.binpb');
/** The same of the services around a node of early 2025. */
export const EARLY_DESCRIPTORS = resolve('dist/interop/early-descriptors.binpb');
/** The programs of a network of early 2025, on that time's modules: a module of its own, for one program has one version of each. */
export const EARLY = resolve('dist/interop/early');
const EARLY_MODULE = join(MODULE, 'early');
/** What people call a gRPC port with by hand; its version is pinned in a module of its own. */
export const GRPCURL = resolve('dist/interop/grpcurl');
/** OpenTelemetry's own Collector, pinned in a module of its own. */
export const COLLECTOR = resolve('dist/interop/collector');
const COLLECTOR_MODULE = join(MODULE, 'collector');
const GRPCURL_MODULE = join(MODULE, 'grpcurl');
const GRPCURL_PACKAGE = 'github.com/fullstorydev/grpcurl/cmd/grpcurl';
const SHOWN_LINES = 40;

/** What is missing, for a person; no stack wanted. */
export class BuildError extends Error {}

type Step = (title: string, work: (line: (text: string) => void) => Promise<void>) => Promise<void>;

/** Builds the Go programs of the suite. Throws BuildError as {@link buildGo}. */
export async function buildNeighbour(): Promise<void> {
  const programs = [
    { module: MODULE, output: NEIGHBOUR },
    { module: EARLY_MODULE, output: EARLY },
    { module: GRPCURL_MODULE, source: GRPCURL_PACKAGE, output: GRPCURL },
    { module: COLLECTOR_MODULE, output: COLLECTOR },
  ];
  const buf = join('node_modules', '@bufbuild', 'buf', 'bin', 'buf');
  await buildGo('Building the Go programs', programs, async (line) => {
    for (const [protos, output] of [
      ['proto', DESCRIPTORS],
      [join(EARLY_MODULE, 'proto'), EARLY_DESCRIPTORS],
    ] as const) {
      await run(process.execPath, [buf, 'build', protos, '-o', output], '.', line);
    }
  });
}

export interface GoProgram {
  /** Folder of the go.mod that pins its modules. */
  readonly module: string;
  /** Its package; the module's own unless told. */
  readonly source?: string;
  readonly output: string;
}

/**
 * Builds Go programs, after `before`; `title` is on the terminal meanwhile. Throws BuildError when there is no Go, or one that is too old, or
 * a build fails.
 */
export async function buildGo(
  title: string,
  programs: readonly GoProgram[],
  before: (line: (text: string) => void) => Promise<void> = async () => {},
): Promise<void> {
  for (const { module, output } of programs) {
    checkGo(module);
    mkdirSync(dirname(output), { recursive: true });
  }
  const { step } = (await import(pathToFileURL(resolve('bin/progress.mjs')).href)) as { step: Step };
  await step(title, async (line) => {
    await before(line);
    for (const { module, source = '.', output } of programs) {
      await run('go', ['build', '-v', '-buildvcs=false', '-o', output, source], module, line);
    }
  });
}

function checkGo(module: string): void {
  const wanted = /^go (\S+)$/m.exec(readFileSync(join(module, 'go.mod'), 'utf8'))?.[1] ?? '';
  const advice = `install Go ${wanted} or later (https://go.dev/dl/), then run it again.`;
  const { error, stdout }: SpawnSyncReturns<string> = spawnSync('go', ['env', 'GOVERSION'], {
    encoding: 'utf8',
  });
  if (error !== undefined) throw new BuildError(`Go is not on the path: ${advice}`);
  const found = stdout.trim().replace(/^go/, '');
  if (compareVersions(found, wanted) < 0) {
    throw new BuildError(`Go ${found} is on the path and is too old: ${advice}`);
  }
}

/** Below zero when `left` is the older; of a release candidate its number is not looked at. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (let at = 0; at < 3; at++) {
    const difference = (a?.[at] ?? 0) - (b?.[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Resolves when the command ended well; rejects with the end of its output. */
async function run(
  command: string,
  args: string[],
  cwd: string,
  onLine: (text: string) => void,
): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const kept: string[] = [];
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (text) => {
      onLine(text);
      kept.push(text);
      if (kept.length > SHOWN_LINES) kept.shift();
    });
  }
  const code = await new Promise((done, fail) => child.once('close', done).once('error', fail));
  if (code !== 0) throw new BuildError(`${command} ended with ${String(code)}:\n${kept.join('\n')}`);
}
