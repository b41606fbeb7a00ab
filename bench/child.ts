/** What a benchmark's processes say to each other. */

import type { ChildProcess } from 'node:child_process';

/** The next message of `type` from `child`. Rejects when it ends before, or has. */
export function once<T extends { type: string }>(child: ChildProcess, type: T['type']): Promise<T> {
  return new Promise((resolve, reject) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      reject(new Error(`a process of the benchmark has ended: ${child.exitCode ?? child.signalCode}`));
      return;
    }
    const ended = (code: number | null, signal: NodeJS.Signals | null) => {
      child.off('message', hear);
      reject(new Error(`a process of the benchmark ended: ${code ?? signal}`));
    };
    const hear = (message: unknown) => {
      if ((message as T).type !== type) return;
      child.off('message', hear);
      child.off('exit', ended);
      resolve(message as T);
    };
    child.on('message', hear);
    child.once('exit', ended);
  });
}
