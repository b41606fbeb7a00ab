import type { TestContext } from 'node:test';

/** Ends what a test has opened, once: when the answer is called, or else after the test. */
export function closing(context: TestContext, close: () => Promise<void>): () => Promise<void> {
  let closed: Promise<void> | undefined;
  const once = (): Promise<void> => {
    closed ??= close();
    return closed;
  };
  context.after(once);
  return once;
}
