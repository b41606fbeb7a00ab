/** Certificates that are replaced while the server runs: who connects from then on sees the new ones, and nobody is cut. */

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import {
  type BlockValidationAPIServer,
  BlockValidationAPIService,
} from '../../src/shared/generated/blockvalidation_api.js';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { BlockchainService } from '../support/blockchain-service.js';
import type { TestCertificate } from '../support/certificates.js';
import { serveBroker } from '../support/embedded-broker.js';
import { samplesOf } from '../support/gossip.js';
import { minedChain } from '../support/headers.js';
import { announcement, startPublisher } from '../support/publisher.js';
import { fingerprint, RotatingFiles, shownAt } from '../support/rotating-files.js';
import { serverSettings, startServer, type TestServer } from '../support/server.js';
import type { SettingChanges } from '../support/settings.js';
import { waitFor } from '../support/wait.js';

async function figure({ server }: TestServer, name: string, labels: Record<string, string>): Promise<number> {
  const samples = samplesOf(await server.scrape(), name);
  const found = samples.find((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return found?.value ?? Number.NaN;
}

/** Settings that give `files` to PeerService. */
const ofPeerService = (files: RotatingFiles): SettingChanges => ({
  security_level_grpc: 2,
  server_certFile: files.certFile,
  server_keyFile: files.keyFile,
});

test('PeerService shows a new certificate after files were written over, and after Kubernetes’ link was moved; half a pair is not taken', async (context) => {
  const files = new RotatingFiles(context);
  const [first, second, third, fourth] = [
    await files.make(),
    await files.make(),
    await files.make(),
    await files.make(),
  ] as const;
  files.swap(first);
  const running = await startServer(
    context,
    serverSettings(context, { ...ofPeerService(files), p2p_notification_servers: 1 }),
  );
  const port = Number(running.server.ports.grpc);
  const shown = (pair: TestCertificate) => async () => (await shownAt(port)) === fingerprint(pair);
  const use = 'peerservice';
  const ending = () => figure(running, 'teranode_p2p_tls_certificate_expiry_timestamp_seconds', { use });
  const refused = () => figure(running, 'teranode_p2p_tls_files_refused', { use });
  const endOf = (pair: TestCertificate) => Date.parse(new X509Certificate(pair.certificate).validTo) / 1000;
  assert.ok(await shown(first)());
  // Trusts the first certificate alone: its calls go on for as long as its first connection does.
  const held = new PeerServiceClient(`127.0.0.1:${port}`, {
    tls: {
      security_level_grpc: 2,
      grpc_ca_file: first.certificateFile,
      grpc_cert_file: '',
      grpc_key_file: '',
    },
    deadlineMs: 10_000,
  });
  context.after(() => held.close());
  assert.deepEqual(await held.getPeers(), []);

  files.overwrite(second);
  await waitFor(shown(second), {
    what: 'the certificate that was written over the first',
    timeoutMs: 15_000,
  });
  assert.equal(await ending(), endOf(second));

  files.overwrite(third, 'certificate');
  const told = await waitFor(
    () => running.log.lines.find(({ msg }) => msg === 'new TLS files refused, the old ones stay in use'),
    { what: 'the refusal' },
  );
  assert.match(JSON.stringify(told.problems), /server_keyFile: .* does not belong to /);
  assert.ok(await shown(second)());
  assert.equal(await refused(), 1);
  files.overwrite(third);
  await waitFor(shown(third), { what: 'the certificate whose key came late' });
  assert.equal(await refused(), 0);

  files.swap(fourth);
  await waitFor(shown(fourth), { what: 'the certificate behind the moved link' });
  assert.equal(await ending(), endOf(fourth));
  assert.deepEqual(await held.getPeers(), [], 'a connection of before goes on');
  const outcomes = (outcome: string) => figure(running, 'teranode_p2p_tls_reloads_total', { use, outcome });
  assert.deepEqual([await outcomes('reloaded'), await outcomes('refused')], [3, 1]);
});

test('PeerService that asks for client certificates asks for those of a new authority once its file is replaced', async (context) => {
  const files = new RotatingFiles(context);
  const [own, before, after] = [await files.make(), await files.make(), await files.make()] as const;
  files.swap(own, before);
  const { server } = await startServer(
    context,
    serverSettings(context, {
      ...ofPeerService(files),
      security_level_grpc: 3,
      grpc_ca_file: files.caFile,
      // Of our own calls, which this server makes none of.
      grpc_cert_file: own.certificateFile,
      grpc_key_file: own.keyFile,
      p2p_notification_servers: 1,
    }),
  );
  const answers = async (pair: TestCertificate): Promise<boolean> => {
    const client = new PeerServiceClient(`127.0.0.1:${server.ports.grpc}`, {
      tls: {
        security_level_grpc: 3,
        grpc_ca_file: own.certificateFile,
        grpc_cert_file: pair.certificateFile,
        grpc_key_file: pair.keyFile,
      },
      deadlineMs: 1_000,
    });
    try {
      return (await client.getPeers()).length === 0;
    } catch {
      return false;
    } finally {
      client.close();
    }
  };
  await waitFor(() => answers(before), { what: 'an answer to a client of the first authority' });
  files.swap(own, after);
  await waitFor(() => answers(after), {
    what: 'an answer to a client of the new authority',
    timeoutMs: 15_000,
  });
  assert.equal(await answers(before), false);
});

test('calls to the blockchain service follow new client certificates and authorities; its stream of before goes on', async (context) => {
  const files = new RotatingFiles(context);
  const [client, service, nextClient, nextService] = [
    await files.make(),
    await files.make(),
    await files.make(),
    await files.make(),
  ] as const;
  const secured = (own: TestCertificate, clients: TestCertificate) =>
    ServerCredentials.createSsl(
      Buffer.from(clients.certificate),
      [{ cert_chain: Buffer.from(own.certificate), private_key: Buffer.from(own.key) }],
      true,
    );
  files.swap(client, service);
  const chain = new BlockchainService();
  chain.add(minedChain(1)[0] as Uint8Array, { height: 1 });
  await chain.start(secured(service, client));
  context.after(() => chain.stop());
  const running = await startServer(
    context,
    serverSettings(context, {
      security_level_grpc: 3,
      blockchain_grpcAddress: chain.address,
      grpc_ca_file: files.caFile,
      grpc_cert_file: files.certFile,
      grpc_key_file: files.keyFile,
      p2p_grpcListenAddress: '',
      p2p_notification_servers: 1,
    }),
  );
  await waitFor(() => chain.streams.size > 0, { what: 'the subscription' });
  const [stream] = chain.streams;
  files.swap(nextClient, nextService);
  const taken = () =>
    figure(running, 'teranode_p2p_tls_reloads_total', { use: 'services', outcome: 'reloaded' });
  // Without it the old files would be tried; with it the stream must have stayed.
  const reloaded = await waitFor(async () => (await taken()) === 1, { timeoutMs: 10_000 }).catch(() => false);
  assert.ok(stream !== undefined && !stream.cancelled && chain.streams.has(stream));
  chain.stop();
  await chain.start(secured(nextService, nextClient));
  await waitFor(() => chain.streams.size > 0, {
    what: 'a subscription with the new certificate to one of the new authority',
    timeoutMs: 15_000,
  });
  assert.ok(reloaded);
});

test('BlockFound follows a new client certificate', async (context) => {
  const files = new RotatingFiles(context);
  const [client, next, own] = [await files.make(), await files.make(), await files.make()] as const;
  files.swap(client, own);
  const callers: string[] = [];
  const serve = async (clients: TestCertificate, port = 0) => {
    const validation: BlockValidationAPIServer = {
      healthGrpc: (_call, answer) => answer(null, { ok: true, details: '', timestamp: new Date() }),
      blockFound: (call, answer) => {
        callers.push(String(call.getAuthContext().sslPeerCertificate?.fingerprint256));
        answer(null, {});
      },
    };
    const server = new Server();
    server.addService(BlockValidationAPIService, validation);
    const credentials = ServerCredentials.createSsl(
      Buffer.from(clients.certificate),
      [{ cert_chain: Buffer.from(own.certificate), private_key: Buffer.from(own.key) }],
      true,
    );
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, credentials, (error, taken) =>
        error === null ? resolve(taken) : reject(error),
      );
    });
    context.after(() => server.forceShutdown());
    return { server, port: bound };
  };
  const broker = await serveBroker(context);
  const { server, port } = await serve(client);
  const publisher = startPublisher(context, broker.socketPath, {
    security_level_grpc: 3,
    blockvalidation_grpcAddress: `127.0.0.1:${port}`,
    grpc_ca_file: files.caFile,
    grpc_cert_file: files.certFile,
    grpc_key_file: files.keyFile,
  });
  await publisher.publish([announcement('a block')]);
  await waitFor(() => callers.length === 1, { what: 'the first block' });
  assert.equal(callers[0], fingerprint(client));
  files.overwrite(next);
  server.forceShutdown();
  await serve(next, port);
  let count = 0;
  await waitFor(
    async () => {
      await publisher.publish([announcement(`block ${++count} after`)]);
      return callers.length > 1;
    },
    { what: 'a block by the new certificate', everyMs: 250, timeoutMs: 15_000 },
  );
  assert.equal(callers[1], fingerprint(next));
  await publisher.close();
});

/** As much of a broker as looks at certificates: it notes the client's and hangs up. */
async function brokerThatAsks(context: TestContext, own: TestCertificate) {
  const seen: string[] = [];
  const server = createServer(
    { cert: own.certificate, key: own.key, requestCert: true, rejectUnauthorized: false },
    (socket: TLSSocket) => {
      socket.on('error', () => {});
      seen.push(String(socket.getPeerCertificate().fingerprint256));
      socket.destroy();
    },
  );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  return { seen, port: (server.address() as AddressInfo).port };
}

test('connections to brokers follow a new client certificate, of producers and of consumers, and half a pair is not shown', async (context) => {
  const files = new RotatingFiles(context);
  const [client, next, last, own] = [
    await files.make(),
    await files.make(),
    await files.make(),
    await files.make(),
  ] as const;
  files.swap(client, own);
  const producing = await brokerThatAsks(context, own);
  const consuming = await brokerThatAsks(context, own);
  await startServer(
    context,
    serverSettings(context, {
      KAFKA_ENABLE_TLS: true,
      KAFKA_TLS_CA_FILE: files.caFile,
      KAFKA_TLS_CERT_FILE: files.certFile,
      KAFKA_TLS_KEY_FILE: files.keyFile,
      kafka_blocksConfig: `kafka://127.0.0.1:${producing.port}/blocks`,
      kafka_rejectedTxConfig: `kafka://127.0.0.1:${consuming.port}/rejectedtx`,
      p2p_notification_servers: 1,
    }),
  );
  const known = [client, next, last].map(fingerprint);
  for (const { seen } of [producing, consuming]) {
    await waitFor(() => seen.includes(fingerprint(client)), { what: 'the first certificate' });
  }
  files.overwrite(next);
  for (const { seen } of [producing, consuming]) {
    await waitFor(() => seen.includes(fingerprint(next)), {
      what: 'the certificate that was written over it',
      timeoutMs: 20_000,
    });
  }
  files.overwrite(last, 'certificate');
  for (const { seen } of [producing, consuming]) {
    const count = seen.length;
    await waitFor(() => seen.length > count + 1, { what: 'connections meanwhile' });
  }
  files.swap(last, own);
  for (const { seen } of [producing, consuming]) {
    await waitFor(() => seen.includes(fingerprint(last)), { what: 'the certificate behind the moved link' });
    assert.ok(seen.every((shown) => known.includes(shown)));
  }
});
