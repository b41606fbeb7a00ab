/** Ids of message kinds and of Kafka topics: they go to disk and over the wire, so that one that was given is never given to another. */

/** Of `node_status`, which greets clients: who does not read messages knows it by this. */
export const NODE_STATUS_ID = 5;

export interface Identified {
  /** 1 to 255, the same for ever. */
  readonly id: number;
  readonly name: string;
}

/** The rows of a table at the places of their ids. Throws RangeError on an id that is none or is given twice. */
export function byId<T extends Identified>(rows: readonly T[]): readonly (T | undefined)[] {
  const found: (T | undefined)[] = new Array(256).fill(undefined);
  for (const row of rows) {
    const { id, name } = row;
    if (!Number.isInteger(id) || id < 1 || id > 255) throw new RangeError(`${name} has the id ${id}`);
    if (found[id] !== undefined)
      throw new RangeError(`${name} and ${found[id].name} have the same id, ${id}`);
    found[id] = row;
  }
  return found;
}

/** The rows of a table in the order of their ids, whatever their order there. Throws as `byId` does. */
export function inOrderOfIds<T extends Identified>(rows: readonly T[]): readonly T[] {
  return byId(rows).filter((row) => row !== undefined);
}
