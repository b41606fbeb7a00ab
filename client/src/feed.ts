/** Follows a feed. */

import type { FeedEvent, Kind, PlainEvent } from './events.js';
import type { FeedOptions, PlainFeedOptions } from './options.js';
import { plainFeed } from './plain-feed.js';
import { positionedFeed } from './positioned-feed.js';

/**
 * What nodes announce, from `cursor` or now on, without end:
 *
 *     for await (const event of feed({ url: 'wss://node.example', kinds: ['block'], cursor: store })) { … }
 *
 * A connection that is lost is made anew, and the feed goes on where it was. Each event comes once, in the server's order, unless `gap`, `too_old` or `switched` says
 * otherwise. The next event is taken when the loop comes round; until then the one at hand counts as not handled: a store, and so the next run, has the cursor
 * of the one before. It ends quietly by the loop's `break` or by `signal`.
 *
 * The loop throws {@link FeedError} where trying again will not help, whatever the store throws, and, before the first event, TypeError or RangeError for
 * an option that there is not, is empty or is no such thing, and Error where there is no WebSocket.
 */
export function feed<K extends Kind = Kind>(
  options: PlainFeedOptions<K>,
): AsyncGenerator<PlainEvent<K>, void, undefined>;
export function feed<K extends Kind = Kind>(
  options: FeedOptions<K>,
): AsyncGenerator<FeedEvent<K>, void, undefined>;
export function feed<K extends Kind>(
  options: FeedOptions<K> | PlainFeedOptions<K>,
): AsyncGenerator<FeedEvent<K> | PlainEvent<K>, void, undefined> {
  return options.plain ? plainFeed(options) : positionedFeed(options);
}
