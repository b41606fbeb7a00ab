import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as snappy from 'snappy';
import { settingsProblems } from '../../../../src/main/preflight/settings.js';
import {
  COMPRESSION_TYPES,
  type CompressionName,
  compressionCodecs,
  compressionProblem,
} from '../../../../src/shared/sinks/kafka/kafkajs/compression.js';
import { settingsOf } from '../../../support/settings.js';

const codecs = compressionCodecs();
const small = Buffer.from('announcement '.repeat(20));
const large = Buffer.from('announcement '.repeat(20_000));

for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] as CompressionName[]) {
  const problem = compressionProblem(name);
  const settings = settingsOf({ p2p_kafka_compression: name });
  if (problem !== undefined) {
    test(`${name}, which this Node does not have, is a problem of the setting`, () => {
      assert.equal(name, 'zstd');
      assert.match(problem, /Node 22\.15/);
      assert.deepEqual(settingsProblems(settings), [`p2p_kafka_compression: ${problem}`]);
      assert.throws(() => codecs[COMPRESSION_TYPES[name]]?.(), /Node 22\.15/);
    });
    continue;
  }
  test(`what ${name} packs is smaller and comes back whole`, async () => {
    assert.deepEqual(settingsProblems(settings), []);
    const codec = codecs[COMPRESSION_TYPES[name]]?.();
    assert.ok(codec);
    for (const bytes of [small, large]) {
      const packed = await codec.compress({ buffer: bytes });
      assert.ok(packed.length < bytes.length);
      assert.deepEqual(await codec.decompress(packed), bytes);
    }
  });
}

test('the blocks in which Java packs with snappy are read', async () => {
  const blocks = [small, large].map((bytes) => {
    const packed = snappy.compressSync(bytes);
    const length = Buffer.alloc(4);
    length.writeInt32BE(packed.length);
    return Buffer.concat([length, packed]);
  });
  const head = Buffer.concat([
    Buffer.from([0x82]),
    Buffer.from('SNAPPY\0'),
    Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]),
  ]);
  const codec = codecs[COMPRESSION_TYPES.snappy]?.();
  assert.ok(codec);
  const stream = Buffer.concat([head, ...blocks]);
  assert.deepEqual(await codec.decompress(stream), Buffer.concat([small, large]));
  await assert.rejects(codec.decompress(stream.subarray(0, stream.length - 1)), RangeError);
});
