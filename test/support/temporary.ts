/** Directories that a test may fill and that are gone after it. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A new empty directory, removed when the test ends. */
export function temporaryDirectory(context: Pick<TestContext, 'after'>): string {
  const path = mkdtempSync(join(tmpdir(), 'teranode-p2p-test-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
