/** Ending a thread or a process that was told to end. */

/**
 * Resolves when `gone` does. Where that takes longer than `patienceMs` milliseconds, `kill` is called to hasten it. Gives whether it went by itself.
 */
export async function goneWithin(
  gone: Promise<unknown>,
  patienceMs: number,
  kill: () => unknown,
): Promise<boolean> {
  let byItself = true;
  const timer = setTimeout(
    () => {
      byItself = false;
      kill();
    },
    Math.max(0, patienceMs),
  );
  try {
    await gone;
  } finally {
    clearTimeout(timer);
  }
  return byItself;
}
