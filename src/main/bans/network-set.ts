/** Banned addresses and subnets of both families: one table for each prefix length in use, longest first. */

import type { Subnet } from '../../shared/net/ip.js';
import { type AddressWords, bytesToWords, maskWords, parseAddressWords } from './address-words.js';
import { PrefixTable } from './prefix-table.js';

interface Level {
  readonly prefix: number;
  readonly table: PrefixTable;
}

export class NetworkSet {
  readonly #levels: Record<4 | 6, Level[]> = { 4: [], 6: [] };
  // Scratch: nothing here waits, so one look at a time.
  readonly #address: AddressWords = new Uint32Array(4);
  readonly #network: AddressWords = new Uint32Array(4);

  set(subnet: Subnet, until: number): void {
    const levels = this.#levels[subnet.family];
    let level = levels.find(({ prefix }) => prefix === subnet.prefix);
    if (level === undefined) {
      level = { prefix: subnet.prefix, table: new PrefixTable(subnet.family === 4 ? 1 : 4) };
      levels.push(level);
      levels.sort((one, other) => other.prefix - one.prefix);
    }
    bytesToWords(subnet.bytes, this.#network);
    level.table.set(this.#network, until);
  }

  delete(subnet: Subnet): void {
    const levels = this.#levels[subnet.family];
    const index = levels.findIndex(({ prefix }) => prefix === subnet.prefix);
    const level = levels[index];
    if (level === undefined) return;
    bytesToWords(subnet.bytes, this.#network);
    level.table.delete(this.#network);
    if (level.table.size === 0) levels.splice(index, 1);
  }

  clear(): void {
    this.#levels[4] = [];
    this.#levels[6] = [];
  }

  /** Whether the address lies in a ban that lasts beyond `now`. False for text that is no address. */
  covers(address: string, now: number): boolean {
    const family = parseAddressWords(address, this.#address);
    return family !== 0 && this.#covering(family, 128, now) !== -1;
  }

  /** Prefix length of the longest ban that covers all of `subnet` and lasts beyond `now`, -1 for none. */
  coveringPrefix(subnet: Subnet, now: number): number {
    bytesToWords(subnet.bytes, this.#address);
    return this.#covering(subnet.family, subnet.prefix, now);
  }

  #covering(family: 4 | 6, longest: number, now: number): number {
    const words = family === 4 ? 1 : 4;
    for (const { prefix, table } of this.#levels[family]) {
      if (prefix > longest) continue;
      maskWords(this.#address, this.#network, prefix, words);
      if (table.until(this.#network) > now) return prefix;
    }
    return -1;
  }
}
