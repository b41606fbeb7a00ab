/** Epochs of a journal: within one no number is given twice, and each begins where the one before was known to end. */

import type { EpochStart } from './head.js';
import type { Position, SegmentHead } from './layout.js';

/** Those that the journal's head names and, where that is gone or older than they are, those of its segments; ascending. */
export function knownEpochs(
  stored: readonly EpochStart[],
  segments: Iterable<SegmentHead | undefined>,
): EpochStart[] {
  const epochs = [...stored];
  for (const head of segments) {
    if (head === undefined || epochs.some(({ epoch }) => epoch === head.epoch)) continue;
    epochs.push({ epoch: head.epoch, position: head.position, seq: head.seq });
  }
  return epochs.sort((a, b) => a.position - b.position);
}

/**
 * Where what stood at `position` of `epoch` stands in a journal that ends at `end`: what was lost behind it in a former epoch is passed. Undefined where it is of
 * no epoch that is known.
 */
export function placeInEpochs(
  epochs: readonly EpochStart[],
  { epoch, position }: { readonly epoch: string; readonly position: Position },
  end: Position,
): Position | undefined {
  const index = epochs.findLastIndex((start) => start.epoch === epoch);
  if (index === -1) return undefined;
  const next = epochs[index + 1];
  if (next !== undefined) return Math.min(position, next.position);
  return position <= end ? position : undefined;
}
