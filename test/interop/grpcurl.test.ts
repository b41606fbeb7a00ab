/** The gRPC port in the hands of somebody who has grpcurl and no contract: everything is found by reflection. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { ADMIN_KEY, startService } from '../main/grpc/service-fixture.js';
import { GRPCURL } from './build.js';

const HEALTH = 'grpc.health.v1.Health';
const PEER_SERVICE = 'p2p_api.PeerService';

/** What `grpcurl -plaintext …` prints; its complaint is the assertion's message where it fails. */
async function grpcurl(...args: readonly string[]): Promise<string> {
  const { code, output } = await outcomeOf(args);
  assert.equal(code, 0, `grpcurl ${args.join(' ')}:\n${output}`);
  return output;
}

function outcomeOf(args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(GRPCURL, ['-plaintext', ...args], { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: `${stdout}${stderr}` }),
    );
  });
}

test('grpcurl asks for health, of everything and of PeerService, once, as a list and as a stream', async (context) => {
  const { address } = await startService(context);
  const all = JSON.parse(await grpcurl(address, `${HEALTH}/Check`));
  assert.deepEqual(all, { status: 'SERVING' });
  const one = await grpcurl('-d', JSON.stringify({ service: PEER_SERVICE }), address, `${HEALTH}/Check`);
  assert.deepEqual(JSON.parse(one), { status: 'SERVING' });
  const list = JSON.parse(await grpcurl(address, `${HEALTH}/List`));
  assert.deepEqual(list, { statuses: { '': { status: 'SERVING' }, [PEER_SERVICE]: { status: 'SERVING' } } });
  // The stream goes on until grpcurl's own time is over.
  const { output } = await outcomeOf(['-max-time', '5', address, `${HEALTH}/Watch`]);
  assert.match(output, /"status": "SERVING"[\s\S]*DeadlineExceeded/);
});

test('grpcurl lists and describes every service, every message of theirs, and calls every method', async (context) => {
  const { address } = await startService(context);
  const services = (await grpcurl(address, 'list')).trim().split('\n');
  assert.ok(
    [HEALTH, PEER_SERVICE].every((name) => services.includes(name)),
    services.join(),
  );
  const described = new Set<string>();
  const describe = async (symbol: string): Promise<string> => {
    described.add(symbol);
    const text = await grpcurl(address, 'describe', symbol);
    for (const [, type = ''] of text.matchAll(/ \.((?:p2p_api|grpc\.health\.v1)\.\w+)/g)) {
      if (!described.has(type)) await describe(type);
    }
    return text;
  };
  for (const service of [HEALTH, PEER_SERVICE]) await describe(service);
  assert.ok(described.has('p2p_api.PeerRegistryInfo') && described.has(`${HEALTH}ListResponse`));
  const methods = (await grpcurl(address, 'list', PEER_SERVICE)).trim().split('\n');
  assert.equal(methods.length, 25);
  for (const method of methods) {
    const { output } = await outcomeOf(['-H', `x-api-key: ${ADMIN_KEY}`, address, method]);
    // An empty request is answered, or found wanting by the server itself.
    assert.match(output, /^(?:\{|ERROR:\n {2}Code: InvalidArgument\n)/, `${method}: ${output}`);
  }
});
