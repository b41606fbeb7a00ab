import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { type Connection, type Libp2p, type PeerId, type Stream, StreamResetError } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import {
  AddressLookup,
  type AddressLookupOptions,
} from '../../../../src/main/node/protocols/address-lookup.js';
import { LOOKUP_1_0, LOOKUP_1_1, parseAnswer } from '../../../../src/main/node/protocols/address-protocol.js';
import { createHost, type PeripheryParts, peripheryParts } from '../../../support/host.js';
import { waitFor, within } from '../../../support/wait.js';

const LOOKUPS = 'teranode_p2p_node_address_lookups_total';

interface Node {
  readonly host: Libp2p;
  readonly lookup: AddressLookup;
  readonly parts: PeripheryParts;
}

async function node(context: TestContext, options: AddressLookupOptions = {}): Promise<Node> {
  const host = await createHost(context);
  const parts = peripheryParts();
  const lookup = new AddressLookup(
    { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
    { timeoutMs: 20_000, ...options },
  );
  await lookup.start();
  context.after(() => lookup.stop());
  return { host, lookup, parts };
}

const stranger = async (): Promise<PeerId> => peerIdFromPrivateKey(await generateKeyPair('Ed25519'));

const connect = (from: Libp2p, to: Libp2p): Promise<Connection> => from.dial(to.getMultiaddrs());

/** Lookups are counted when they have ended, which the other side may see first. */
const counted = (parts: PeripheryParts, labels: Record<string, string>, count: number): Promise<boolean> =>
  waitFor(async () => (await parts.value(LOOKUPS, labels)) === count, {
    what: `${count} × ${JSON.stringify(labels)}`,
  });

/** What a stream brings, in order, until it ends; rejects when it is reset. */
async function readAll(stream: Stream): Promise<string> {
  const pieces: Uint8Array[] = [];
  await new Promise<void>((resolve, reject) => {
    stream.addEventListener('close', ({ error }) => reject(error ?? new Error('closed')), { once: true });
    const onEnd = (): void => (stream.status === 'reset' ? reject(new StreamResetError()) : resolve());
    stream.addEventListener('end', onEnd, { once: true });
    stream.addEventListener('message', ({ data }) => pieces.push(data.subarray().slice()));
    if (stream.readableEnded) onEnd();
  });
  return Buffer.concat(pieces).toString();
}

/** One exchange written by hand, as a Go asker of this version does it. */
async function askByHand(connection: Connection, protocol: string, request: Uint8Array): Promise<string> {
  const stream = await connection.newStream(protocol);
  const answer = within(readAll(stream), 30_000, 'the answer');
  answer.catch(() => {});
  try {
    stream.send(request);
    if (protocol === LOOKUP_1_1) await stream.close();
  } catch {
    // Cut already: the answer says so.
  }
  return answer;
}

for (const protocol of [LOOKUP_1_0, LOOKUP_1_1]) {
  const version = protocol.slice(-5);
  describe(`address lookup ${version}, answering`, () => {
    it('tells the direct addresses that it knows, of others and of itself', async (context) => {
      const { host, parts } = await node(context);
      const asker = await createHost(context);
      const connection = await connect(asker, host);
      const wanted = await stranger();
      await host.peerStore.merge(wanted, {
        multiaddrs: [
          multiaddr('/ip4/192.0.2.1/tcp/9905'),
          multiaddr(`/ip4/192.0.2.2/tcp/1/p2p/${host.peerId}/p2p-circuit`),
          multiaddr('/dns4/x.example/tcp/9905'),
        ],
      });
      const answer = JSON.parse(await askByHand(connection, protocol, Buffer.from(wanted.toString())));
      assert.deepEqual(answer.sort(), ['/dns4/x.example/tcp/9905', '/ip4/192.0.2.1/tcp/9905']);
      const own = JSON.parse(await askByHand(connection, protocol, Buffer.from(host.peerId.toString())));
      assert.deepEqual(
        own,
        host.getMultiaddrs().map((address) => address.decapsulateCode(421).toString()),
      );
      await counted(parts, { role: 'answerer', version, outcome: 'ok' }, 2);
    });

    it('tells [] of whom it does not know, and nothing of private addresses it is not to share', async (context) => {
      const { host } = await node(context, { sharePrivate: false });
      const asker = await createHost(context);
      const connection = await connect(asker, host);
      const wanted = await stranger();
      assert.equal(await askByHand(connection, protocol, Buffer.from(wanted.toString())), '[]');
      await host.peerStore.merge(wanted, { multiaddrs: [multiaddr('/ip4/10.0.0.1/tcp/1')] });
      assert.equal(await askByHand(connection, protocol, Buffer.from(wanted.toString())), '[]');
    });

    it('cuts requests that are too long, no peer ID, or silent', async (context) => {
      const { host, parts } = await node(context, { timeoutMs: 1_500 });
      const asker = await createHost(context);
      const connection = await connect(asker, host);
      const longest = version === '1.0.0' ? 256 : 128;
      await assert.rejects(askByHand(connection, protocol, Buffer.alloc(longest + 1, 0x31)), {
        name: 'StreamResetError',
      });
      await counted(parts, { version, outcome: 'oversized' }, 1);
      await assert.rejects(askByHand(connection, protocol, Buffer.alloc(longest, 0x31)), {
        name: 'StreamResetError',
      });
      await assert.rejects(askByHand(connection, protocol, Buffer.from([0xff, 0xfe, 0])), {
        name: 'StreamResetError',
      });
      await counted(parts, { version, outcome: 'malformed' }, 2);
      const silent = await connection.newStream(protocol);
      await assert.rejects(within(readAll(silent), 8_000, 'the cut'), { name: 'StreamResetError' });
      await counted(parts, { version, outcome: 'timeout' }, 1);
      // The connection is none the worse.
      assert.equal(await askByHand(connection, protocol, Buffer.from((await stranger()).toString())), '[]');
    });

    it('answers so many requests a minute and peer, and others meanwhile', async (context) => {
      const { host, parts } = await node(context, { requestsPerMinute: 3 });
      const asker = await createHost(context);
      const connection = await connect(asker, host);
      const request = Buffer.from((await stranger()).toString());
      for (let count = 0; count < 3; count++)
        assert.equal(await askByHand(connection, protocol, request), '[]');
      await assert.rejects(askByHand(connection, protocol, request), { name: 'StreamResetError' });
      await counted(parts, { version, outcome: 'limited' }, 1);
      const other = await createHost(context);
      assert.equal(await askByHand(await connect(other, host), protocol, request), '[]');
    });

    it('answers others while a crowd of peers holds as many open requests as it likes', async (context) => {
      const { host, parts } = await node(context, { silenceMs: 60_000 });
      const crowd = await Promise.all(Array.from({ length: 8 }, () => createHost(context, { listen: [] })));
      for (const peer of crowd) {
        const connection = await connect(peer, host);
        for (let count = 0; count < 8; count++) await connection.newStream(protocol);
      }
      const other = await createHost(context, { listen: [] });
      const connection = await connect(other, host);
      const request = Buffer.from((await stranger()).toString());
      for (let count = 0; count < 3; count++)
        assert.equal(await askByHand(connection, protocol, request), '[]');
      assert.ok((await parts.value(LOOKUPS, { version, outcome: 'displaced' })) >= 1);
    });

    it('cuts an asker that says nothing', async (context) => {
      const { host, parts } = await node(context, { silenceMs: 200, timeoutMs: 60_000 });
      const connection = await connect(await createHost(context, { listen: [] }), host);
      const silent = await connection.newStream(protocol);
      await assert.rejects(within(readAll(silent), 30_000, 'the cut'), { name: 'StreamResetError' });
      await counted(parts, { version, outcome: 'silent' }, 1);
    });

    it('keeps an answer within its bounds', async (context) => {
      const { host } = await node(context);
      const asker = await createHost(context);
      const connection = await connect(asker, host);
      const wanted = await stranger();
      const long = (index: number) =>
        multiaddr(`/dns4/${`${'x'.repeat(60)}.`.repeat(3)}h${index}.example/tcp/9905`);
      await host.peerStore.merge(wanted, {
        multiaddrs: Array.from({ length: 60 }, (_, index) => long(index)),
      });
      const answer = await askByHand(connection, protocol, Buffer.from(wanted.toString()));
      const addresses = JSON.parse(answer) as string[];
      assert.ok(answer.length <= (version === '1.0.0' ? 4096 : 8192), String(answer.length));
      assert.ok(addresses.length >= 15 && addresses.length <= 32, String(addresses.length));
    });
  });

  describe(`address lookup ${version}, asking`, () => {
    async function asks(
      context: TestContext,
      answer: (stream: Stream, request: string) => void | Promise<void>,
      options: AddressLookupOptions = {},
    ): Promise<Node & { readonly requests: string[] }> {
      const asker = await node(context, options);
      const answerer = await createHost(context);
      const requests: string[] = [];
      await answerer.handle(protocol, (stream) => {
        stream.addEventListener('message', ({ data }) => {
          const request = Buffer.from(data.subarray()).toString();
          requests.push(request);
          void Promise.resolve(answer(stream, request)).catch(() => {});
        });
      });
      await connect(asker.host, answerer);
      await waitFor(
        async () => (await asker.host.peerStore.get(answerer.peerId)).protocols.includes(protocol),
        { what: 'identify' },
      );
      return { ...asker, requests };
    }

    it('writes the ID, takes the addresses and remembers them', async (context) => {
      const { host, lookup, requests, parts } = await asks(context, async (stream) => {
        stream.send(
          Buffer.from('["/ip4/192.0.2.7/tcp/9905","/ip4/192.0.2.8/tcp/1/p2p-circuit",7,"nonsense"]'),
        );
        await stream.close();
      });
      const wanted = await stranger();
      const found = await lookup.lookup(wanted.toString());
      assert.deepEqual(found.map(String), ['/ip4/192.0.2.7/tcp/9905']);
      assert.deepEqual(requests, [wanted.toString()]);
      const { addresses } = await host.peerStore.get(wanted);
      assert.deepEqual(
        addresses.map((known) => known.multiaddr.toString()),
        ['/ip4/192.0.2.7/tcp/9905'],
      );
      await counted(parts, { role: 'asker', version, outcome: 'ok' }, 1);
    });

    it('has an answer when it is whole, though the other side does not close', async (context) => {
      const { lookup } = await asks(context, (stream) => {
        stream.send(Buffer.from('["/ip4/192.0.2.7/tcp/'));
        stream.send(Buffer.from('9905"]'));
      });
      const found = await within(lookup.lookup((await stranger()).toString()), 5_000, 'the lookup');
      assert.equal(found.length, 1);
    });

    it('finds nothing in garbage, floods, silence and resets', async (context) => {
      const answers: ((stream: Stream) => void | Promise<void>)[] = [
        async (stream) => {
          stream.send(Buffer.from('{"not":"an array"}'));
          await stream.close();
        },
        (stream) => void stream.send(Buffer.alloc(20_000, 0x20)),
        () => {},
        (stream) => stream.abort(new Error('no')),
      ];
      const { lookup, parts } = await asks(context, (stream) => answers.shift()?.(stream), {
        timeoutMs: 1_500,
      });
      const wanted = (await stranger()).toString();
      for (let count = 0; count < 4; count++) assert.deepEqual(await lookup.lookup(wanted), []);
      for (const outcome of ['malformed', 'oversized', 'timeout', 'failed']) {
        await counted(parts, { role: 'asker', version, outcome }, 1);
      }
    });
  });
}

describe('address lookup', () => {
  it('finds a peer through a common one and connects to it when it is wanted', async (context) => {
    const middle = await node(context);
    const target = await node(context);
    const wanted = [target.host.peerId.toString()];
    const asker = await node(context, { wanted: () => wanted, intervalMs: 50, askAgainMs: 60_000 });
    await connect(target.host, middle.host);
    await waitFor(
      async () =>
        (await middle.host.peerStore.all()).some(
          ({ id, addresses }) => id.equals(target.host.peerId) && addresses.length > 0,
        ),
      {
        what: 'identify',
      },
    );
    await connect(asker.host, middle.host);
    await waitFor(() => asker.host.getConnections(target.host.peerId).length > 0, {
      what: 'the wanted peer',
    });
    await counted(middle.parts, { role: 'answerer', version: '1.1.0', outcome: 'ok' }, 1);
  });

  it('asks a peer that is still being identified, and none that was and does not answer', async (context) => {
    const middle = await node(context);
    const asker = await node(context);
    const wanted = await stranger();
    const address = multiaddr('/ip4/192.0.2.1/tcp/9905');
    await middle.host.peerStore.merge(wanted, { multiaddrs: [address] });
    await connect(asker.host, middle.host);
    const { peerStore } = asker.host;
    const { peerId } = middle.host;
    await waitFor(async () => (await peerStore.get(peerId)).metadata.has('AgentVersion'), {
      what: 'identify',
    });
    // As a stream of identify leaves it before there is an answer.
    await peerStore.patch(peerId, { protocols: ['/ipfs/id/1.0.0'], metadata: {} });
    assert.deepEqual((await asker.lookup.lookup(wanted.toString())).map(String), [String(address)]);
    await peerStore.patch(peerId, {
      protocols: ['/ipfs/id/1.0.0'],
      metadata: { AgentVersion: Buffer.from('other') },
    });
    assert.deepEqual(await asker.lookup.lookup(wanted.toString()), []);
    await counted(asker.parts, { role: 'asker', version: '1.1.0', outcome: 'ok' }, 1);
  });

  it('does not answer in silent mode, and refuses IDs that are none', async (context) => {
    const silent = await node(context, { answers: false });
    assert.ok(!silent.host.getProtocols().includes(LOOKUP_1_0));
    await assert.rejects(silent.lookup.lookup('nonsense'), RangeError);
    assert.deepEqual(await silent.lookup.lookup((await stranger()).toString()), []);
  });

  it('leaves addresses of other peers and other protocols out of an answer', async () => {
    const target = (await stranger()).toString();
    const other = (await stranger()).toString();
    const answer = [
      `/ip4/192.0.2.1/tcp/1/p2p/${target}`,
      `/ip4/192.0.2.2/tcp/1/p2p/${other}`,
      '/ip4/192.0.2.3/udp/1/quic-v1',
      `/ip4/192.0.2.4/tcp/1/${'x'.repeat(600)}`,
      '/ip4/192.0.2.1/tcp/2',
      '/ip4/192.0.2.1/tcp/2',
    ];
    assert.deepEqual(parseAnswer(Buffer.from(JSON.stringify(answer)), target).map(String), [
      `/ip4/192.0.2.1/tcp/1/p2p/${target}`,
      '/ip4/192.0.2.1/tcp/2',
    ]);
    assert.throws(() => parseAnswer(Buffer.from([0x22, 0xff, 0x22]), target), /not JSON/);
    assert.equal(
      parseAnswer(Buffer.from(JSON.stringify(Array(1000).fill('/ip4/192.0.2.1/tcp/1'))), target).length,
      1,
    );
  });
});
