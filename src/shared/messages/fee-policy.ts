/** The fees and limits that a node tells in its status: an object within the object. */

import { field, type MessageOf, objectField } from './wire-fields.js';

const MINING_FEE = [field('satoshis', 'uint64', 'satoshis'), field('bytes', 'uint64', 'bytes')];

export const FEE_POLICY = [
  objectField('miningFee', 'object', 'miningFee', MINING_FEE),
  field('maxscriptsizepolicy', 'uint64', 'maxscriptsizepolicy'),
  field('maxtxsizepolicy', 'uint64', 'maxtxsizepolicy'),
  field('maxtxsigopscountspolicy', 'uint64', 'maxtxsigopscountspolicy'),
];

export type FeePolicy = MessageOf<typeof FEE_POLICY>;
