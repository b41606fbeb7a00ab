/** What can be wrong with the outbox. */

/** The outbox cannot be opened and a retry would not help. */
export class OutboxUnusableError extends Error {
  override readonly name = 'OutboxUnusableError';
}

/** A write failed, such as on a full disk; the outbox opens itself again and again until one succeeds. */
export class OutboxFailingError extends Error {
  override readonly name = 'OutboxFailingError';
}

/** The code LevelDB gave, of the error itself or what caused it. */
export function levelCode(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = (at as NodeJS.ErrnoException).code ?? '';
    if (code === 'LEVEL_LOCKED' || code === 'LEVEL_CORRUPTION') return code;
    if (/^corruption/i.test(at.message)) return 'LEVEL_CORRUPTION';
  }
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

/** The text of the innermost cause: LevelDB's own words, on one line. */
export function levelMessage(error: unknown): string {
  let message = String(error);
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    message = at.message;
  }
  return message.replace(/\s+/g, ' ').slice(0, 300);
}
