/** What operators have on their machines: helm, kustomize and kubectl, from pinned Go modules; and Kubernetes' schemas. Made by `.ci/deploy`. */

import { spawnSync } from 'node:child_process';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildGo } from '../interop/build.js';

const MODULE = resolve('test/operators/tools');
/** On the path of what the tests run, in whatever folder that is. */
export const TOOLS = fileURLToPath(new URL('../../operators/bin', import.meta.url));
const PYTHON = resolve('dist/operators/python/bin/python');

export const PATH_WITH_TOOLS = [TOOLS, process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter);

/** Builds all of them. Throws BuildError. */
export async function buildTools(): Promise<void> {
  await buildGo('Building helm, kustomize and kubectl', [
    { module: MODULE, source: 'helm.sh/helm/v4/cmd/helm', output: join(TOOLS, 'helm') },
    { module: MODULE, source: 'sigs.k8s.io/kustomize/kustomize/v5', output: join(TOOLS, 'kustomize') },
    { module: MODULE, source: './kubectl', output: join(TOOLS, 'kubectl') },
  ]);
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program's end, with the tools on its path. */
export function attempt(
  command: string,
  args: readonly string[],
  { input = '', cwd = '.' }: { readonly input?: string; readonly cwd?: string } = {},
): Ran {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    input,
    encoding: 'utf8',
    env: { ...env, PATH: PATH_WITH_TOOLS },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

/** What a program says that ends well. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly input?: string; readonly cwd?: string } = {},
): string {
  const { status, stdout, stderr } = attempt(command, args, options);
  if (status !== 0)
    throw new Error(`${[command, ...args].join(' ')}: exit code ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** Against the schemas of Kubernetes itself, strictly: a property that it does not know is an error. Returns what is wrong. */
export function schemaErrors(
  versions: readonly string[],
  documents: readonly unknown[],
): readonly [version: string, what: string, error: string][] {
  const input = JSON.stringify({ versions, documents });
  return JSON.parse(run(PYTHON, ['test/operators/validate.py'], { input }));
}
