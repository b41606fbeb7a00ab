import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import {
  generateKeyHex,
  keyToHex,
  loadOrCreateKey,
  parseKeyHex,
} from '../../../../src/main/node/identity/keys.js';
import { ConfigurationError } from '../../../../src/shared/errors.js';
import { keptLog } from '../../../support/logger.js';
import { settingsOf } from '../../../support/settings.js';
import { temporaryDirectory } from '../../../support/temporary.js';

const isConfigurationError = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ConfigurationError, String(error));
  assert.match(error.message, pattern);
  return true;
};

describe("the node's key", () => {
  it('is made once, kept in a file for its owner alone, and read again', async (context) => {
    const directory = join(temporaryDirectory(context), 'deep', 'data');
    const settings = settingsOf({ DATADIR: directory });
    const log = keptLog();
    const made = await loadOrCreateKey(settings, log.logger);
    const path = join(directory, 'p2p.key');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.match(readFileSync(path, 'utf8'), /^[0-9a-f]{192}$/);
    assert.deepEqual(readdirSync(directory), ['p2p.key']);
    const again = await loadOrCreateKey(settings, log.logger);
    assert.ok(made.equals(again));
    assert.equal(log.lines.filter(({ level }) => (level as number) >= 40).length, 0);
  });

  it('is found in p2p_peer_cache_dir, in 64 bytes and in 96, with white space about it', async (context) => {
    const directory = temporaryDirectory(context);
    const hex = await generateKeyHex();
    for (const text of [hex, hex.slice(0, 128), ` ${hex.toUpperCase()}\n`]) {
      writeFileSync(join(directory, 'p2p.key'), text, { mode: 0o600 });
      const key = await loadOrCreateKey(
        settingsOf({ DATADIR: '/nonexistent', p2p_peer_cache_dir: directory }),
        keptLog().logger,
      );
      assert.equal(key.type === 'Ed25519' && keyToHex(key), hex);
    }
  });

  it('is read from the protobuf of libp2p itself, as nodes of early 2025 kept it, and refused when that is cut short', async (context) => {
    const directory = temporaryDirectory(context);
    const key = await generateKeyPair('Ed25519');
    const protobuf = privateKeyToProtobuf(key);
    const settings = settingsOf({ DATADIR: directory });
    writeFileSync(join(directory, 'p2p.key'), protobuf, { mode: 0o600 });
    assert.ok(key.equals(await loadOrCreateKey(settings, keptLog().logger)));
    writeFileSync(join(directory, 'p2p.key'), protobuf.subarray(0, 67));
    await assert.rejects(loadOrCreateKey(settings, keptLog().logger), isConfigurationError(/is not hex/));
  });

  it('comes from the settings before any file, and then none is written', async (context) => {
    const directory = temporaryDirectory(context);
    const hex = await generateKeyHex();
    const key = await loadOrCreateKey(
      settingsOf({ DATADIR: directory, p2p_private_key: hex }),
      keptLog().logger,
    );
    assert.ok(key.equals(await parseKeyHex(hex)));
    assert.deepEqual(readdirSync(directory), []);
  });

  it('is refused when its halves do not belong together, without being shown', async () => {
    const one = await generateKeyHex();
    const other = await generateKeyHex();
    const mixed = [
      one.slice(0, 64) + other.slice(64),
      one.slice(0, 128) + other.slice(128),
      other.slice(0, 64) + one.slice(64),
    ];
    for (const text of mixed) {
      await assert.rejects(
        loadOrCreateKey(settingsOf({ p2p_private_key: text }), keptLog().logger),
        (error: Error) => {
          assert.match(error.message, /^p2p_private_key: .*public half/);
          assert.ok(!error.message.includes(one.slice(0, 16)) && !error.message.includes(other.slice(0, 16)));
          return true;
        },
      );
    }
  });

  it('is refused when the file is truncated, empty, no hex, too long or a directory, and is left as it was', async (context) => {
    const hex = await generateKeyHex();
    const cases: [string, RegExp][] = [
      [hex.slice(0, 100), /has 50 bytes where 64 or 96/],
      [hex.slice(0, 191), /odd number of hex digits/],
      ['', /is empty/],
      ['not a key', /is not hex/],
      ['00'.repeat(64), /public half/],
      ['a'.repeat(5000), /5000 bytes/],
    ];
    for (const [text, pattern] of cases) {
      const directory = temporaryDirectory(context);
      const path = join(directory, 'p2p.key');
      writeFileSync(path, text, { mode: 0o600 });
      const settings = settingsOf({ DATADIR: directory });
      await assert.rejects(loadOrCreateKey(settings, keptLog().logger), isConfigurationError(pattern));
      assert.equal(readFileSync(path, 'utf8'), text);
    }
    const directory = temporaryDirectory(context);
    mkdirSync(join(directory, 'p2p.key'));
    await assert.rejects(
      loadOrCreateKey(settingsOf({ DATADIR: directory }), keptLog().logger),
      isConfigurationError(/p2p\.key is not a file/),
    );
  });

  it('cannot be kept below a file, and the error says where', async (context) => {
    const directory = temporaryDirectory(context);
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await assert.rejects(
      loadOrCreateKey(settingsOf({ DATADIR: join(file, 'data') }), keptLog().logger),
      isConfigurationError(/key file .*p2p\.key cannot be (read|written)/),
    );
  });

  it('cannot be read or made in a directory that is closed to the process', async (context) => {
    if (process.getuid?.() === 0) {
      // The superuser may do everything; a name longer than the file system takes is refused to all.
      const directory = join(temporaryDirectory(context), 'x'.repeat(300));
      await assert.rejects(
        loadOrCreateKey(settingsOf({ DATADIR: directory }), keptLog().logger),
        isConfigurationError(/cannot be read/),
      );
      return;
    }
    const directory = temporaryDirectory(context);
    chmodSync(directory, 0o000);
    context.after(() => chmodSync(directory, 0o700));
    await assert.rejects(
      loadOrCreateKey(settingsOf({ DATADIR: directory }), keptLog().logger),
      isConfigurationError(/cannot be read/),
    );
  });

  it('brings a warning when others can read its file', async (context) => {
    const directory = temporaryDirectory(context);
    writeFileSync(join(directory, 'p2p.key'), await generateKeyHex());
    chmodSync(join(directory, 'p2p.key'), 0o644);
    const log = keptLog();
    await loadOrCreateKey(settingsOf({ DATADIR: directory }), log.logger);
    assert.equal(log.lines.filter(({ level, mode }) => level === 40 && mode === '644').length, 1);
  });

  it('is taken over from the blockchain service where none is elsewhere', async (context) => {
    const directory = temporaryDirectory(context);
    const settings = settingsOf({ DATADIR: directory });
    const old = await generateKeyPair('Ed25519');
    const asked: string[] = [];
    const blockchain = {
      getState: async (key: string) => {
        asked.push(key);
        return privateKeyToProtobuf(old);
      },
    };
    assert.ok((await loadOrCreateKey(settings, keptLog().logger, blockchain)).equals(old));
    assert.deepEqual(asked, ['p2p.privateKey']);
    // Kept: it is not asked again.
    assert.ok((await loadOrCreateKey(settings, keptLog().logger, blockchain)).equals(old));
    assert.equal(asked.length, 1);
  });

  it('is not replaced by a new one when the blockchain service fails or keeps nonsense', async (context) => {
    const settings = settingsOf({ DATADIR: temporaryDirectory(context) });
    const failing = { getState: () => Promise.reject(new Error('service is down')) };
    await assert.rejects(loadOrCreateKey(settings, keptLog().logger, failing), /service is down/);
    const nonsense = { getState: async () => Buffer.from('nonsense') };
    await assert.rejects(
      loadOrCreateKey(settings, keptLog().logger, nonsense),
      isConfigurationError(/blockchain service keeps under p2p\.privateKey/),
    );
    const secp = await generateKeyPair('secp256k1');
    const wrongType = { getState: async () => privateKeyToProtobuf(secp) };
    await assert.rejects(
      loadOrCreateKey(settings, keptLog().logger, wrongType),
      isConfigurationError(/not Ed25519/),
    );
    const none = { getState: async () => undefined };
    assert.equal((await loadOrCreateKey(settings, keptLog().logger, none)).type, 'Ed25519');
  });
});
