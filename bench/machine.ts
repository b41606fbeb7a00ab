/** What the figures were measured on, told without saying whose machine it is. */

import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
  /** Commit of the checkout, with `+` where it was changed; empty outside of one. */
  readonly commit: string;
  /** Load of the machine over the minute before: other work shows here. */
  readonly loadBefore: number;
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

export function describeMachine(): Machine {
  const commit = git('rev-parse', '--short', 'HEAD');
  const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    commit: commit === '' ? '' : `${commit}${changed ? '+' : ''}`,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  };
}
