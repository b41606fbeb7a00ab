/** What a collector is told of a whole server: each message's way, and the calls that come and go. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import * as conventions from '@opentelemetry/semantic-conventions/incubating';
import { WebSocket } from 'ws';
import {
  type BlockValidationAPIServer,
  BlockValidationAPIService,
} from '../../src/shared/generated/blockvalidation_api.js';
import { PeerServiceClient as Stub } from '../../src/shared/generated/p2p_api.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { type CollectedSpan, type Collector, startCollector } from '../support/collector.js';
import { createStranger, type Stranger, subtreeData, sumOf } from '../support/gossip.js';
import { minedChain } from '../support/headers.js';
import { createPeer, type Peer } from '../support/peer.js';
import { freePorts } from '../support/ports.js';
import { mineHeader, sampleData } from '../support/sample-messages.js';
import { launchServer, type ProcessOptions } from '../support/server-process.js';
import { waitFor, within } from '../support/wait.js';

const topic = (kind: string) => `teranode/bitcoin/1.0.0/regtest-${kind}`;
const WAIT = { timeoutMs: 60_000 };

/** A server with a peer that sends it what strangers have signed, and one WebSocket client. */
async function started(context: TestContext, options: ProcessOptions) {
  const run = launchServer(context, options);
  const { ports, peerId } = await run.ready();
  const peer = await createPeer({ context, topics: [topic('block'), topic('subtree')] });
  await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
  for (const kind of ['block', 'subtree']) await peer.sees(peerId, topic(kind));
  const texts: string[] = [];
  const socket = new WebSocket(`ws://127.0.0.1:${ports.http}/p2p-ws`);
  context.after(() => socket.terminate());
  socket.on('error', () => {});
  socket.on('message', (data) => texts.push(String(data)));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  // Who is greeted sees what comes from then on.
  await waitFor(() => texts.length > 0, { ...WAIT, what: 'the greeting' });
  const scrape = async () => (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
  return { run, ports, peerId, peer, texts, scrape };
}

async function send(peer: Peer, to: string, author: Stranger, kind: string, data: Uint8Array): Promise<void> {
  peer.send(to, [await author.sign(topic(kind), data)]);
}

/** The validation service: which context came with each BlockFound. */
async function validationService(context: TestContext): Promise<{ address: string; traceparents: string[] }> {
  const traceparents: string[] = [];
  const server = new Server();
  const handlers: BlockValidationAPIServer = {
    healthGrpc: (_, answer) => answer(null, { ok: true, details: '', timestamp: undefined }),
    blockFound: (call, answer) => {
      traceparents.push(String(call.metadata.get('traceparent')[0]));
      answer(null, {});
    },
  };
  server.addService(BlockValidationAPIService, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  context.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, traceparents };
}

const traceOf = ({ spans }: Collector, { traceId }: CollectedSpan) =>
  spans.filter((span) => span.traceId === traceId);

/** Traces of received messages of `kind` by what became of them. */
const received = ({ spans }: Collector, kind: string, outcome: string) =>
  spans.filter(
    ({ name, values }) => name === `process ${topic(kind)}` && values['teranode.p2p.outcome'] === outcome,
  );

test('a block’s way is one trace: received, checked, journalled, told, in Kafka, shown', async (context) => {
  const collector = await startCollector(context);
  const validation = await validationService(context);
  const { run, peerId, peer, scrape } = await started(context, {
    env: {
      ...collector.env,
      OTEL_SERVICE_NAME: 'ears',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    },
    set: { blockvalidation_grpcAddress: validation.address },
  });
  const author = await createStranger();
  const { header, hash } = mineHeader();
  const data = sampleData('block', { header, hash, peerId: author.id }, 'message-bus', author.id);
  await send(peer, peerId, author, 'block', data);
  const names = [
    `process ${topic('block')}`,
    'check',
    'journal',
    'send blocks',
    'send /p2p-ws',
    'blockvalidation_api.BlockValidationAPI/BlockFound',
  ];
  const trace = await waitFor(
    () => {
      const [root] = received(collector, 'block', 'ok');
      const spans = root === undefined ? [] : traceOf(collector, root);
      return spans.length >= names.length ? spans : undefined;
    },
    { ...WAIT, what: 'the whole trace' },
  );
  assert.deepEqual(trace.map(({ name }) => name).sort(), [...names].sort());
  const [root, check, journal, kafka, shown, told] = names.map(
    (name) => trace.find((span) => span.name === name)!,
  );
  for (const child of [check, journal, kafka, shown, told]) assert.equal(child!.parentSpanId, root!.spanId);
  assert.equal(root!.parentSpanId, '');
  assert.deepEqual(
    [root, check, journal, kafka, shown, told].map((span) => span!.kind),
    ['consumer', 'internal', 'internal', 'producer', 'producer', 'client'],
  );
  assert.ok(trace.every(({ error }) => error === undefined));
  // In the order of what happens, by one clock, though four threads and processes tell of it.
  for (const [earlier, later] of [
    [root, check],
    [check, journal],
    [journal, kafka],
    [journal, shown],
    [journal, told],
  ] as const)
    assert.ok(earlier!.start <= later!.start, `${earlier!.name} before ${later!.name}`);
  assert.equal(root!.values['teranode.p2p.author'], author.id);
  assert.equal(root!.values['teranode.p2p.source'], peer.id);
  assert.equal(root!.values['messaging.message.body.size'], data.length);
  assert.equal(root!.values['messaging.destination.name'], topic('block'));
  for (const span of [journal, kafka]) assert.equal(span!.values['teranode.p2p.hash'], hash);
  assert.equal(kafka!.values['messaging.destination.name'], 'blocks');
  assert.equal(shown!.values['teranode.p2p.clients'], 1);
  assert.deepEqual(
    ['rpc.system.name', 'rpc.method', 'rpc.status_code', 'server.address', 'server.port'].map(
      (name) => told!.values[name],
    ),
    [
      'grpc',
      'blockvalidation_api.BlockValidationAPI/BlockFound',
      'OK',
      '127.0.0.1',
      Number(validation.address.split(':')[1]),
    ],
  );
  assert.deepEqual(validation.traceparents, [`00-${told!.traceId}-${told!.spanId}-01`]);
  for (const { resource } of trace) {
    assert.equal(resource['service.name'], 'ears');
    assert.equal(resource['deployment.environment.name'], 'test');
    assert.equal(resource['service.instance.id'], peerId);
  }
  // Three processes and threads besides main have sent them.
  assert.equal(new Set(trace.map(({ resource }) => resource['process.pid'])).size, 2);

  // Every name is one of OpenTelemetry's, or ours.
  const known = new Set<unknown>(Object.values(conventions));
  const strange = collector.spans
    .flatMap(({ values, resource }) => [...Object.keys(values), ...Object.keys(resource)])
    .filter((name) => !known.has(name) && !name.startsWith('teranode.'));
  assert.deepEqual([...new Set(strange)], []);

  // What is not taken ends where that is decided.
  await send(peer, peerId, author, 'block', data);
  const again = await waitFor(() => received(collector, 'block', 'repeat')[0], {
    ...WAIT,
    what: 'the repeat',
  });
  assert.deepEqual(
    traceOf(collector, again)
      .map(({ name }) => name)
      .sort(),
    ['check', again.name],
  );
  const bad = sampleData('block', { header: 'zz', hash, peerId: author.id }, 'message-bus', author.id);
  await send(peer, peerId, author, 'block', bad);
  await waitFor(
    () => received(collector, 'block', 'bad_header')[0] ?? received(collector, 'block', 'bad_field')[0],
    {
      ...WAIT,
      what: 'the bad one',
    },
  );

  // What the node says itself begins a trace too.
  const statuses = () => collector.spans.filter(({ name }) => name === `send ${topic('node_status')}`);
  const own = await waitFor(() => statuses()[0], { ...WAIT, what: 'a status of its own' });
  assert.deepEqual([own.kind, own.parentSpanId], ['producer', '']);
  // The first is told before there is anybody to show it to.
  const isShown = (status: CollectedSpan) =>
    traceOf(collector, status).some(({ name }) => name === 'send /p2p-ws');
  await waitFor(() => statuses().some(isShown), { ...WAIT, what: 'a status as it is shown' });

  const exported = sumOf(await scrape(), 'teranode_p2p_trace_spans_total', { outcome: 'exported' });
  assert.ok(exported >= names.length, `${exported} spans exported`);
  // What has yet to go out goes out at the end.
  const last = await createStranger();
  await send(peer, peerId, last, 'subtree', subtreeData(last.id, 1));
  await waitFor(
    async () =>
      sumOf(await scrape(), 'teranode_p2p_messages_total', { kind: 'subtree', outcome: 'ok' }) === 1,
    {
      ...WAIT,
      what: 'the last message',
    },
  );
  run.child.kill('SIGTERM');
  assert.equal((await within(run.exit, 60_000, 'the end')).code, 0);
  assert.equal(received(collector, 'subtree', 'ok').length, 1);
});

test('calls of PeerService take up their caller’s trace, and calls to the node’s services pass one on', async (context) => {
  const collector = await startCollector(context);
  const chain = new BlockchainService();
  for (const header of minedChain(1)) chain.add(header);
  await chain.start();
  context.after(() => chain.stop());
  // Nothing is sampled but what a caller has sampled.
  const run = launchServer(context, {
    env: { ...collector.env, OTEL_TRACES_SAMPLER: 'parentbased_always_off' },
    set: { blockchain_grpcAddress: chain.address },
  });
  const { ports } = await run.ready();
  const stub = new Stub(`127.0.0.1:${ports.grpc}`, credentials.createInsecure());
  context.after(() => stub.close());
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const call = (flags: string) =>
    new Promise<void>((resolve, reject) => {
      const metadata = new Metadata();
      metadata.set('traceparent', `00-${traceId}-b7ad6b7169203331-${flags}`);
      stub.getPeers({}, metadata, (error) => (error === null ? resolve() : reject(error)));
    });
  await call('00');
  await call('01');
  const span = await waitFor(() => collector.spans[0], { ...WAIT, what: 'the span of the call' });
  assert.deepEqual(
    [span.name, span.kind, span.traceId, span.parentSpanId, span.error],
    ['p2p_api.PeerService/GetPeers', 'server', traceId, 'b7ad6b7169203331', undefined],
  );
  assert.deepEqual(
    ['rpc.system.name', 'rpc.method', 'rpc.status_code'].map((name) => span.values[name]),
    ['grpc', 'p2p_api.PeerService/GetPeers', 'OK'],
  );
  run.child.kill('SIGTERM');
  await within(run.exit, 60_000, 'the end');
  assert.deepEqual(
    collector.spans.map(({ name }) => name),
    [span.name],
  );

  // With everything sampled, what this server asks is a trace of its own.
  const asking = launchServer(context, {
    env: collector.env,
    set: { blockchain_grpcAddress: chain.address },
  });
  await asking.ready();
  const asked = await waitFor(
    () => collector.spans.find(({ name }) => name === 'blockchain_api.BlockchainAPI/GetBestBlockHeader'),
    { ...WAIT, what: 'the span of a call to the blockchain service' },
  );
  assert.deepEqual([asked.kind, asked.parentSpanId, asked.values['rpc.status_code']], ['client', '', 'OK']);
  assert.ok(!collector.spans.some(({ name }) => name.endsWith('/HealthGRPC')));
});

test('a collector that is not there, or says nothing, holds up no message and no stop', async (context) => {
  const [closed = 0] = await freePorts(1);
  const silent = await startCollector(context);
  silent.answer = () => {};
  for (const endpoint of [`http://127.0.0.1:${closed}`, silent.url]) {
    const { run, peerId, peer, texts, scrape } = await started(context, {
      env: {
        ...silent.env,
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20hush',
        OTEL_BSP_MAX_QUEUE_SIZE: '64',
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '64',
      },
    });
    const author = await createStranger();
    const count = 200;
    for (let n = 0; n < count; n++) await send(peer, peerId, author, 'subtree', subtreeData(author.id, n));
    await waitFor(() => texts.filter((text) => text.includes('"type":"subtree"')).length === count, {
      ...WAIT,
      what: 'every frame',
    });
    await waitFor(
      async () => {
        const spans = await scrape();
        return (
          sumOf(spans, 'teranode_p2p_trace_spans_total', { outcome: 'failed' }) +
            sumOf(spans, 'teranode_p2p_trace_spans_total', { outcome: 'dropped' }) >
          0
        );
      },
      { ...WAIT, what: 'spans that are counted as lost' },
    );
    run.child.kill('SIGTERM');
    assert.equal((await within(run.exit, 60_000, 'the end')).code, 0);
    assert.ok(!run.stdout.includes('hush'), 'no header in the log');
  }
});
