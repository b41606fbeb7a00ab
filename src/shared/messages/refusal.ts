/** Why a message is not taken. */

import type { OutcomeName } from './outcomes.js';

/** Thrown by a decoder or check: the message becomes this outcome. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    readonly outcome: OutcomeName,
    message: string,
  ) {
    super(message);
  }
}
