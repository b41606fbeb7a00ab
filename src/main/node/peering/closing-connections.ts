import type { Connection } from '@libp2p/interface';
import { errorMessage } from '../../../shared/errors.js';

/** Until a remote that does not answer is cut off. */
const CLOSE_TIMEOUT_MS = 1000;

/** Closes a connection with what is on its way on it, or ends it where that does not come to an end within a second. */
export async function closeConnection(connection: Connection): Promise<void> {
  try {
    await connection.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) });
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(errorMessage(error)));
  }
}
