// Blocks as they are announced, none missed: over an end of the server, and of this program, it goes on where it was.
// node node.mjs [URL of a server] [file for the cursor]: Node 22 or later; Node 20 with npm install ws. P2P_FEED_TOKEN has the token, where the server wants one.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { feed } from 'teranode-p2p-feed';

const [url = 'ws://localhost:9906', file = 'feed.cursor'] = process.argv.slice(2);
const { WebSocket } = 'WebSocket' in globalThis ? globalThis : await import('ws');

const store = {
  async load() {
    const kept = await readFile(file, 'utf8').catch((error) => {
      if (error.code !== 'ENOENT') throw error; // The first time there is none: it begins at now.
    });
    if (kept === '') throw new Error(`${file} is empty`);
    return kept;
  },
  async save(cursor) {
    await writeFile(`${file}.new`, cursor);
    await rename(`${file}.new`, file);
  },
};

for await (const event of feed({
  url,
  kinds: ['block'],
  cursor: store,
  WebSocket,
  token: process.env.P2P_FEED_TOKEN,
  onFailure: ({ text, retryInMs }) => console.error(`${text}, again in ${retryInMs} ms`),
})) {
  if (event.type === 'block') console.log(`block ${event.height} ${event.hash}`);
  else console.error(`${event.type}: ${event.text}`);
}
