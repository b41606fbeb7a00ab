/** Calls to the blockchain service's registry, some at once. */

import { QUEUES } from '../../../shared/queues.js';
import type { RegistryLink } from './link.js';

/** Calls under way together: what waits on the other side is not made more by us. */
const CONCURRENCY = QUEUES.registryUpdates.bounds.atOnce;

/** Does the work of each of `items`, some at once, as long as the service serves. */
export async function together<T>(
  link: Pick<RegistryLink, 'serves' | 'ended'>,
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    while (link.serves && !link.ended) {
      const { done, value } = iterator.next();
      if (done) return;
      await work(value);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}
