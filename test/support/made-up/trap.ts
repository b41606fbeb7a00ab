/** A kind that the server does not have: it kills whoever opens it. */

import type { MessageKind } from '../../../src/shared/messages/kind.js';
import { field } from '../../../src/shared/messages/wire-fields.js';

/** What its text says happens to the thread: `exit`, `hang`, `memory`, `busy` for 5 ms; anything else is fine. */
export const trap: MessageKind<{ readonly spring: string }, 'p2p_trap_topic'> = {
  id: 201,
  name: 'trap',
  topic: { key: 'p2p_trap_topic', default: 'trap', doc: 'Topic of traps.' },
  sizeBound: 1024,
  wire: [field('spring', 'text', 'spring')],
  priority: 1,
  repeats: false,
  decode(message) {
    const { spring } = message;
    if (spring === 'exit') process.exit(1);
    if (spring === 'hang') for (;;);
    const busyUntil = performance.now() + 5;
    while (spring === 'busy' && performance.now() < busyUntil);
    if (spring === 'memory') {
      const kept: number[][] = [];
      for (;;) kept.push(new Array(100_000).fill(kept.length));
    }
    return message;
  },
  originator: () => '',
  identity: () => ({ hash: '', url: '' }),
};
