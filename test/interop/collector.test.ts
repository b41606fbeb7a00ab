/** OpenTelemetry's own Collector takes what the server sends, over each protocol, and passes it on whole. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { type Collector, startCollector } from '../support/collector.js';
import { createStranger, subtreeData } from '../support/gossip.js';
import { createPeer } from '../support/peer.js';
import { freePorts } from '../support/ports.js';
import { launchServer } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';
import { COLLECTOR } from './build.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';

/** The configuration that operators are shown. */
function shownConfiguration(): Configuration {
  const page = readFileSync('docs/operations.md', 'utf8');
  const block = page.split(/```(?:yaml)?\n/).find((text) => text.startsWith('receivers:'));
  assert.ok(block !== undefined, 'docs/operations.md shows a configuration of the collector');
  return parse(block) as Configuration;
}

interface Configuration {
  receivers: { otlp: { protocols: Record<'grpc' | 'http', { endpoint: string }> } };
  exporters: Record<string, object>;
  service: object;
}

/** Starts it on the configuration of docs/operations.md, with ports of its own, to `behind`. */
async function startOriginal(
  context: TestContext,
  behind: Collector,
): Promise<Record<'grpc' | 'http', number>> {
  const [grpc = 0, http = 0] = await freePorts(2);
  const shown = shownConfiguration();
  const configuration = {
    ...shown,
    receivers: {
      otlp: {
        protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } },
      },
    },
    // Its own figures are on a port that another may have.
    service: { ...shown.service, telemetry: { metrics: { level: 'none' } } },
    exporters: Object.fromEntries(
      Object.entries(shown.exporters).map(([name, options]) => [
        name,
        { ...options, endpoint: behind.url, encoding: 'json', compression: 'none' },
      ]),
    ),
  };
  const file = join(temporaryDirectory(context), 'collector.yaml');
  writeFileSync(file, stringify(configuration));
  const child = spawn(COLLECTOR, [`--config=${file}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  context.after(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  await waitFor(
    () => {
      if (child.exitCode !== null) throw new Error(`the collector ended: ${said}`);
      return said.includes('Everything is ready');
    },
    { timeoutMs: 60_000, what: 'the collector' },
  );
  return { grpc, http };
}

for (const [protocol, port] of [
  ['grpc', 'grpc'],
  ['http/protobuf', 'http'],
  ['http/json', 'http'],
] as const) {
  test(`the Collector takes spans over ${protocol}, with headers and compression`, async (context) => {
    const behind = await startCollector(context);
    const ports = await startOriginal(context, behind);
    const run = launchServer(context, {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports[port]}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=node-1',
        OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
        OTEL_BSP_SCHEDULE_DELAY: '100',
      },
    });
    const { ports: own, peerId } = await run.ready();
    const peer = await createPeer({ context, topics: [TOPIC] });
    await peer.dial(`/ip4/127.0.0.1/tcp/${own.p2p}/p2p/${peerId}`);
    await peer.sees(peerId, TOPIC);
    const author = await createStranger();
    const count = 20;
    for (let n = 0; n < count; n++) peer.send(peerId, [await author.sign(TOPIC, subtreeData(author.id, n))]);
    const named = (name: string) => behind.spans.filter((span) => span.name === name);
    await waitFor(
      () =>
        [`process ${TOPIC}`, 'check', 'send subtrees'].every((name) => named(name).length === count) &&
        ['journal', 'send /p2p-ws'].every((name) => named(name).length >= count),
      { timeoutMs: 60_000, what: 'every span' },
    );
    for (const span of named('send subtrees')) {
      const root = named(`process ${TOPIC}`).find(({ spanId }) => spanId === span.parentSpanId);
      assert.equal(root?.traceId, span.traceId);
      assert.equal(root?.values['teranode.p2p.author'], author.id);
      assert.equal(root?.values['teranode.p2p.outcome'], 'ok');
    }
    run.child.kill('SIGTERM');
    assert.equal((await within(run.exit, 60_000, 'the end')).code, 0);
    assert.ok(!run.lines().some(({ component, level }) => component === 'tracing' && Number(level) >= 40));
  });
}
