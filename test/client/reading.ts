/** A feed that is read as it comes, for tests. */

import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { type CursorStore, type FeedEvent, type FeedFailure, type FeedOptions, feed } from '#feed';

export interface Reading {
  readonly events: FeedEvent[];
  /** Hashes of the blocks that came. */
  readonly hashes: () => string[];
  readonly notices: () => string[];
  readonly failures: FeedFailure[];
  /** Resolves when the loop ended; rejects with what it threw. */
  readonly done: Promise<void>;
  readonly stop: () => void;
}

export const hashesOf = (events: readonly FeedEvent[]): string[] =>
  events.flatMap((event) => ('hash' in event ? event.hash : []));

/** Follows until the test ends; `ws` unless told, and impatient. `each` is awaited in the loop. */
export function read(
  context: Pick<TestContext, 'after'>,
  options: FeedOptions,
  each: (event: FeedEvent) => unknown = () => {},
): Reading {
  const stopping = new AbortController();
  const events: FeedEvent[] = [];
  const failures: FeedFailure[] = [];
  const follow = async () => {
    const told = {
      WebSocket,
      retryMs: 200,
      signal: stopping.signal,
      onFailure: (failure: FeedFailure) => failures.push(failure),
    };
    for await (const event of feed({ ...told, ...options })) {
      events.push(event);
      await each(event);
    }
  };
  const done = follow();
  // Whoever awaits it hears of it.
  done.catch(() => {});
  context.after(async () => {
    stopping.abort();
    await done.catch(() => {});
  });
  return {
    events,
    failures,
    done,
    hashes: () => hashesOf(events),
    notices: () =>
      events.flatMap(({ type }) => (['gap', 'epoch', 'too_old', 'switched'].includes(type) ? type : [])),
    stop: () => stopping.abort(),
  };
}

/** A store in memory, and all that it was given. */
export function memoryStore(first?: string): CursorStore & { readonly saved: string[] } {
  const saved: string[] = first === undefined ? [] : [first];
  return {
    saved,
    load: () => saved.at(-1),
    save: (cursor) => {
      saved.push(cursor);
    },
  };
}

/** What is awaited until it is released. */
export function heldLoop(): { readonly release: () => void; readonly each: () => Promise<void> } {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { release: () => release(), each: () => held };
}
