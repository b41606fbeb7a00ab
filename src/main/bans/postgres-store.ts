/**
 * Bans of addresses and subnets in the table that Teranode's Go service uses too: `bans(key TEXT PRIMARY KEY, expiration_time
 * TIMESTAMPTZ, subnet TEXT)`, `subnet` always a CIDR. A row without a readable subnet stops the Go service, so none is
 * ever written, and peer IDs have no place here.
 */

import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type pg from 'pg';
import { raceSignal } from 'race-signal';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { parseSubnet } from '../../shared/net/ip.js';
import { type BanSubject, parseBanSubject } from './subject.js';
import type { BanEntry, BanStore } from './types.js';

const RESOURCE = 'BanStore';
/** Bounds on waiting: a ban command or a health check must not hang on a database that is gone. */
const CONNECT_MS = 3_000;
const QUERY_MS = 5_000;
const LOAD_MS = 60_000;

const CREATE = `CREATE TABLE IF NOT EXISTS bans (
  key TEXT PRIMARY KEY, expiration_time TIMESTAMP WITH TIME ZONE, subnet TEXT)`;
const PUT = `INSERT INTO bans (key, expiration_time, subnet) VALUES ($1, $2, $3)
  ON CONFLICT (key) DO UPDATE SET expiration_time = $2, subnet = $3`;
const DELETE = `DELETE FROM bans WHERE key = ANY($1) AND ($2::timestamptz IS NULL OR expiration_time <= $2)`;
const LOAD = `SELECT key, subnet, (extract(epoch FROM expiration_time) * 1000)::float8::text AS until FROM bans`;

/** A table of a million rows must not stop everything else while it is read. */
const ROWS_A_TURN = 1000;

interface Row {
  readonly key: string;
  readonly subnet: string | null;
  /** Unix ms as text; null for no time, and beyond numbers for infinity. */
  readonly until: string | null;
}

export class PostgresBanStore implements BanStore {
  readonly isShared = true;
  readonly #pool: pg.Pool;
  readonly #logger: Logger;
  /** Keys as other nodes wrote them, by ours, where they differ: `1.2.3.4:8333`, `10.1.2.3/8`. */
  #spellings = new Map<string, string[]>();
  #ready = false;
  /** Rows already complained about: a reload every 30 s says it once. */
  #warned = new Set<string>();

  constructor(components: { url: string; logger: Logger }) {
    this.#logger = components.logger;
    // Loaded by who has a shared store alone.
    const { Pool } = createRequire(import.meta.url)('pg') as typeof pg;
    this.#pool = new Pool({
      connectionString: components.url,
      max: 2,
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: true,
      application_name: 'teranode-p2p',
    });
    // An idle connection that breaks is replaced by the next query.
    this.#pool.on('error', (error) => this.#logger.warn({ err: error }, 'lost a connection to Postgres'));
  }

  async open(): Promise<void> {
    await this.#prepare();
  }

  /** Rows that are not bans are left out with a warning, and stay where they are. */
  async load(): Promise<readonly BanEntry[]> {
    const rows = await this.#query<Row>(LOAD, [], LOAD_MS);
    const entries = new Map<string, BanEntry>();
    const spellings = new Map<string, string[]>();
    for (const [index, row] of rows.entries()) {
      if (index % ROWS_A_TURN === ROWS_A_TURN - 1) await nextTurn();
      const subject = this.#subjectOf(row);
      if (subject === undefined) continue;
      if (subject.key !== row.key)
        spellings.set(subject.key, [...(spellings.get(subject.key) ?? []), row.key]);
      const until = Math.max(Math.floor(Number(row.until)), entries.get(subject.key)?.until ?? 0);
      entries.set(subject.key, { key: subject.key, kind: subject.kind, until, origin: 'operator' });
    }
    this.#spellings = spellings;
    return [...entries.values()];
  }

  async put({ key, until }: BanEntry): Promise<void> {
    const subject = parseBanSubject(key);
    if (subject.kind === 'peer') throw new RangeError('peer IDs do not belong in the bans table');
    await this.#query(PUT, [key, new Date(until).toISOString(), subject.subnet.cidr]);
  }

  async delete(key: string, endedAt?: number): Promise<void> {
    if (parseBanSubject(key).kind === 'peer') return;
    await this.#query(DELETE, [
      [key, ...(this.#spellings.get(key) ?? [])],
      endedAt === undefined ? null : new Date(endedAt).toISOString(),
    ]);
  }

  async clear(): Promise<void> {
    await this.#query('DELETE FROM bans');
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    return this.#asked(this.#query('SELECT 1'), signal);
  }

  /** As `health`, of a store that is not to be opened: no table is made. */
  async reach(signal: AbortSignal): Promise<DependencyHealth> {
    return this.#asked(this.#send('SELECT 1', []), signal);
  }

  async #asked(answer: Promise<unknown>, signal: AbortSignal): Promise<DependencyHealth> {
    try {
      await raceSignal(answer, signal, { translateError: () => new Error('no answer in time') });
      return { resource: RESOURCE, status: 200, message: 'Postgres' };
    } catch (error) {
      const message = 'Postgres; bans in memory are enforced';
      return { resource: RESOURCE, status: 503, error: errorMessage(error), message };
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  #subjectOf(row: Row): BanSubject | undefined {
    try {
      return subjectOf(row);
    } catch (error) {
      const key = row.key.slice(0, 256);
      if (!this.#warned.has(key) && this.#warned.size < 1000) {
        this.#warned.add(key);
        this.#logger.warn({ key, problem: errorMessage(error) }, 'a row of the bans table is not enforced');
      }
      return undefined;
    }
  }

  async #prepare(): Promise<void> {
    await this.#send(CREATE, []);
    this.#ready = true;
  }

  /** Makes the table first where the database was away at the start. */
  async #query<R extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
    ms = QUERY_MS,
  ): Promise<R[]> {
    if (!this.#ready) await this.#prepare();
    return this.#send<R>(text, values, ms);
  }

  async #send<R extends pg.QueryResultRow>(text: string, values: unknown[], ms = QUERY_MS): Promise<R[]> {
    // A bound of its own for each query: pg knows it, its types do not.
    const query = { text, values, query_timeout: ms } as pg.QueryConfig;
    try {
      return (await this.#pool.query<R>(query)).rows;
    } catch (error) {
      throw new UnavailableError(`Postgres: ${errorMessage(error) || 'no connection'}`, { cause: error });
    }
  }
}

/** What a row bans. Throws RangeError saying why it bans nothing. */
function subjectOf({ key, subnet, until }: Row): BanSubject {
  if (until === null) throw new RangeError('its expiration_time is missing');
  const asWritten = addressesOf(key);
  if (asWritten?.subnet.cidr === subnet) return asWritten;
  const range = subnet === null ? undefined : parseSubnet(subnet);
  if (range === undefined) throw new RangeError('its subnet is missing or not a CIDR');
  // The key is what was banned; the subnet stands in where another node wrote a key that means nothing here.
  const subject = asWritten ?? parseBanSubject(range.cidr);
  if (subject.kind === 'peer') throw new RangeError('its subnet is a peer ID');
  return subject;
}

function addressesOf(key: string): Exclude<BanSubject, { kind: 'peer' }> | undefined {
  try {
    const subject = parseBanSubject(key);
    return subject.kind === 'peer' ? undefined : subject;
  } catch {
    return undefined;
  }
}
