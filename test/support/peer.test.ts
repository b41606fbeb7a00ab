import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPeer } from './peer.js';
import { waitFor } from './wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-block';

test('two peers on loopback addresses of their own hear each other, in a private network too', async (context) => {
  for (const sharedKey of [undefined, 'ab'.repeat(32)]) {
    const secret = sharedKey === undefined ? {} : { sharedKey };
    const one = await createPeer({ context, topics: [TOPIC], ...secret });
    const two = await createPeer({ context, topics: [TOPIC], localAddress: '127.0.0.2', ...secret });
    await two.dial(one.address);
    await two.sees(one.id, TOPIC);
    const [connection] = one.libp2p.getConnections();
    assert.match(connection?.remoteAddr.toString() ?? '', /^\/ip4\/127\.0\.0\.2\//);
    assert.equal(await two.publish(TOPIC, 'hello'), 1);
    two.send(one.id, [await two.sign(TOPIC, 'raw', 7n)]);
    await waitFor(() => one.heard.length === 2, { what: 'both messages' });
    assert.deepEqual(
      one.heard.map(({ author, data }) => [author, Buffer.from(data).toString()]),
      [
        [two.id, 'hello'],
        [two.id, 'raw'],
      ],
    );
    assert.match(one.heard[1]?.id ?? '', /^00240801.{68}0{14}07$/);
  }
});
