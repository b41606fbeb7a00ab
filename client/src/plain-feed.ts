/** The feed of a server that knows no parameters. */

import type { Kind, PlainEvent } from './events.js';
import { frameIn } from './frame.js';
import type { PlainFeedOptions } from './options.js';
import { Source } from './source.js';
import { checkTold } from './told.js';

/** As `feed` has it. */
export async function* plainFeed<K extends Kind>(
  options: PlainFeedOptions<K>,
): AsyncGenerator<PlainEvent<K>, void, undefined> {
  checkTold(options);
  const source = new Source(options);
  const kinds: readonly string[] | undefined = options.kinds;
  const { peers, json, onOpen } = options;
  const wanted = ({ type, peer_id }: { readonly type: string; readonly peer_id?: unknown }) =>
    (kinds === undefined || kinds.includes(type)) && (peers === undefined || peers.includes(String(peer_id)));
  try {
    for (let before = false; !source.aborted; ) {
      const connection = source.open(source.server.url);
      try {
        let began = false;
        for (let text = await connection.next(); text !== undefined; text = await connection.next()) {
          if (source.aborted) return;
          if (!began) {
            began = true;
            source.began();
            onOpen?.({ url: source.server.given });
            if (before)
              yield { type: 'gap', text: 'the connection was lost, and this server has no history' };
            before = true;
          }
          const frame = typeof text === 'string' ? frameIn(text) : undefined;
          if (frame === undefined || !wanted(frame)) continue;
          yield (json ? { ...frame, json: text } : frame) as PlainEvent<K>;
        }
      } finally {
        connection.close();
      }
      await source.lost(connection.ending ?? { reason: 'closed', text: 'closed' });
    }
  } finally {
    source.close();
  }
}
