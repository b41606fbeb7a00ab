import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { namedPeerIds } from '../../../../src/main/node/addresses/configured-peers.js';
import { resolvePeers } from '../../../../src/main/node/addresses/dnsaddr.js';
import { bootstrapMultiaddrs, relayMultiaddrs } from '../../../../src/shared/settings/generations.js';
import { keptLog } from '../../../support/logger.js';
import { settingsOf } from '../../../support/settings.js';

const ID = '12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt';
const OTHER = '12D3KooWRBhwfeP2Y4TCx1SM6s9rUoHhR5STiGwxBhgFRcw3UERE';
const ONE = `/ip4/192.0.2.1/tcp/9905/p2p/${ID}`;
const TWO = `/dns4/two.example/tcp/9905/p2p/${OTHER}`;

async function resolve(addresses: string[], answers: Record<string, string[]>) {
  const log = keptLog();
  const asked: string[] = [];
  const peers = await resolvePeers(addresses, {
    logger: log.logger,
    resolveTxt: async (name) => {
      asked.push(name);
      const answer = answers[name];
      if (answer === undefined) throw new Error('queryTxt ENOTFOUND');
      return answer;
    },
  });
  const found = Object.fromEntries([...peers].map(([id, list]) => [id, list.map(String)]));
  return { found, asked, warnings: log.lines.filter(({ level }) => level === 40).length };
}

describe('configured peers', () => {
  it('are those of the generation’s settings, once each', () => {
    const set = {
      p2p_bootstrap_peers: [ONE, '/dnsaddr/boot.example'],
      p2p_bootstrapAddresses: [TWO, ONE],
    };
    const settings = settingsOf(set, 'first');
    assert.deepEqual(bootstrapMultiaddrs(settings), [ONE, '/dnsaddr/boot.example', TWO]);
    assert.deepEqual(bootstrapMultiaddrs(settingsOf(set)), [ONE, '/dnsaddr/boot.example']);
    assert.deepEqual(relayMultiaddrs(settings), bootstrapMultiaddrs(settings));
    assert.deepEqual(relayMultiaddrs({ ...settings, p2p_relay_peers: [TWO] }), [TWO]);
    assert.deepEqual([...namedPeerIds([ONE, TWO, '/dnsaddr/boot.example'])], [ID, OTHER]);
  });

  it('behind /dnsaddr come from TXT records, the named one alone where one is named', async () => {
    const answers = {
      '_dnsaddr.boot.example': [`dnsaddr=${ONE}`, `dnsaddr=${TWO}`, 'v=spf1', 'dnsaddr=', 'dnsaddr=/x'],
    };
    assert.deepEqual((await resolve(['/dnsaddr/boot.example', ONE], answers)).found, {
      [ID]: [ONE],
      [OTHER]: [TWO],
    });
    assert.deepEqual((await resolve([`/dnsaddr/boot.example/p2p/${OTHER}`], answers)).found, {
      [OTHER]: [TWO],
    });
  });

  it('that do not resolve, or resolve for ever, are warned of and leave the others alone', async () => {
    const answers = { '_dnsaddr.loop.example': ['dnsaddr=/dnsaddr/loop.example'] };
    const { found, asked, warnings } = await resolve(
      ['/dnsaddr/gone.example', '/dnsaddr/loop.example', ONE],
      answers,
    );
    assert.deepEqual(found, { [ID]: [ONE] });
    assert.equal(warnings, 2);
    assert.equal(asked.length, 5);
  });

  it('behind a name of which a part is out of order are the others', async () => {
    const { found, warnings } = await resolve(['/dnsaddr/boot.example'], {
      '_dnsaddr.boot.example': ['dnsaddr=/dnsaddr/gone.example', 'dnsaddr=nonsense', `dnsaddr=${ONE}`],
    });
    assert.deepEqual(found, { [ID]: [ONE] });
    assert.equal(warnings, 0);
  });

  it('behind a name that leads to no peer are missed aloud, as where it does not resolve', async () => {
    for (const records of [[], ['v=spf1 -all'], ['dnsaddr=/ip4/192.0.2.1/tcp/9905']]) {
      const { found, warnings } = await resolve(['/dnsaddr/boot.example'], {
        '_dnsaddr.boot.example': records,
      });
      assert.deepEqual(found, {});
      assert.equal(warnings, 1, records.join());
    }
  });

  it('of one name are bounded', async () => {
    const many = Array.from({ length: 500 }, (_, port) => `dnsaddr=/ip4/192.0.2.1/tcp/${port}/p2p/${ID}`);
    const { found } = await resolve(['/dnsaddr/many.example'], { '_dnsaddr.many.example': many });
    assert.equal(found[ID]?.length, 100);
  });
});
