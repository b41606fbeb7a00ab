import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeMessage } from '../../../src/shared/messages/encode.js';
import { unwrap } from '../../../src/shared/messages/framing.js';
import {
  bestblock,
  block,
  MESSAGE_KINDS,
  miningOn,
  nodeStatus,
  rejectedTx,
  subtree,
} from '../../../src/shared/messages/index.js';
import type { MessageKind } from '../../../src/shared/messages/kind.js';
import { AUTHOR, contextOf, sampleFields } from '../../support/sample-messages.js';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('what is sent', () => {
  it('has the first spelling with direct framing, every key, empty or not', () => {
    assert.equal(
      text(encodeMessage(bestblock, { peerId: AUTHOR }, 'direct', 'me')),
      `{"PeerId":"${AUTHOR}"}`,
    );
    assert.equal(
      text(encodeMessage(block, { hash: 'ab', peerId: AUTHOR }, 'direct', 'me')),
      `{"Hash":"ab","Height":0,"DataHubUrl":"","PeerId":"${AUTHOR}","ClientName":"","Header":"","Coinbase":""}`,
    );
    assert.equal(
      text(encodeMessage(subtree, {}, 'direct', 'me')),
      '{"Hash":"","DataHubUrl":"","PeerId":"","ClientName":""}',
    );
    assert.equal(
      text(encodeMessage(rejectedTx, {}, 'direct', 'me')),
      '{"TxId":"","Reason":"","PeerId":"","ClientName":""}',
    );
  });

  it('has the second spelling in an envelope with message-bus framing', () => {
    const envelope = JSON.parse(text(encodeMessage(rejectedTx, { txId: 'ab' }, 'message-bus', 'me "too"')));
    assert.equal(envelope.name, 'me "too"');
    assert.equal(
      Buffer.from(envelope.data, 'base64').toString(),
      '{"TxID":"ab","Reason":"","PeerID":"","ClientName":""}',
    );
  });

  it('leaves 64-bit integers unrounded', () => {
    assert.match(
      text(
        encodeMessage(
          miningOn,
          { sizeInBytes: 18446744073709551615n, txCount: 9007199254740993n },
          'direct',
          '',
        ),
      ),
      /"SizeInBytes":18446744073709551615,"TxCount":9007199254740993}$/,
    );
  });

  it('leaves out of a node status what is empty and may be', () => {
    assert.equal(
      text(encodeMessage(nodeStatus, { peerId: AUTHOR, type: 'node_status' }, 'direct', '')),
      `{"peer_id":"${AUTHOR}","client_name":"","type":"node_status","base_url":"","version":"","commit_hash":"","best_block_hash":"","best_height":0,"fsm_state":"","start_time":0,"uptime":0,"miner_name":"","listen_mode":"","chain_work":""}`,
    );
    assert.match(
      text(encodeMessage(nodeStatus, { minMiningTxFee: 0, txCount: 0n, storage: 'pruned' }, 'direct', '')),
      /"min_mining_tx_fee":0,"storage":"pruned"}$/,
    );
  });

  it('reads back as it was, for every kind and framing', () => {
    for (const kind of MESSAGE_KINDS) {
      if (kind.wire.length === 0) continue;
      const fields = sampleFields(kind.name);
      for (const framing of ['direct', 'message-bus'] as const) {
        const unwrapped = unwrap(encodeMessage(kind as MessageKind<object>, fields, framing, 'me'), kind);
        assert.equal(unwrapped.framing, framing);
        assert.deepEqual(kind.decode(unwrapped.message, contextOf()), fields);
      }
    }
  });
});
