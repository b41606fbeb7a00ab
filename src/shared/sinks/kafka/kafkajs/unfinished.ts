/**
 * What a producer remembers of a batch that failed, so that trying it again neither loses a record nor repeats one.
 *
 * Of the partitions of a failed batch some have acknowledged their records: those are not sent again. Of others nobody knows:
 * the request may have been carried out and its answer lost. Kafka recognises such a request when it comes again from the same
 * producer with the same sequence numbers and the same number of records; with other records behind the same numbers it
 * would acknowledge what it never stored. So a shipment in doubt is sent again exactly as it was, or never as the same
 * producer.
 */

import type { KafkaRecord } from '../types.js';

/** A record, and whether Kafka has acknowledged it. */
export interface Entry {
  readonly record: KafkaRecord;
  acknowledged: boolean;
}

/** What one partition gets with one request. */
export interface Shipment {
  readonly partition: number;
  readonly entries: readonly Entry[];
}

export class UnfinishedBatch {
  #entries: readonly Entry[] = [];
  #inDoubt: readonly Shipment[] = [];

  /** Shipments of which nobody knows. */
  get inDoubt(): readonly Shipment[] {
    return this.#inDoubt;
  }

  /**
   * Entries for `records`, with what is known of them: a batch that is tried again begins with the records with which it
   * failed, or is a piece from their front. What lies behind that piece is `rest`. `sameShipments` says whether all that
   * was in doubt can go out again as it was.
   */
  resume(records: readonly KafkaRecord[]): {
    readonly entries: readonly Entry[];
    readonly rest: readonly Entry[];
    readonly sameShipments: boolean;
  } {
    let known = 0;
    while (known < records.length && known < this.#entries.length) {
      if (!sameRecord(records[known], this.#entries[known]?.record)) break;
      known++;
    }
    const entries = records.map(
      (record, index): Entry =>
        (index < known ? this.#entries[index] : undefined) ?? { record, acknowledged: false },
    );
    const within = new Set(entries);
    return {
      entries,
      // Other records came in between: of those behind nothing can be said.
      rest: known === records.length ? this.#entries.slice(known) : [],
      sameShipments: this.#inDoubt.every((shipment) => shipment.entries.every((entry) => within.has(entry))),
    };
  }

  /** After a failure: what there is to know, and `rest`, which was not tried this time. */
  keep(entries: readonly Entry[], rest: readonly Entry[], inDoubt: readonly Shipment[]): void {
    this.#entries = [...entries, ...rest];
    this.#inDoubt = inDoubt;
  }

  /** After success: nothing is known but of `rest`. */
  finish(rest: readonly Entry[]): void {
    this.#entries = rest.some(({ acknowledged }) => acknowledged) ? rest : [];
    this.#inDoubt = [];
  }

  /** The producer is another from now on. */
  forgetDoubts(): void {
    this.#inDoubt = [];
  }
}

function sameRecord(one: KafkaRecord | undefined, other: KafkaRecord | undefined): boolean {
  return sameBytes(one?.value, other?.value) && sameBytes(one?.key, other?.key);
}

function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === other) return true;
  return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
}
