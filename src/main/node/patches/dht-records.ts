/**
 * What strangers may make the DHT keep has bounds.
 *
 * Reason: the library stores a record for whoever provides whatever, on disk and for two days, and keeps public keys for ever. Identities
 * and content names cost nothing.
 */

import type { PeerId, PeerStore } from '@libp2p/interface';
import type { Validators } from '@libp2p/kad-dht';
import type { Libp2pOptions } from 'libp2p';
import { base32 } from 'multiformats/bases/base32';
import type { CID } from 'multiformats/cid';
import { libraryTime } from '../../../shared/clock.js';

/** Some 4 MB on disk. */
const MAX_RECORDS = 20_000;
/** A node provides one record a topic; others on a shared DHT more. */
const MAX_OF_PEER = 256;
/** All of one name are read for every answer. */
const MAX_OF_NAME = 256;
/** A record told again this soon is not written again. */
const REWRITE_MS = 600_000;
/** As the library has it. */
const RECORDS = '/dht/provider';

/** What the DHT has and its type does not show. */
export interface RecordingDht {
  readonly providers: {
    addProvider(cid: CID, provider: PeerId, options?: object): Promise<void>;
    removeProvider(cid: CID, provider: PeerId, options?: object): Promise<void>;
    getProviders(cid: CID, options?: object): Promise<PeerId[]>;
  };
}

export interface DhtRecordsComponents {
  readonly peerId: PeerId;
  readonly peerStore: Pick<PeerStore, 'has'>;
  readonly datastore: Pick<NonNullable<Libp2pOptions['datastore']>, 'queryKeys' | 'delete'>;
}

export interface DhtRecordsOptions {
  /**
   * Records of others.
   * @default 20,000
   */
  readonly maxRecords?: number;
  /**
   * Of one peer.
   * @default 256
   */
  readonly maxOfPeer?: number;
  /**
   * Of one name.
   * @default 256
   */
  readonly maxOfName?: number;
}

/** Nothing of this network is a value in the DHT, and what others put there is never deleted: none is taken. */
export const NO_VALUES: Validators = {
  pk: () => {
    throw new RangeError('this node keeps no public keys of others');
  },
};

interface StoredRecord {
  readonly name: string;
  readonly peer: string;
  /** Unix ms. */
  readonly written: number;
  remove(): Promise<void>;
}

/**
 * Which records of others are stored, the least recently told first: that one goes where there are too many. Nodes tell theirs every few
 * seconds, so a flood pushes out its own before theirs.
 */
export class StoredRecords {
  readonly #limits: Required<Pick<DhtRecordsOptions, 'maxRecords' | 'maxOfPeer' | 'maxOfName'>>;
  readonly #all = new Map<string, StoredRecord>();
  readonly #ofPeer = new Map<string, Set<string>>();
  readonly #ofName = new Map<string, Set<string>>();

  constructor({ maxRecords, maxOfPeer, maxOfName }: DhtRecordsOptions = {}) {
    this.#limits = {
      maxRecords: maxRecords ?? MAX_RECORDS,
      maxOfPeer: maxOfPeer ?? MAX_OF_PEER,
      maxOfName: maxOfName ?? MAX_OF_NAME,
    };
  }

  get size(): number {
    return this.#all.size;
  }

  /** When the record was written last, unix ms; 0 when it is not stored. */
  written(key: string): number {
    return this.#all.get(key)?.written ?? 0;
  }

  /** Remembers that a record was told, and takes out those that are too many; the caller removes them. */
  told(key: string, record: StoredRecord): StoredRecord[] {
    this.#drop(key);
    this.#all.set(key, record);
    const ofPeer = add(this.#ofPeer, record.peer, key);
    const ofName = add(this.#ofName, record.name, key);
    const { maxRecords, maxOfPeer, maxOfName } = this.#limits;
    const out: StoredRecord[] = [];
    for (const [keys, max] of [
      [ofPeer, maxOfPeer],
      [ofName, maxOfName],
      [this.#all, maxRecords],
    ] as const) {
      for (const oldest of keys.keys()) {
        if (keys.size <= max) break;
        const dropped = this.#drop(oldest);
        if (dropped !== undefined) out.push(dropped);
      }
    }
    return out;
  }

  #drop(key: string): StoredRecord | undefined {
    const record = this.#all.get(key);
    if (record === undefined) return undefined;
    this.#all.delete(key);
    remove(this.#ofPeer, record.peer, key);
    remove(this.#ofName, record.name, key);
    return record;
  }
}

function add(index: Map<string, Set<string>>, under: string, key: string): Set<string> {
  const keys = index.get(under) ?? new Set();
  index.set(under, keys.add(key));
  return keys;
}

function remove(index: Map<string, Set<string>>, under: string, key: string): void {
  const keys = index.get(under);
  keys?.delete(key);
  if (keys?.size === 0) index.delete(under);
}

/** Applies the patch to one DHT that has not been started. */
export function boundDhtRecords(
  { providers }: RecordingDht,
  { peerId, peerStore, datastore }: DhtRecordsComponents,
  options: DhtRecordsOptions = {},
): void {
  const records = new StoredRecords(options);
  const [addProvider, getProviders] = [
    providers.addProvider.bind(providers),
    providers.getProviders.bind(providers),
  ];
  const own = peerId.toString();

  const load = async (): Promise<void> => {
    for await (const stored of datastore.queryKeys({ prefix: RECORDS })) {
      const key = stored.toString();
      const [name = '', peer = ''] = key.slice(RECORDS.length + 1).split('/');
      if (peer === own) continue;
      const gone = records.told(key, {
        name,
        peer,
        written: 0,
        remove: async () => datastore.delete(stored),
      });
      for (const record of gone) await record.remove();
    }
  };
  let loaded: Promise<void> | undefined;

  providers.addProvider = async (cid, provider, more) => {
    if (provider.equals(peerId)) return addProvider(cid, provider, more);
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    await loaded;
    const [name, peer] = [nameOf(cid), provider.toString()];
    const key = `${RECORDS}/${name}/${peer}`;
    const now = libraryTime();
    const before = records.written(key);
    const isFresh = now - before < REWRITE_MS;
    const gone = records.told(key, {
      name,
      peer,
      written: isFresh ? before : now,
      remove: () => providers.removeProvider(cid, provider),
    });
    if (!isFresh) await addProvider(cid, provider, more);
    for (const record of gone) await record.remove();
  };

  // The library's answer fails whole when the peer store has forgotten one of them.
  providers.getProviders = async (cid, more) => {
    const known: PeerId[] = [];
    for (const provider of await getProviders(cid, more)) {
      if (provider.equals(peerId) || (await peerStore.has(provider))) known.push(provider);
    }
    return known;
  };
}

/** As the library spells it in its keys. */
function nameOf(cid: CID): string {
  return base32.baseEncode(cid.multihash.bytes);
}
