/** A worker's task that makes many objects, most of which are soon forgotten; answers the bytes that V8 set apart for young ones. */

import { getHeapSpaceStatistics } from 'node:v8';

const OBJECTS = 2_000_000;
/** More of them than a small room for young objects holds, so that V8 makes it as large as it may. */
const KEPT = 100_000;

export default function youngObjects(): number {
  const kept: object[] = [];
  for (let index = 0; index < OBJECTS; index++) kept[index % KEPT] = { index, text: `${index}` };
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0;
}
