import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client, credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { generate } from 'selfsigned';
import { bindAddress } from '../../../src/main/grpc/listen-address.js';
import { GrpcServer } from '../../../src/main/grpc/server.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { PeerServiceClient } from '../../../src/shared/grpc/peer-service-client.js';
import { parseListenAddress } from '../../../src/shared/net/listen-address.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { within } from '../../support/wait.js';
import { PLAIN, startService } from './service-fixture.js';

test('health answers by the standard protocol', async (context) => {
  const { address } = await startService(context);
  const health = loadPackageDefinition(loadSync(protoPath)) as unknown as {
    grpc: { health: { v1: { Health: ServiceClientConstructor } } };
  };
  const client = new health.grpc.health.v1.Health(address, credentials.createInsecure());
  for (const service of ['', 'p2p_api.PeerService']) {
    const answer = await new Promise<unknown>((resolve, reject) =>
      client.check?.({ service }, (error: Error | null, response: unknown) =>
        error === null ? resolve(response) : reject(error),
      ),
    );
    assert.equal((answer as { status: unknown }).status, 1, 'SERVING');
  }
  client.close();
});

test('reflection names the service and describes it', async (context) => {
  const { address } = await startService(context);
  const client = new Client(address, credentials.createInsecure());
  // ServerReflectionRequest: list_services = 7, file_containing_symbol = 4.
  const field = (number: number, text: string) =>
    Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)]);
  const ask = (request: Buffer) =>
    new Promise<string>((resolve, reject) => {
      const stream = client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
      );
      stream.on('data', (bytes: Buffer) => resolve(bytes.toString('latin1')));
      stream.on('error', reject);
      stream.write(request);
      stream.end();
    });
  const services = await ask(field(7, '*'));
  assert.match(services, /p2p_api\.PeerService/);
  assert.match(services, /grpc\.health\.v1\.Health/);
  const description = await ask(field(4, 'p2p_api.PeerService'));
  for (const name of ['BanPeerRequest', 'ipOrSubnet', 'GetPeers'])
    assert.ok(description.includes(name), name);
  client.close();
});

test('a port that is taken is named with its setting', async (context) => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  context.after(() => new Promise((resolve) => holder.close(resolve)));
  const { port } = holder.address() as { port: number };
  await assert.rejects(
    startService(context, { settings: { p2p_grpcListenAddress: parseListenAddress(`localhost:${port}`) } }),
    (error: Error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.match(error.message, /^p2p_grpcListenAddress: .*in use/);
      assert.ok(error.message.includes(String(port)));
      return true;
    },
  );
});

test('localhost is 127.0.0.1 and ::1, at one port, and taken at one of them it is named', async (context) => {
  const { server } = await startService(context);
  const port = server.port ?? 0;
  for (const address of [`127.0.0.1:${port}`, `[::1]:${port}`, `localhost:${port}`]) {
    const client = new PeerServiceClient(address);
    assert.deepEqual(await client.listBanned(), [], address);
    client.close();
  }
  await server.stop();
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '::1', resolve));
  context.after(() => new Promise((resolve) => holder.close(resolve)));
  const taken = (holder.address() as { port: number }).port;
  await assert.rejects(
    startService(context, { settings: { p2p_grpcListenAddress: parseListenAddress(`localhost:${taken}`) } }),
    new RegExp(`p2p_grpcListenAddress: .*${taken} is in use`),
  );
  // What was bound before is let go.
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(taken, '127.0.0.1', resolve));
  free.close();
});

test('a name is bound at each of its addresses, one that has none is named with its setting', async (context) => {
  const own = (await lookup(hostname(), { all: true })).map(({ address }) => address);
  const { server } = await startService(context, {
    settings: { p2p_grpcListenAddress: parseListenAddress(`${hostname()}:0`) },
  });
  for (const address of own) {
    const host = address.includes(':') ? `[${address}]` : address;
    const client = new PeerServiceClient(`${host}:${server.port}`);
    assert.deepEqual(await client.listBanned(), [], address);
    client.close();
  }
  await assert.rejects(
    startService(context, { settings: { p2p_grpcListenAddress: parseListenAddress('nobody.invalid:0') } }),
    /^ConfigurationError: p2p_grpcListenAddress: .*nobody\.invalid has no address/,
  );
});

test('without a host every address is bound, and loopback is told from what others reach', () => {
  assert.deepEqual(bindAddress(parseListenAddress('localhost:9904')), {
    target: 'localhost:9904',
    host: 'localhost',
    port: 9904,
    loopback: true,
  });
  assert.deepEqual(bindAddress(parseListenAddress(':9904')), {
    target: '[::]:9904',
    host: '::',
    port: 9904,
    loopback: false,
  });
  assert.deepEqual(bindAddress(parseListenAddress('[::1]:0')), {
    target: '[::1]:0',
    host: '::1',
    port: 0,
    loopback: true,
  });
  assert.deepEqual(bindAddress(parseListenAddress('0.0.0.0:1')), {
    target: '0.0.0.0:1',
    host: '0.0.0.0',
    port: 1,
    loopback: false,
  });
});

test('no address, no server', async (context) => {
  const { server } = await startService(context, { settings: { p2p_grpcListenAddress: undefined } });
  assert.equal(server.port, undefined);
});

test('stopping ends within its bound although a client stays connected, and twice is once', async (context) => {
  const { server, client } = await startService(context);
  await client.getPeers();
  await within(server.stop(), 5000, 'stopping');
  await server.stop();
  await assert.rejects(client.isBanned('192.0.2.1'), { name: 'UnavailableError' });
});

test('TLS by security_level_grpc, mutual at 3; files that are missing are named', async (context) => {
  const directory = temporaryDirectory(context);
  const pair = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const files = { server_certFile: join(directory, 'cert.pem'), server_keyFile: join(directory, 'key.pem') };
  writeFileSync(files.server_certFile, pair.cert);
  writeFileSync(files.server_keyFile, pair.private);
  const authority = { grpc_ca_file: files.server_certFile };

  const one = await startService(context, { settings: { ...files, security_level_grpc: 2 } });
  const verified = new PeerServiceClient(one.address, {
    tls: { ...settingsOf(), ...authority, security_level_grpc: 2 },
  });
  assert.deepEqual(await verified.getPeers(), []);
  verified.close();
  const plain = new PeerServiceClient(one.address, { deadlineMs: 500 });
  await assert.rejects(plain.getPeers());
  plain.close();

  const three = await startService(context, { settings: { ...files, ...authority, security_level_grpc: 3 } });
  const known = new PeerServiceClient(three.address, {
    tls: {
      ...authority,
      security_level_grpc: 3,
      grpc_cert_file: files.server_certFile,
      grpc_key_file: files.server_keyFile,
    },
  });
  assert.deepEqual(await known.getPeers(), []);
  known.close();
  const unknown = new PeerServiceClient(three.address, {
    deadlineMs: 1000,
    tls: { ...settingsOf(), ...authority, security_level_grpc: 2 },
  });
  await assert.rejects(unknown.getPeers());
  unknown.close();

  const { logger } = one;
  const lacking = new GrpcServer(
    { service: {} as never, connections: {} as never, logger },
    { ...PLAIN, security_level_grpc: 1 },
  );
  await assert.rejects(lacking.start(), (error: Error) => {
    assert.ok(error instanceof ConfigurationError);
    assert.deepEqual(
      error.problems.map((line) => line.split(':')[0]),
      ['server_certFile', 'server_keyFile'],
    );
    return true;
  });
});
