/**
 * The outbox's format and how an older one becomes it.
 *
 * 1: records, frames and dead letters as they are encoded. 2: each with a checksum before it (`seal.ts`), and the mark of
 * what may not have reached the disk (`epoch.ts`).
 */

import type { Logger } from '../logging.js';
import type { Operation, OutboxDatabase } from './database.js';
import { OutboxUnusableError } from './errors.js';
import * as keys from './keys.js';
import { seal } from './seal.js';

export const FORMAT = 2;
/** One step of an upgrade: one write. */
const STEP_ENTRIES = 1000;
const STEP_BYTES = 1024 * 1024;
const SEALED = [keys.DEAD_LETTERS, keys.ENTRIES, keys.FRAMES];

export interface FormatContext {
  readonly path: string;
  readonly logger: Logger;
}

/**
 * Leaves the database in the present format, made from an older one where that is what it has. Gives false when the
 * database is new. Throws OutboxUnusableError for a format that is newer, or none.
 */
export async function settleFormat(level: OutboxDatabase, context: FormatContext): Promise<boolean> {
  const text = (await level.get(keys.FORMAT_KEY))?.toString();
  const epoch = await level.get(keys.EPOCH_KEY);
  if (text === undefined && epoch === undefined) return false;
  const format = Number(text);
  if (format > FORMAT) {
    throw unusable(context, `has format ${format}, of a newer version: this one reads up to ${FORMAT}`);
  }
  if (epoch === undefined || !(format >= 1)) {
    throw unusable(context, `has format ${text ?? 'none'}: this version reads 1 to ${FORMAT}`);
  }
  const reached = (await level.get(keys.UPGRADED_KEY))?.toString();
  if (format < FORMAT || reached !== undefined) await upgrade(level, reached, context);
  return true;
}

function unusable({ path }: FormatContext, what: string): OutboxUnusableError {
  return new OutboxUnusableError(
    `DATADIR: the outbox ${path} ${what}. Start the version that wrote it until it is empty, or move it aside`,
  );
}

/**
 * Seals value after value in the order of their keys. Each write also says how far it got and that the format is the new one:
 * who dies in between goes on from there, and an older version does not open what is half done.
 */
async function upgrade(
  level: OutboxDatabase,
  reached: string | undefined,
  { path, logger }: FormatContext,
): Promise<void> {
  logger.info({ path, to: FORMAT, ...(reached === undefined ? {} : { reached }) }, 'upgrading the outbox');
  const startedAt = performance.now();
  let values = 0;
  let step: Operation[] = [];
  let bytes = 0;
  const write = async (): Promise<void> => {
    const last = step.at(-1)?.key;
    if (last === undefined) return;
    step.push({ type: 'put', key: keys.UPGRADED_KEY, value: Buffer.from(last) });
    step.push({ type: 'put', key: keys.FORMAT_KEY, value: Buffer.from(String(FORMAT)) });
    await level.batch(step, { sync: false });
    step = [];
    bytes = 0;
  };
  for (const { gte, lt } of SEALED) {
    if (reached !== undefined && reached >= lt) continue;
    const rest = reached !== undefined && reached >= gte ? { gt: reached, lt } : { gte, lt };
    for await (const [key, value] of level.entries(rest)) {
      step.push({ type: 'put', key, value: seal(value) });
      values++;
      bytes += value.length;
      if (step.length >= STEP_ENTRIES || bytes >= STEP_BYTES) await write();
    }
    await write();
  }
  await level.batch(
    [
      { type: 'put', key: keys.FORMAT_KEY, value: Buffer.from(String(FORMAT)) },
      { type: 'del', key: keys.UPGRADED_KEY },
    ],
    { sync: true },
  );
  const ms = Math.round(performance.now() - startedAt);
  logger.info({ path, to: FORMAT, values, ms }, 'the outbox is upgraded');
}
