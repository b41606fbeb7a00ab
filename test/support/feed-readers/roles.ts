/** What each reader of a crowd is there for: a few things in each seed, the others as chance has it. */

import type { AudienceOptions } from '../deaths/run.js';
import { Key, type TokenFile, type TokenName } from './tokens.js';
import { drawBatched, drawStalling, drawWish, type Wish } from './wish.js';

/** Media of those who stall in the midst of a flood. */
const STALLING = ['websocket', 'sse'] as const;
/** So many have the same batches. */
const BATCHED = 3;
/** Tokens of the others; `either` is there in half of the editions. */
const KEYS = ['single', 'single', 'single', 'kinds', 'live', 'live-blocks', 'either', 'unknown'] as const;

/** Of one reader. */
interface Role {
  readonly wish: Wish;
  readonly key?: Key | undefined;
}

/** So many readers, with tokens where there is a file of them, each as chance has it. */
export function drawRoles(
  { random, authors }: Pick<AudienceOptions, 'random' | 'authors'>,
  count: number,
  file: TokenFile | undefined,
): readonly Role[] {
  const by = () => (random() < 0.5 ? 'header' : 'parameter');
  const keyed = (name: TokenName) => file && new Key(name, by(), file);
  const either = random() < 0.5 ? 'even' : 'odd';
  const batched = drawBatched(random);
  return [
    ...STALLING.map((medium) => ({ wish: drawStalling(random, medium) })),
    ...Array.from({ length: BATCHED }, () => ({ wish: batched, key: keyed('everything') })),
    ...Array.from({ length: count - STALLING.length - BATCHED }, (_, index) => {
      const wish = drawWish(random, authors);
      const name = KEYS[index % KEYS.length] ?? 'everything';
      const key = keyed(name === 'either' ? either : name);
      // Who is one of several for one place is told apart by having it.
      return { wish: key?.name === 'single' ? { ...wish, kinds: undefined, peers: undefined } : wish, key };
    }),
  ];
}
