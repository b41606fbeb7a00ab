/**
 * What gateways show: the frames of the notifications topic, in its order, each once. After a death a node goes over some of them again, which
 * are merged.
 */

import { createHash } from 'node:crypto';
import { type FeedHistory, firstSince, type Shown, wordOfShown } from './history.js';

/** Behind a frame's own keys. */
const STAMP = /,"epoch":"([0-9a-f]{16})","seq":(\d+),"received_at":(\d+),"author":"(\w+)","flags":(\d+)\}$/;

export class TopicHistory implements FeedHistory {
  readonly shown: (Shown & { readonly cursor: string })[] = [];
  readonly #byText = new Map<string, number>();
  readonly #byWord = new Map<string, number>();

  /** `values` of the records, from offset 0 on. Throws where one is no frame. */
  constructor(values: readonly Uint8Array[]) {
    for (const [offset, value] of values.entries()) {
      const record = Buffer.from(value).toString();
      const [stamp = '', epoch = '', , receivedAt, author = '', flags] = STAMP.exec(record) ?? [];
      if (stamp === '') throw new Error(`a record that is no frame: ${record}`);
      const text = `${record.slice(0, -stamp.length)}}`;
      const { type: kind } = JSON.parse(text) as { type: string };
      const own = flags === '1';
      const word = own ? text : wordOfShown({ kind, author, text });
      if (this.#byWord.has(word)) continue;
      this.#byWord.set(word, this.shown.length);
      this.#byText.set(text, this.shown.length);
      const hash = createHash('sha256').update(value).digest('hex').slice(0, 8);
      this.shown.push({
        epoch,
        seq: offset,
        cursor: `${offset}.${hash}`,
        kind,
        author,
        text,
        receivedAt: Number(receivedAt),
        own,
        lostFrom: Number.POSITIVE_INFINITY,
      });
    }
  }

  indexOf(text: string): number {
    const { seq } = JSON.parse(text) as { seq?: unknown };
    const at = this.shown.findIndex((one) => one.seq === seq);
    const one = this.shown[at];
    if (one === undefined) throw new Error(`nothing is to be shown at offset ${seq}`);
    const own = `${one.text.slice(0, -1)},"cursor":"${one.cursor}","epoch":"`;
    const rest = `","seq":${one.seq},"received_at":"${new Date(one.receivedAt).toISOString()}"}`;
    const epoch = text.slice(own.length, -rest.length);
    if (!text.startsWith(own) || !text.endsWith(rest) || !/^[0-9a-f]{16}$/.test(epoch))
      throw new Error(`${text} is not as it is in the topic: ${one.text} at ${one.cursor}`);
    return at;
  }

  indexOfPlain(text: string): number | undefined {
    return this.#byText.get(text);
  }

  countAt(cursor: unknown): number {
    // Of a gateway that has nothing yet.
    if (cursor === 'oldest') return 0;
    const [, offset] = /^(-?\d+)\.[0-9a-f]{8}$/.exec(String(cursor)) ?? [];
    if (offset === undefined) throw new Error(`the cursor ${cursor} names no place`);
    const at = this.shown.findIndex(({ seq }) => seq > Number(offset));
    return at === -1 ? this.shown.length : at;
  }

  oldestIn(): number {
    return 0;
  }

  firstSince(ms: number): number {
    return firstSince(this.shown, ms);
  }

  behind(words: readonly string[]): number {
    return 1 + Math.max(...words.map((word) => this.#byWord.get(word) ?? -1));
  }
}
