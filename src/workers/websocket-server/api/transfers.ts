/** The files of the archive that are being sent. */

import { closeSync, fstatSync, openSync } from 'node:fs';
import type { ArchiveSegment } from '../../../shared/archive/segment.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import { isMissing } from '../../../shared/journal/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { Shares } from '../../../shared/net/shares.js';
import { holdersOf, type Sources } from '../../../shared/net/sources.js';
import { QUEUES } from '../../../shared/queues.js';
import type { NotificationServerMetrics } from '../metrics.js';
import type { ResponseStream } from '../transport/index.js';
import { PacedAnswer } from './paced-answer.js';
import { type FilePart, transfer } from './transfer.js';

const { slots, perSource } = QUEUES.transfers.bounds;

export interface TransfersComponents {
  readonly sources: Sources;
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
}

/** Sends a part of a segment. `refuse`: answers otherwise, where nothing is sent yet, and else cuts it off. */
type Send = (
  part: Omit<FilePart, 'fd'>,
  out: ResponseStream,
  refuse: (problem: FeedProblem) => void,
) => Promise<void>;

interface Slot {
  giveWay: () => void;
}

export class Transfers {
  readonly #slots = new Shares<Slot>({ slots, givesWay: 'youngest' });

  constructor(private readonly components: TransfersComponents) {}

  /** Open files, and as many connections. */
  get size(): number {
    return this.#slots.size;
  }

  /**
   * Opens the file of `segment` for a client from `client`, and gives what sends a part of it and closes it, which must be called. Throws FeedProblem where there are too many and
   * nobody has more than the client's source, or the file is gone by now.
   */
  open(segment: ArchiveSegment, client: string): Send {
    const slot = this.#slotFor(client);
    let fd: number;
    try {
      fd = openFile(segment);
    } catch (error) {
      this.#slots.release(slot);
      throw error;
    }
    return async (part, out, refuse) => {
      const answer = new PacedAnswer(out, () => {});
      slot.giveWay = () => refuse(new FeedProblem('too_many_connections'));
      try {
        await transfer({ ...part, fd }, answer);
        answer.end();
        this.components.metrics.transfers.inc({ outcome: 'ended' });
      } catch (error) {
        answer.cut();
        this.components.metrics.transfers.inc({ outcome: 'failed' });
        this.components.logger.error(
          { err: error, segment: segment.first },
          'a segment of the archive could not be sent',
        );
      } finally {
        closeSync(fd);
        this.#slots.release(slot);
      }
    };
  }

  #slotFor(client: string): Slot {
    const { sources, metrics } = this.components;
    const slot: Slot = { giveWay: () => {} };
    for (const { item } of this.#slots.take(slot, holdersOf(sources.of(client), perSource))) {
      metrics.transfers.inc({ outcome: item === slot ? 'refused' : 'displaced' });
      if (item === slot) throw new FeedProblem('too_many_connections');
      item.giveWay();
    }
    return slot;
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
