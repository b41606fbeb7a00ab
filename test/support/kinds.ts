/** Kinds of messages, as tests speak of them. */

import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import type { MessageKind } from '../../src/shared/messages/kind.js';

/** The kind called `name` in `kinds`. Throws RangeError when there is none. */
export function kindNamed(name: string, kinds: readonly MessageKind[] = MESSAGE_KINDS): MessageKind {
  const found = kinds.find((kind) => kind.name === name);
  if (found === undefined) throw new RangeError(`no message kind ${name}`);
  return found;
}

/** The kind of this id. Throws RangeError when there is none. */
export function kindOf(id: number): MessageKind {
  const found = MESSAGE_KINDS.find((kind) => kind.id === id);
  if (found === undefined) throw new RangeError(`no message kind ${id}`);
  return found;
}
