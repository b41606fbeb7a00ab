/** Directories that a test may fill and that are gone after it. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A test's context, or {@link SharedByTests}. */
export interface CleansUp {
  after(fn: () => void | Promise<void>): void;
}

/** What the tests of a suite share: made in `before`, cleaned up by calling `clean` in `after`, the newest first. */
export class SharedByTests implements CleansUp {
  readonly #cleaning: (() => void | Promise<void>)[] = [];

  after(fn: () => void | Promise<void>): void {
    this.#cleaning.push(fn);
  }

  async clean(): Promise<void> {
    for (let next = this.#cleaning.pop(); next !== undefined; next = this.#cleaning.pop()) await next();
  }
}

/** Of tests that are ending, and of all. */
const left = new Set<string>();
const made = new Set<string>();

function remove(paths: Set<string>): void {
  for (const path of [...paths]) {
    // What still ends may write once more.
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
    left.delete(path);
    made.delete(path);
  }
}

/**
 * A new empty directory. It is removed after the test has ended, with the next that is made or with the process: the hooks of a
 * test run in the order in which they were registered, so what works in the directory ends after the hook registered here. Not
 * for tests of a file that run at the same time, one of which may end while another makes the next.
 */
export function temporaryDirectory(context: CleansUp): string {
  if (made.size === 0) process.once('exit', () => remove(made));
  remove(left);
  const path = mkdtempSync(join(tmpdir(), 'teranode-p2p-test-'));
  made.add(path);
  context.after(() => {
    left.add(path);
  });
  return path;
}
