import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  KafkaBlockTopicMessage,
  KafkaSubtreeTopicMessage,
} from '../../../src/shared/generated/kafkamessage.js';
import type { CheckContext } from '../../../src/shared/messages/context.js';
import { MESSAGE_KINDS } from '../../../src/shared/messages/index.js';
import type { MessageKind } from '../../../src/shared/messages/kind.js';
import { outcomeAt } from '../../../src/shared/messages/outcomes.js';
import type { WireField } from '../../../src/shared/messages/wire-fields.js';
import { checkDirect, checkMessage, ownMessage } from '../../../src/shared/pipeline/check.js';
import type { CheckedMessage, RawMessage } from '../../../src/shared/pipeline/types.js';
import { kindNamed } from '../../support/kinds.js';
import {
  AUTHOR,
  contextOf,
  DATA_HUB,
  GENESIS_HASH,
  GENESIS_HEADER,
  heard,
  mineHeader,
  OTHER_PEER,
  sampleData,
  sampleFields,
} from '../../support/sample-messages.js';

const CONTEXT = contextOf();

function check(
  kind: string,
  data: Uint8Array | string,
  changes: Partial<RawMessage> = {},
  context: CheckContext = CONTEXT,
): CheckedMessage {
  return checkMessage(kindNamed(kind), heard(kind, data, changes), context);
}

/** A message of our own, of which nothing but this is other than a good one's. */
function own(kind: string, changes: Record<string, unknown> = {}): CheckedMessage {
  const { receivedAt } = heard(kind, '');
  const fields = { ...sampleFields(kind), ...changes };
  const of = kindNamed(kind) as MessageKind<object>;
  return ownMessage(of, fields, { author: AUTHOR, receivedAt }, CONTEXT);
}

function outcome(...args: Parameters<typeof check>): string {
  return outcomeAt(check(...args).outcome).name;
}

/** A block message's JSON with changes by key. */
function blockJson(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    Hash: GENESIS_HASH,
    Height: 7,
    DataHubURL: DATA_HUB,
    PeerID: AUTHOR,
    ClientName: 'one',
    Header: GENESIS_HEADER,
    Coinbase: '',
    ...changes,
  });
}

describe('a good message', () => {
  for (const { name } of MESSAGE_KINDS) {
    for (const framing of ['direct', 'message-bus'] as const) {
      it(`of kind ${name} is taken in framing ${framing}`, () => {
        assert.equal(
          outcome(name, name === 'handshake' ? '{"type":"version"}' : sampleData(name, {}, framing)),
          'ok',
        );
      });
    }
  }

  it('of a block becomes a frame, a record in protobuf and a fact', () => {
    const checked = check('block', sampleData('block'));
    assert.equal(
      Buffer.from(checked.frame).toString(),
      `{"timestamp":"2026-01-02T03:04:05Z","type":"block","hash":"${GENESIS_HASH}","base_url":"${DATA_HUB}","peer_id":"${AUTHOR}","height":7,"best_height":0,"client_name":"one"}`,
    );
    assert.deepEqual(KafkaBlockTopicMessage.decode(checked.record!.value), {
      hash: GENESIS_HASH,
      URL: DATA_HUB,
      peer_id: AUTHOR,
    });
    assert.equal(Buffer.from(checked.record!.key).toString(), GENESIS_HASH);
    assert.equal(Buffer.from(checked.record!.hash).reverse().toString('hex'), GENESIS_HASH);
    assert.deepEqual(JSON.parse(checked.fact), {
      type: 'block',
      peer: AUTHOR,
      height: 7,
      hash: GENESIS_HASH,
      dataHubUrl: DATA_HUB,
      clientName: 'one',
      header: GENESIS_HEADER,
    });
    assert.equal(checked.repeatKey.length, 16);
    assert.equal(checked.hashKey.length, 16);
  });

  it('of a block has the header’s 80 bytes where it was sent one, our own too, and no other kind has', () => {
    const genesis = Buffer.from(GENESIS_HEADER, 'hex');
    const headers = [
      check('block', blockJson()),
      check('block', blockJson({ Header: GENESIS_HEADER.toUpperCase() })),
      own('block', { hash: GENESIS_HASH, header: GENESIS_HEADER }),
    ].map(({ header }) => Buffer.from(header ?? []));
    assert.deepEqual(headers, [genesis, genesis, genesis]);
    assert.equal(genesis.length, 80);
    assert.equal(check('block', blockJson({ Header: '' })).header, undefined);
    for (const { name } of MESSAGE_KINDS) {
      if (name === 'block' || name === 'handshake') continue;
      assert.equal(check(name, sampleData(name)).header, undefined, name);
    }
  });

  it('of a subtree becomes a raw record without a key where that is configured', () => {
    const context = contextOf({ kafka_record_format: 'raw' });
    const { record } = check('subtree', sampleData('subtree'), {}, context);
    assert.equal(record!.key.length, 0);
    assert.deepEqual(
      Buffer.from(record!.value),
      Buffer.concat([Buffer.from('ab'.repeat(32), 'hex'), Buffer.from(DATA_HUB)]),
    );
    const protobuf = check('subtree', sampleData('subtree')).record!.value;
    assert.equal(KafkaSubtreeTopicMessage.decode(protobuf).URL, DATA_HUB);
  });

  it('of a subtree becomes protobuf with the hash as bytes, without a key, where that is configured', () => {
    const context = contextOf({ kafka_record_format: 'protobuf-bytes' });
    const { record } = check('subtree', sampleData('subtree'), {}, context);
    assert.equal(record!.key.length, 0);
    const url = Buffer.from(DATA_HUB);
    // Field 1, 32 bytes; field 2, the URL's length and bytes.
    const value = [
      Buffer.from([0x0a, 32]),
      Buffer.from('ab'.repeat(32), 'hex'),
      Buffer.from([0x12, url.length]),
      url,
    ];
    assert.deepEqual(Buffer.from(record!.value), Buffer.concat(value));
  });

  it('keeps 64-bit numbers unrounded from gossip to frame', () => {
    const frame = Buffer.from(check('mining_on', sampleData('mining_on')).frame).toString();
    assert.match(frame, /"tx_count":9007199254740993,"height":8,"size_in_bytes":18446744073709551615,/);
    const status = Buffer.from(check('node_status', sampleData('node_status')).frame).toString();
    assert.match(status, /"tx_count":9007199254740993,/);
  });

  it('has frames of the first generation without what only current ones carry', () => {
    const frame = check('block', sampleData('block'), {}, { ...CONTEXT, generation: 'first' }).frame;
    const keys = Object.keys(JSON.parse(Buffer.from(frame).toString()));
    assert.deepEqual(keys, ['timestamp', 'type', 'hash', 'base_url', 'peer_id', 'height']);
  });

  it('has frames of the current generation with every key in the order of Go’s struct', () => {
    const keysOf = (kind: string, changes = {}) =>
      Object.keys(JSON.parse(Buffer.from(check(kind, sampleData(kind, changes)).frame).toString()));
    assert.deepEqual(keysOf('block'), [
      'timestamp',
      'type',
      'hash',
      'base_url',
      'peer_id',
      'height',
      'best_height',
      'client_name',
    ]);
    assert.deepEqual(keysOf('mining_on'), [
      'timestamp',
      'type',
      'hash',
      'base_url',
      'peer_id',
      'previousblockhash',
      'tx_count',
      'height',
      'size_in_bytes',
      'miner',
      'best_height',
    ]);
  });

  it('tells a fee of 0 from none told', () => {
    const frame = (changes: Record<string, unknown>) =>
      Buffer.from(check('node_status', sampleData('node_status', changes)).frame).toString();
    assert.match(frame({ minMiningTxFee: 0 }), /"min_mining_tx_fee":0[,}]/);
    assert.ok(!frame({ minMiningTxFee: undefined }).includes('min_mining_tx_fee'));
  });

  it('has an ampersand in its frame as Go writes it', () => {
    const frame = check(
      'block',
      sampleData('block', { dataHubUrl: 'https://hub.example.org/?a=1&b=2' }),
    ).frame;
    assert.match(Buffer.from(frame).toString(), /\?a=1\\u0026b=2"/);
  });

  it('of our own has a frame and nothing else, wherever its data hub is', () => {
    const checked = own('block', { dataHubUrl: 'http://127.0.0.1:8090' });
    assert.equal(outcomeAt(checked.outcome).name, 'ok');
    assert.equal(checked.own, true);
    assert.ok(checked.frame.length > 0);
    assert.equal(checked.record, undefined);
    assert.equal(checked.fact, '');
  });

  it('of our own is shown as it would be, had it been sent and come back', () => {
    for (const { name, frame } of MESSAGE_KINDS) {
      if (frame === undefined) continue;
      const text = Buffer.from(own(name).frame).toString();
      assert.equal(text, Buffer.from(check(name, sampleData(name)).frame).toString(), name);
    }
    const miner = '</b>\u202Ea';
    const shown = JSON.parse(Buffer.from(own('mining_on', { miner }).frame).toString());
    assert.equal(shown.miner, '/ba');
    assert.equal(outcomeAt(own('mining_on', { hash: 'none' }).outcome).name, 'bad_field');
  });

  it('is told from a repeat by kind, originator, hash and URL', () => {
    const key = (changes: Record<string, unknown>, author = AUTHOR) =>
      check('subtree', sampleData('subtree', changes, 'direct', author), { author }).repeatKey;
    const first = key({});
    assert.equal(key({ clientName: 'renamed' }), first);
    assert.notEqual(key({ hash: 'cd'.repeat(32) }), first);
    assert.notEqual(key({ dataHubUrl: 'https://elsewhere.example.org' }), first);
    assert.notEqual(key({}, OTHER_PEER), first);
    const hashKey = (author: string) =>
      check('subtree', sampleData('subtree', {}, 'direct', author), { author }).hashKey;
    assert.equal(hashKey(AUTHOR), hashKey(OTHER_PEER));
  });
});

describe('keys', () => {
  it('are read in either spelling and any case, the last of equals winning', () => {
    assert.equal(
      outcome('block', blockJson().replace('DataHubURL', 'dAtAhUbUrL').replace('PeerID', 'PEERID')),
      'ok',
    );
    const twice = blockJson().replace('{', '{"hash":"zz","Height":9,');
    assert.match(Buffer.from(check('block', twice).frame).toString(), /"height":7/);
    // A JavaScript object would keep the first key's place and look at the second spelling last.
    const thrice = blockJson().replace('{', `{"Hash":"${'c'.repeat(64)}","hash":"${'b'.repeat(64)}",`);
    assert.match(
      Buffer.from(check('block', thrice).frame).toString(),
      new RegExp(`"hash":"${GENESIS_HASH}"`),
    );
  });

  it('with null leave the field as it was, and unknown ones are ignored', () => {
    assert.equal(outcome('block', blockJson({ Coinbase: null, Header: null, Novelty: [1, { a: 2 }] })), 'ok');
    assert.equal(outcome('block', blockJson({ Hash: null })), 'bad_field');
  });
});

describe('wrong types', () => {
  const WRONG: Partial<Record<WireField['type'], unknown[]>> = {
    text: [1, true, [], {}, ['x']],
    uint32: ['1', -1, 1.5, 4294967296, 1e300, true, [], {}],
    uint64: ['1', -1, 0.5, 1e300, true, [], {}],
    int64: ['1', 0.5, 1e300, false, [], {}],
    float: ['1', true, [], {}],
    'optional float': ['1', true, [], {}],
    'optional object': ['x', 1, true, []],
  };
  for (const kind of MESSAGE_KINDS) {
    for (const field of kind.wire) {
      it(`in ${kind.name}'s ${field.direct} are malformed`, () => {
        for (const wrong of WRONG[field.type] ?? []) {
          const fields = sampleFields(kind.name);
          const json = new TextDecoder().decode(sampleData(kind.name, { ...fields, [field.name]: wrong }));
          assert.equal(outcome(kind.name, json), 'malformed', `${field.direct} = ${JSON.stringify(wrong)}`);
        }
      });
    }
  }

  it('of integers past 64 bits are malformed, not rounded', () => {
    const json = new TextDecoder()
      .decode(sampleData('mining_on'))
      .replace('18446744073709551615', '18446744073709551616');
    assert.equal(outcome('mining_on', json), 'malformed');
  });

  it('within a fee policy are malformed', () => {
    assert.equal(
      outcome('node_status', sampleData('node_status', { feePolicy: { miningFee: { satoshis: 'x' } } })),
      'malformed',
    );
    assert.equal(
      outcome('node_status', sampleData('node_status', { feePolicy: { maxtxsizepolicy: -1 } })),
      'malformed',
    );
  });
});

describe('a message at its kind’s bound', () => {
  /** A good message of `kind`, filled up to its bound with `unit` between `before` and `after`. */
  function filled(kind: MessageKind, before: string, unit: string, after: string): Buffer {
    const good = `${Buffer.from(sampleData(kind.name)).toString().slice(0, -1)},`;
    const room = kind.sizeBound - good.length - before.length - after.length - 1;
    return Buffer.from(`${good}${before}${unit.repeat(Math.floor(room / unit.length))}${after}}`);
  }
  const HOSTILE: readonly (readonly [what: string, before: string, unit: string, after: string])[] = [
    ['numbers', '"x":[', '1,', '1]'],
    ['long numbers', '"x":[1234567890123456', ',1', ']'],
    ['numbers longer than 64 bits', '"x":[', '123456789012345678901,', '1]'],
    ['objects', '"z":1234567890123456,"x":[', '{},', '0]'],
    ['members', '"z":1234567890123456,"x":{', '"key":1,', '"":1}'],
    ['the same key again', '', '"hash":"",', '"x":1'],
    ['depth', '"x":', '[', ''],
    ['depth beside a long number', '"z":1234567890123456,"x":', '{"":', ''],
    ['one long number', '"uptime":', '9', ''],
    ['escapes', '"peerid":"', '\\u0041', '"'],
    ['text that is not shown', '"clientname":"', '<', '"'],
    ['text that is hardly shown', '"reason":"', '<a', '"'],
    ['bytes that are no UTF-8', '"client_name":"', '\u00ff', '"'],
    ['a key with an escape', '"\\n', 'a', '":1'],
    ['a key beyond ASCII', '"é', 'a', '":1'],
    ['space', '', ' ', '"x":1'],
  ];

  it('costs the time of its bytes, however it is made', (context) => {
    const costs: { readonly what: string; readonly ratio: number }[] = [];
    for (const kind of MESSAGE_KINDS) {
      if (kind.wire.length === 0) continue;
      /** The least of some rounds: whatever else the machine does makes it longer. */
      const cost = (data: Buffer) => {
        const raw = heard(kind.name, data);
        let least = Number.POSITIVE_INFINITY;
        for (let round = 0; round < 8; round++) {
          const began = performance.now();
          checkMessage(kind, raw, CONTEXT);
          least = Math.min(least, performance.now() - began);
        }
        return least;
      };
      const plain = cost(filled(kind, '"x":"', 'a', '"'));
      for (const [what, ...parts] of HOSTILE) {
        costs.push({ what: `${kind.name} of ${what}`, ratio: cost(filled(kind, ...parts)) / plain });
      }
    }
    costs.sort((a, b) => b.ratio - a.ratio);
    const shown = costs.slice(0, 5).map(({ what, ratio }) => `${what} ${ratio.toFixed(1)}`);
    context.diagnostic(`times the cost of as much plain text: ${shown.join(', ')}`);
    assert.ok((costs[0]?.ratio ?? 0) < 12, shown.join(', '));
  });

  it('with more levels or values than any message has is malformed', () => {
    const json = (unknown: string) => blockJson().replace('{', `{"x":${unknown},`);
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    assert.equal(outcome('block', json(nested(63))), 'ok');
    assert.equal(outcome('block', json(nested(64))), 'malformed');
    const own = Object.keys(JSON.parse(blockJson())).length;
    assert.equal(outcome('block', json(`[${'1,'.repeat(1022 - own)}1]`)), 'ok');
    assert.equal(outcome('block', json(`[${'1,'.repeat(1023 - own)}1]`)), 'malformed');
  });
});

describe('bytes that are no message', () => {
  const CASES: [string, Uint8Array | string, string][] = [
    ['nothing', '', 'unknown_framing'],
    ['an array', '[1]', 'unknown_framing'],
    ['a number', '5', 'unknown_framing'],
    ['protobuf', Uint8Array.of(10, 3, 97, 98, 99), 'unknown_framing'],
    ['an envelope of another sort', '{"payload":"e30="}', 'unknown_framing'],
    ['an empty object', '{}', 'unknown_framing'],
    ['cut short', blockJson().slice(0, -1), 'malformed'],
    ['with garbage behind', `${blockJson()}x`, 'malformed'],
    ['two objects', blockJson() + blockJson(), 'malformed'],
    ['nested past any use', `{"Hash":${'['.repeat(15_000)}${']'.repeat(15_000)}}`, 'malformed'],
    ['nested and never closed', `{"Hash":${'['.repeat(30_000)}`, 'malformed'],
    [
      'nested around a long number',
      `{"Hash":${'['.repeat(15_000)} 12345678901234567890${']'.repeat(15_000)}}`,
      'malformed',
    ],
    [
      'with a hash that is no UTF-8, which Go reads as other characters',
      Buffer.concat([Buffer.from('{"Hash":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      'bad_field',
    ],
    ['with a byte order mark', `\uFEFF${blockJson()}`, 'unknown_framing'],
    ['an envelope whose data is a number', '{"name":"x","data":5}', 'malformed'],
    ['an envelope without base64', '{"name":"x","data":"&&&&"}', 'malformed'],
    ['an envelope with base64 cut short', '{"name":"x","data":"e30"}', 'malformed'],
    [
      'an envelope in an envelope',
      `{"data":"${Buffer.from('{"data":"e30="}').toString('base64')}"}`,
      'unknown_framing',
    ],
    [
      'one byte over the bound',
      blockJson({ Coinbase: 'x'.repeat(32_768 + 1 - blockJson().length) }),
      'oversized',
    ],
    [
      'over the bound within an envelope',
      `{"data":"${Buffer.from(blockJson({ Coinbase: 'x'.repeat(32_768) })).toString('base64')}"}`,
      'oversized',
    ],
  ];
  for (const [what, data, expected] of CASES) {
    it(`${what}: ${expected}`, () => assert.equal(outcome('block', data), expected));
  }

  it('at the bound are still taken', () => {
    const json = blockJson({ Coinbase: 'x'.repeat(32_768 - blockJson().length) });
    assert.equal(json.length, 32_768);
    assert.equal(outcome('block', json), 'ok');
  });
});

describe('bounds of fields', () => {
  it('refuse hashes of other than 64 hex digits', () => {
    for (const hash of [
      '',
      'a'.repeat(63),
      'a'.repeat(65),
      'g'.repeat(64),
      ' '.repeat(64),
      `${'a'.repeat(63)}\n`,
    ]) {
      assert.equal(outcome('subtree', sampleData('subtree', { hash })), 'bad_field', hash);
      assert.equal(outcome('rejected_tx', sampleData('rejected_tx', { txId: hash })), 'bad_field', hash);
    }
  });

  it('refuse a peer ID that is not the author’s, too long, or missing', () => {
    for (const { name, wire } of MESSAGE_KINDS) {
      if (!wire.some((field) => field.name === 'peerId')) continue;
      assert.equal(outcome(name, sampleData(name, { peerId: OTHER_PEER })), 'spoofed', name);
      assert.equal(outcome(name, sampleData(name, { peerId: '' })), 'spoofed', name);
      assert.equal(outcome(name, sampleData(name, { peerId: 'x'.repeat(129) })), 'bad_field', name);
      assert.equal(outcome(name, sampleData(name, { peerId: `${AUTHOR}\n` })), 'bad_field', name);
    }
  });

  it('filter text for display', () => {
    const nasty = '<b>\u202Eevil\u2066&"\'`\u0007\r\n fine\u{1F600}';
    const frame = JSON.parse(
      Buffer.from(check('block', sampleData('block', { clientName: nasty })).frame).toString(),
    );
    assert.equal(frame.client_name, 'bevil fine');
    const long = JSON.parse(
      Buffer.from(check('block', sampleData('block', { clientName: 'x'.repeat(100) })).frame).toString(),
    );
    assert.equal(long.client_name.length, 64);
    const reason = JSON.parse(
      Buffer.from(
        check(
          'rejected_tx',
          sampleData('rejected_tx', { reason: `a\r\nINFO forged\u202E${'y'.repeat(2000)}` }),
        ).frame,
      ).toString(),
    );
    assert.equal(reason.reason.length, 1024);
    assert.ok(reason.reason.startsWith('aINFO forgedyyy'));
  });

  it('empty a chain work that is not hex', () => {
    for (const chainWork of ['xyz', '0x12', 'a'.repeat(65)]) {
      const frame = JSON.parse(
        Buffer.from(check('node_status', sampleData('node_status', { chainWork })).frame).toString(),
      );
      assert.equal(frame.chain_work, undefined);
    }
  });
});

describe('data hub URLs', () => {
  const REFUSED = [
    'ftp://hub.example.org',
    'javascript:alert(1)',
    'hub.example.org',
    '//hub.example.org',
    'http://',
    'http:///path',
    'http:hub.example.org',
    'http://user:secret@hub.example.org',
    'http://user@hub.example.org',
    'http://@hub.example.org',
    'http://hub.example.org\\@evil',
    'http://hub.example.org\\',
    'http://hub .example.org',
    'http://hub{x}.example.org',
    ' http://hub.example.org',
  ];
  /** Of addresses that strangers cannot reach, however they are written. */
  const INSIDE = [
    'http://localhost',
    'http://LOCALHOST:80',
    'http://localhost.',
    'http://x.localhost',
    'http://127.0.0.1',
    'http://127.1',
    'http://2130706433',
    'http://0x7f000001',
    'http://0x7f.1',
    'http://017700000001',
    'http://0177.0.0.1',
    'http://0.0.0.0',
    'http://0',
    'http://10.1.2.3',
    'http://172.16.0.1',
    'http://192.168.1.1',
    'http://169.254.169.254',
    'http://100.64.0.1',
    'http://224.0.0.1',
    'http://255.255.255.255',
    'http://[::1]',
    'http://[::]',
    'http://[::ffff:127.0.0.1]',
    'http://[::ffff:7f00:1]',
    'http://[::ffff:10.0.0.1]',
    'http://[fe80::1]',
    'http://[fc00::1]',
    'http://[fd12:3456::1]',
    'http://[64:ff9b::7f00:1]',
    'http://[2002:7f00:1::]',
    'http://[::127.0.0.1]',
    'http://[ff02::1]',
    'http://１２７.0.0.1',
    'http://127。0。0。1',
  ];
  for (const url of REFUSED) {
    it(`refuse ${JSON.stringify(url)}`, () => {
      assert.equal(outcome('block', blockJson({ DataHubURL: url })), 'bad_url');
      assert.equal(outcome('subtree', sampleData('subtree', { dataHubUrl: url })), 'bad_url');
    });
  }
  for (const url of ['', ...INSIDE]) {
    it(`do not take ${JSON.stringify(url)}, which nobody can use, and lay no blame`, () => {
      assert.equal(outcome('block', blockJson({ DataHubURL: url })), 'unusable_hub');
      assert.equal(outcome('subtree', sampleData('subtree', { dataHubUrl: url })), 'unusable_hub');
    });
  }

  for (const url of [
    'http://hub.example.org',
    'HTTPS://Hub.Example.org:8090/a?b=c',
    'http://hub.example.org/@node/api',
    // Go reads a lone surrogate as the character that replaces it.
    'http://hub.example.org/\uD800',
    'http://8.8.8.8:80',
    'http://[2606:4700::1111]/',
    'https://münchen.example/',
  ]) {
    it(`take ${url}`, () => assert.equal(outcome('block', blockJson({ DataHubURL: url })), 'ok'));
  }

  for (const url of [
    `http://hub.example.org/${'x'.repeat(2048)}`,
    // Bytes count, as in Go: these are 1,524 characters.
    `http://hub.example.org/${'é'.repeat(1500)}`,
    'http://hub.example.org/\n',
    'http://hub.example.org/\u202E',
    'http://hub.example.org/\u00A0',
    'http://hub.example.org/\u2028',
  ]) {
    it(`refuse ${JSON.stringify(url).slice(0, 60)} as a field`, () => {
      assert.equal(outcome('block', blockJson({ DataHubURL: url })), 'bad_field');
      assert.equal(outcome('node_status', sampleData('node_status', { baseUrl: url })), 'bad_field');
    });
  }

  it('with what is printable but no part of a URL are handed on percent-encoded, without blame', () => {
    const dataHubUrl = 'http://hub.example.org/${X}/"><b>\\ |^`';
    const encoded = 'http://hub.example.org/$%7BX%7D/%22%3E%3Cb%3E%5C%20%7C%5E%60';
    const subtree = check('subtree', sampleData('subtree', { dataHubUrl }));
    assert.equal(outcomeAt(subtree.outcome).name, 'ok');
    assert.equal(KafkaSubtreeTopicMessage.decode(subtree.record!.value).URL, encoded);
    assert.ok(Buffer.from(subtree.frame).toString().includes(`"base_url":"${encoded}"`));
    const status = check('node_status', sampleData('node_status', { baseUrl: dataHubUrl }));
    assert.equal(JSON.parse(Buffer.from(status.frame).toString()).base_url, encoded);
    assert.equal(JSON.parse(status.fact).dataHubUrl, encoded);
  });

  it('of our own are shown, whatever is wrong with them', () => {
    for (const baseUrl of [
      'http://127.0.0.1:8090/${X}/api',
      'http://hub.example.org/\u202E',
      'x'.repeat(3000),
    ]) {
      assert.equal(outcomeAt(own('node_status', { baseUrl }).outcome).name, 'ok', baseUrl.slice(0, 60));
    }
  });

  it('may be private where that is allowed, but never with credentials', () => {
    const context = contextOf({ p2p_allow_private_ips: true });
    assert.equal(outcome('block', blockJson({ DataHubURL: 'http://127.0.0.1:8090' }), {}, context), 'ok');
    assert.equal(
      outcome('block', blockJson({ DataHubURL: 'http://a:b@127.0.0.1:8090' }), {}, context),
      'bad_url',
    );
  });

  it('of blacklisted hosts are ignored without blame', () => {
    const context = contextOf({ subtreevalidation_blacklisted_baseurls: ['https://HUB.example.org:1/x'] });
    assert.equal(outcome('block', blockJson(), {}, context), 'blacklisted');
    for (const DataHubURL of [
      'http://hub.example.org./',
      'http://HUB.example.org:8',
      'http://%68ub.example.org',
    ]) {
      assert.equal(outcome('block', blockJson({ DataHubURL }), {}, context), 'blacklisted', DataHubURL);
    }
    const address = contextOf({
      subtreevalidation_blacklisted_baseurls: ['8.8.8.8', 'https://[2606:4700::1]:1'],
    });
    for (const DataHubURL of [
      'http://8.8.8.8.',
      'http://[::ffff:8.8.8.8]',
      'http://134744072',
      'http://[2606:4700:0::1]',
    ]) {
      assert.equal(outcome('block', blockJson({ DataHubURL }), {}, address), 'blacklisted', DataHubURL);
    }
    assert.equal(outcome('block', blockJson({ DataHubURL: 'https://other.example.org' }), {}, context), 'ok');
  });

  it('become empty in what is only shown', () => {
    const frame = JSON.parse(
      Buffer.from(
        check(
          'node_status',
          sampleData('node_status', { baseUrl: 'http://10.0.0.1', propagationUrl: 'javascript:1' }),
        ).frame,
      ).toString(),
    );
    assert.equal(frame.base_url, undefined);
    assert.equal(frame.propagation_url, undefined);
  });
});

describe('a header', () => {
  const regtest = contextOf({ network: 'regtest' });
  const easy = mineHeader();
  const lazy = mineHeader(0x1f00ffff, false);

  it('with its work is taken, and an empty one too', () => {
    assert.equal(outcome('block', blockJson({ Hash: easy.hash, Header: easy.header }), {}, regtest), 'ok');
    assert.equal(outcome('block', blockJson({ Header: '' })), 'ok');
    assert.equal(
      outcome('block', blockJson({ Hash: GENESIS_HASH.toUpperCase(), Header: GENESIS_HEADER.toUpperCase() })),
      'ok',
    );
  });

  it('of another length or alphabet is a bad field', () => {
    for (const header of ['00', GENESIS_HEADER.slice(1), `${GENESIS_HEADER}0`, 'g'.repeat(160)]) {
      assert.equal(outcome('block', blockJson({ Header: header })), 'bad_field');
    }
  });

  it('of another hash, without work, or easier than the network allows is refused', () => {
    assert.equal(outcome('block', blockJson({ Hash: 'ab'.repeat(32) })), 'bad_header');
    assert.equal(
      outcome('block', blockJson({ Hash: lazy.hash, Header: lazy.header }), {}, regtest),
      'bad_header',
    );
    assert.equal(outcome('block', blockJson({ Hash: easy.hash, Header: easy.header })), 'bad_header');
  });

  it('wildly easier than our tip is refused, but not where the network allows that', () => {
    assert.equal(outcome('block', blockJson(), {}, contextOf({}, 0x1800ffff)), 'bad_header');
    assert.equal(outcome('block', blockJson(), {}, contextOf({}, 0x1c7fff80)), 'ok');
    assert.equal(outcome('block', blockJson(), {}, contextOf({ network: 'testnet' }, 0x1800ffff)), 'ok');
  });
});

describe('a best-block answer', () => {
  it('may leave its peer ID empty, and becomes a fact of the sender', () => {
    const { outcome: index, fact } = checkDirect(AUTHOR, sampleData('block', { peerId: '' }), CONTEXT);
    assert.equal(outcomeAt(index).name, 'ok');
    assert.equal(fact?.peer, AUTHOR);
  });

  it('of somebody else, or with bad work, is refused', () => {
    assert.equal(
      outcomeAt(checkDirect(AUTHOR, sampleData('block', { peerId: OTHER_PEER }), CONTEXT).outcome).name,
      'spoofed',
    );
    assert.equal(
      outcomeAt(checkDirect(AUTHOR, sampleData('block', { hash: 'ab'.repeat(32) }), CONTEXT).outcome).name,
      'bad_header',
    );
    assert.equal(
      outcomeAt(checkDirect(AUTHOR, Buffer.from('nonsense'), CONTEXT).outcome).name,
      'unknown_framing',
    );
  });
});
