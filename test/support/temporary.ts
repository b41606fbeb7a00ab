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

/** A new empty directory, removed when the test ends. */
export function temporaryDirectory(context: CleansUp): string {
  const path = mkdtempSync(join(tmpdir(), 'teranode-p2p-test-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
