/** The files of the archive that are being sent. */

import { closeSync, fstatSync, openSync } from 'node:fs';
import type { ArchiveSegment } from '../../../shared/archive/segment.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import { isMissing } from '../../../shared/journal/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { ConnectionLedger } from '../../../shared/net/connection-ledger.js';
import { QUEUES } from '../../../shared/queues.js';
import type { NotificationServerMetrics } from '../metrics.js';
import type { ResponseStream } from '../transport/index.js';
import { PacedAnswer } from './paced-answer.js';
import { type FilePart, transfer } from './transfer.js';

const { slots, perSource } = QUEUES.transfers.bounds;
const HOLDER = 'transfers';

export interface TransfersComponents {
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
}

export class Transfers {
  readonly #slots: ConnectionLedger;

  /** One of the `trusted` sources may have more than its share. */
  constructor(
    private readonly components: TransfersComponents,
    trusted: readonly string[],
  ) {
    this.#slots = new ConnectionLedger({ max: slots, perSource, trusted });
  }

  /** Open files, and as many connections. */
  get size(): number {
    return this.#slots.total;
  }

  /**
   * Opens the file of `segment` for a client from `client`, and gives what sends a part of it and closes it, which must be called. Throws FeedProblem where there are too many, or
   * the file is gone by now.
   */
  open(
    segment: ArchiveSegment,
    client: string,
  ): (part: Omit<FilePart, 'fd'>, out: ResponseStream) => Promise<void> {
    if (!this.#slots.admit(HOLDER, client)) {
      this.#count('refused');
      throw new FeedProblem('too_many_connections');
    }
    let fd: number;
    try {
      fd = openFile(segment);
    } catch (error) {
      this.#slots.release(HOLDER, client);
      if (!(error instanceof FeedProblem)) this.#count('failed');
      throw error;
    }
    return async (part, out) => {
      let failed = false;
      const answer = new PacedAnswer(out, (whole) => {
        this.#count(failed ? 'failed' : whole ? 'ended' : 'cut');
      });
      try {
        await transfer({ ...part, fd }, answer);
        answer.end();
      } catch (error) {
        failed = true;
        answer.cut();
        this.components.logger.error(
          { err: error, segment: segment.first },
          'a segment of the archive could not be sent',
        );
      } finally {
        closeSync(fd);
        this.#slots.release(HOLDER, client);
      }
    };
  }

  #count(outcome: 'ended' | 'cut' | 'failed' | 'refused'): void {
    this.components.metrics.transfers.inc({ outcome });
  }
}

/** Throws FeedProblem where it is gone, and an error where it is not what it was. */
function openFile({ path, bytes }: ArchiveSegment): number {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new FeedProblem('not_found', 'there is no such segment, or no longer');
  }
  const { size } = fstatSync(fd);
  if (size === bytes) return fd;
  closeSync(fd);
  throw new Error(`${path} has ${size} bytes, and had ${bytes}`);
}
