/** What whole process trees cost, from Linux's own books: read from outside, so the same for every program. */

import { readdirSync, readFileSync } from 'node:fs';
import { cpuSeconds } from './gossip/threads.js';

export interface Cost {
  /** CPU seconds since their start, user and system. */
  readonly cpu: number;
  /** Resident memory, MiB; what processes share counts in each. */
  readonly memory: number;
}

/** `pid` and all its descendants that live. Throws where there is no /proc. */
export function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(name);
    if (parent === undefined) continue;
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (const each of tree) tree.push(...(children.get(each) ?? []));
  return tree;
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold blanks.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

/** Of the processes together; one that has ended counts nothing. */
export function costOf(pids: readonly number[]): Cost {
  let [cpu, memory] = [0, 0];
  for (const pid of pids) {
    try {
      cpu += cpuSeconds(`/proc/${pid}`);
      const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      memory += Number(resident?.[1] ?? 0) / 1024;
    } catch {
      // It has ended meanwhile.
    }
  }
  return { cpu, memory };
}

/** Resident memory of the processes together, MiB, with what some share divided among them. */
export function proportionalMemory(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      return sum + Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) / 1024;
    } catch {
      // It has ended meanwhile.
      return sum;
    }
  }, 0);
}
