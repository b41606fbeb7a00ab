/** What can be wrong with the journal. */

/** The journal cannot be opened and a retry would not help. */
export class JournalUnusableError extends Error {
  override readonly name = 'JournalUnusableError';
}

/** Nothing can be stored at the moment, such as on a full disk. */
export class JournalFailingError extends Error {
  override readonly name = 'JournalFailingError';
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** Whether `error` says that there is no space left. */
export const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '');

/** Whether `error` says that the file is not there. */
export const isMissing = (error: unknown): boolean => codeOf(error) === 'ENOENT';

/** Whether `error` says that the file may not grow. */
export const isTooLarge = (error: unknown): boolean => codeOf(error) === 'EFBIG';

/** Whether `error` says that the disk no longer gives what it was given. */
export const isUnreadable = (error: unknown): boolean => codeOf(error) === 'EIO';
