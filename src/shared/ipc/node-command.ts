/** Another Node process like this one. */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';

/**
 * How to start one: command and leading arguments. `TERANODE_P2P_NODE` (words separated by blanks) says it where `process.execPath` does not, as when Node runs
 * through another C library's loader.
 */
export function nodeCommand(environment: NodeJS.ProcessEnv = process.env): readonly [string, ...string[]] {
  const [command, ...rest] = (environment.TERANODE_P2P_NODE ?? '').split(/\s+/).filter((word) => word !== '');
  return command === undefined ? [process.execPath] : [command, ...rest];
}

export interface NodeProcessOptions {
  /** Arguments of the program. */
  readonly args: readonly string[];
  /**
   * MB of its heap's old space.
   * @default Node's own
   */
  readonly heapMb?: number | undefined;
  readonly stdio: StdioOptions;
}

/** Starts `program`, a file of JavaScript. */
export function spawnNode(program: string, { args, heapMb, stdio }: NodeProcessOptions): ChildProcess {
  const [command, ...leading] = nodeCommand();
  const limits = heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`];
  return spawn(command, [...leading, ...limits, program, ...args], { stdio });
}
