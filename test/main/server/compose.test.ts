import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeDependencies, consumerGroup } from '../../../src/main/server/compose.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';

test('the consumer group is named by client and generation', () => {
  const group = (p2p_generation: 'first' | 'current', clientName: string) =>
    consumerGroup({ p2p_generation, clientName });
  assert.deepEqual(
    [group('current', 'alice'), group('first', 'alice'), group('current', '')],
    ['p2p.alice', 'p2p', 'p2p'],
  );
});

test('what the settings leave empty is embedded, what they name is real', async (context) => {
  const compose = (changes: object) =>
    composeDependencies(
      settingsOf({ network: 'regtest', DATADIR: temporaryDirectory(context), ...changes }),
      keptLog().logger,
    );
  const alone = compose({});
  assert.equal(alone.blockchain, undefined);
  assert.ok(alone.embedded.broker !== undefined);
  assert.equal((await alone.validation.health(AbortSignal.timeout(1000))).message, 'not configured');
  const real = compose({
    blockchain_grpcAddress: 'localhost:8087',
    kafka_blocksConfig: 'kafka://localhost:9092/blocks',
    kafka_subtreesConfig: 'kafka://localhost:9092/subtrees',
    kafka_rejectedTxConfig: 'kafka://localhost:9092/rejectedtx',
  });
  assert.ok(real.blockchain !== undefined);
  assert.equal(real.embedded.broker, undefined);
  await real.blockchain.close();
});
