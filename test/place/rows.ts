/**
 * What an operator has in the place of Teranode's P2P service, row by row: `docs/compatibility.md` has these (`npm run docs:settings` writes them), and
 * `quickstart.test.ts` sees each of them happen.
 */

export const PLACE_ROWS = {
  environment: [
    'the quickstart’s environment, context `docker.m`, another user than root, its own Node',
    'starts with nothing else, and uses no file but those of its installation and of the volume',
  ],
  key: [
    '`p2p.key` and the peer cache in the volume, which the Go service left',
    'the same peer ID; the peers in the cache are known',
  ],
  topics: [
    'gossip topics of the chain’s parameters, joined and told on',
    'a Go peer of the message bus hears node_status, block, subtree and rejected_tx',
  ],
  kafka_topics: [
    'Kafka topics of the settings, made where missing',
    'partitions, retention and segments of their URLs',
  ],
  records: [
    'a block and a subtree of a peer, as records',
    'key, hash, URL and peer as Go writes them; one of a second peer is another record',
  ],
  block_found: ['block validation is told of a block', '`BlockFound` with hash, data hub and peer'],
  consumers: [
    'records that the node’s services write',
    'read in the group `p2p.<clientName>`: a rejected transaction is told on, what is invalid is scored',
  ],
  registry: [
    'rows of the blockchain service’s peer registry',
    'a row for the peer, of our transport, connected, with name, height and data hub; rows of the legacy service are left as they are',
  ],
  status: [
    'what the node says of itself',
    'node_status with the chain, block assembly, fees, peers, and how many the legacy service has',
  ],
  websocket: [
    'frames at `/p2p-ws` on 9906',
    'the node’s own node_status first, then block, subtree and node_status of the peer, and `PING`',
  ],
  metrics: ['figures on 9091', 'every name that boards made for the Go service ask for'],
  health: [
    '`/health`, `/health/readiness`, `/health/liveness` on 8000, `/health` on 9906',
    '200, and each dependency by name',
  ],
  peer_service: ['PeerService on 9904', '`GetPeers` has the peer; a Go client is answered'],
  bans: [
    'the node’s `bans` table in Postgres',
    'an address banned here is there, as the Go service reads it',
  ],
  swap_back: [
    'stopped, and the Go service in its place again',
    'ends within its time with exit code 0; the row of the peer says that it is gone; key, peer cache and offsets are as Go needs them, and it goes on under the same ID',
  ],
} as const satisfies Record<string, readonly [what: string, seen: string]>;

export type PlaceRow = keyof typeof PLACE_ROWS;

const HEAD = '| what an operator has | what is seen | shown by |\n| --- | --- | --- |\n';

/** `page`, `docs/compatibility.md`, with these rows in its table. Throws where it has no such table. */
export function withPlaceTable(page: string): string {
  const from = page.indexOf(HEAD);
  const to = page.indexOf('\n\n', from);
  if (from === -1 || to === -1) throw new Error('the page has no table for these rows');
  const rows = Object.values(PLACE_ROWS).map(
    ([what, seen]) => `| ${what} | ${seen} | \`place/quickstart.test.ts\` |`,
  );
  return `${page.slice(0, from)}${HEAD}${rows.join('\n')}${page.slice(to)}`;
}
