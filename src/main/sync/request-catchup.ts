/** Tells the node's block validation, through Kafka, of a block that a peer has: it then catches up from there. */

import { wall } from '../../shared/clock.js';
import { block } from '../../shared/messages/index.js';
import { outcomeIndex } from '../../shared/messages/outcomes.js';
import { announcedRecord } from '../../shared/messages/record.js';
import { blocks } from '../../shared/messages/topics.js';
import { encodeCheckedBatch } from '../../shared/pipeline/checked-batch.js';
import type { PublishedBatch } from '../../shared/pipeline/types.js';
import type { Settings } from '../../shared/settings/table.js';
import type { SyncCandidate } from './candidates.js';

export interface CatchupComponents {
  readonly settings: Pick<Settings, 'kafka_record_format'>;
  /** The publisher: what it answers `ok` for is in the outbox. */
  readonly publisher: { publish(batch: ArrayBuffer): Promise<PublishedBatch> };
}

const NOTHING = new Uint8Array(0);
const OK = outcomeIndex('ok');

/**
 * Puts the candidate's best block into the outbox for the blocks topic, as if the peer had announced it now. It is no repeat of
 * an announcement: the very point may be that the first was in vain. False where the outbox refuses it; rejects while stopping.
 */
export async function requestCatchup(
  { settings, publisher }: CatchupComponents,
  { id, hash, dataHubUrl }: Pick<SyncCandidate, 'id' | 'hash' | 'dataHubUrl'>,
): Promise<boolean> {
  const record = announcedRecord(blocks, { hash, dataHubUrl, peerId: id }, settings.kafka_record_format);
  const batch = encodeCheckedBatch([
    {
      outcome: OK,
      kind: block.id,
      own: false,
      author: id,
      standing: 'configured',
      proven: false,
      receivedAt: wall.told(),
      repeatKey: '',
      hashKey: '',
      frame: NOTHING,
      record,
      fact: '',
    },
  ]);
  const { outcomes } = await publisher.publish(batch);
  return outcomes[0] === OK;
}
