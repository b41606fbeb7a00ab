/** The fees and limits that a node tells in its status: an object within the object. */

import type { Fields } from './fields.js';
import { fieldsOf } from './fields.js';
import { field, type MessageOf, readFields } from './wire-fields.js';

const WIRE = [
  field('miningFee', 'object', 'miningFee'),
  field('maxscriptsizepolicy', 'uint64', 'maxscriptsizepolicy'),
  field('maxtxsizepolicy', 'uint64', 'maxtxsizepolicy'),
  field('maxtxsigopscountspolicy', 'uint64', 'maxtxsigopscountspolicy'),
];

const MINING_FEE = [field('satoshis', 'uint64', 'satoshis'), field('bytes', 'uint64', 'bytes')];

export interface FeePolicy extends Omit<MessageOf<typeof WIRE>, 'miningFee'> {
  readonly miningFee: MessageOf<typeof MINING_FEE>;
}

/** Reads the known members, absent ones as 0; the rest is dropped. Throws Refusal `malformed` on a wrong type. */
export function feePolicyOf(fields: Fields): FeePolicy {
  const policy = readFields(WIRE, fields);
  return { ...policy, miningFee: readFields(MINING_FEE, fieldsOf(policy.miningFee ?? {})) };
}
