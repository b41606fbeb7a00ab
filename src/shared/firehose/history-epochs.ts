/** The epochs of a journal that somebody else writes. */

import { knownEpochs } from '../journal/epochs.js';
import type { FileCalls } from '../journal/files.js';
import { type EpochStart, readHead } from '../journal/head.js';
import type { Position } from '../journal/layout.js';
import type { JournalReader } from '../journal/reader.js';

export class HistoryEpochs {
  #known: readonly EpochStart[] = [];

  constructor(
    private readonly options: {
      readonly directory: string;
      readonly files: FileCalls;
      readonly reader: JournalReader;
    },
  ) {}

  /** Looks which there are. */
  refresh(): readonly EpochStart[] {
    const { directory, files, reader } = this.options;
    this.#known = knownEpochs(readHead(files, directory)?.epochs ?? [], reader.heads());
    return this.#known;
  }

  /** Ascending, none behind `last`; those there are where nothing is known of that one. */
  upTo(last: string): readonly EpochStart[] {
    const known = this.#known.some(({ epoch }) => epoch === last) ? this.#known : this.refresh();
    const index = known.findLastIndex(({ epoch }) => epoch === last);
    return index === -1 ? known : known.slice(0, index + 1);
  }

  /** In which `position` is, of those up to `last`. */
  of(position: Position, last: string): string {
    return this.upTo(last).findLast((start) => start.position <= position)?.epoch ?? last;
  }
}
