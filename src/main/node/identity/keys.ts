/** The node's identity: an Ed25519 key from the settings, from the file `p2p.key`, or made when there is none (WIRE §1). */

import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateKeyPair, generateKeyPairFromSeed, privateKeyFromProtobuf } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey, PrivateKey } from '@libp2p/interface';
import { ConfigurationError, errorMessage } from '../../../shared/errors.js';
import { withOwner } from '../../../shared/files/file-owner.js';
import { makeDirectory } from '../../../shared/files/make-directory.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Settings } from '../../../shared/settings/table.js';
import type { BlockchainClient } from '../../chain/types.js';

export const KEY_FILE_NAME = 'p2p.key';
/** State key under which the first generation's service kept its key, as libp2p protobuf. */
const STATE_KEY = 'p2p.privateKey';

const SEED_BYTES = 32;
const PUBLIC_BYTES = 32;
/** A key file has 192 hex digits at the most. */
const MAX_KEY_FILE_BYTES = 1024;
/** libp2p protobuf of an Ed25519 private key: type 1, 64 bytes of data. The message bus's own tools print it. */
const PROTOBUF_HEADER = Buffer.from('08011240', 'hex');

type KeySettings = Pick<Settings, 'p2p_private_key' | 'p2p_peer_cache_dir' | 'DATADIR'>;

/** Where the key file is: `p2p_peer_cache_dir`, else `DATADIR`. */
export function keyFilePath(settings: Pick<Settings, 'p2p_peer_cache_dir' | 'DATADIR'>): string {
  return join(settings.p2p_peer_cache_dir || settings.DATADIR, KEY_FILE_NAME);
}

function isProtobufKey(bytes: Buffer): boolean {
  return bytes.length === PROTOBUF_HEADER.length + 64 && bytes.subarray(0, 4).equals(PROTOBUF_HEADER);
}

/**
 * An Ed25519 key from hex of 64 bytes (secret, public), 96 (secret, public, public: what the Go service writes) or 68 (libp2p
 * protobuf). Throws RangeError saying what is wrong, never showing the key.
 */
export async function parseKeyHex(text: string): Promise<Ed25519PrivateKey> {
  const hex = text.trim();
  if (hex === '') throw new RangeError('is empty');
  if (!/^[0-9a-fA-F]*$/.test(hex)) throw new RangeError('is not hex');
  if (hex.length % 2 !== 0) throw new RangeError(`has an odd number of hex digits (${hex.length})`);
  let bytes: Buffer = Buffer.from(hex, 'hex');
  if (isProtobufKey(bytes)) bytes = bytes.subarray(PROTOBUF_HEADER.length);
  if (bytes.length !== 64 && bytes.length !== 96) {
    throw new RangeError(`has ${bytes.length} bytes where 64 or 96 are expected`);
  }
  const key = await generateKeyPairFromSeed('Ed25519', bytes.subarray(0, SEED_BYTES));
  for (let at = SEED_BYTES; at < bytes.length; at += PUBLIC_BYTES) {
    if (!bytes.subarray(at, at + PUBLIC_BYTES).equals(key.publicKey.raw)) {
      throw new RangeError('has a public half that does not belong to its secret half');
    }
  }
  return key;
}

/** Hex of 96 bytes, as the Go service writes it and reads it back. */
export function keyToHex(key: Ed25519PrivateKey): string {
  const publicHalf = Buffer.from(key.publicKey.raw);
  return Buffer.concat([Buffer.from(key.raw).subarray(0, SEED_BYTES), publicHalf, publicHalf]).toString(
    'hex',
  );
}

/** A new key for `p2p_private_key` or `p2p.key`. */
export async function generateKeyHex(): Promise<string> {
  return keyToHex(await generateKeyPair('Ed25519'));
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

function fileProblem(path: string, what: string): ConfigurationError {
  return new ConfigurationError([`p2p_peer_cache_dir: key file ${path} ${what}`]);
}

/** The key in the file; undefined where there is none. Throws ConfigurationError where it cannot be used. */
export async function readKeyFile(
  path: string,
  logger: Pick<Logger, 'warn'>,
): Promise<Ed25519PrivateKey | undefined> {
  let text: string;
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw fileProblem(path, 'is not a file');
    if (facts.size > MAX_KEY_FILE_BYTES)
      throw fileProblem(path, `has ${facts.size} bytes: no key is that long`);
    if (process.platform !== 'win32' && (facts.mode & 0o077) !== 0) {
      logger.warn(
        { path, mode: (facts.mode & 0o777).toString(8) },
        'the key file can be read by others than its owner: set its mode to 600',
      );
    }
    const bytes = await readFile(path);
    // The node's key file of until April 2025 is the protobuf itself.
    text = isProtobufKey(bytes) ? bytes.toString('hex') : bytes.toString('utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    if (error instanceof ConfigurationError) throw error;
    throw fileProblem(path, `cannot be read: ${withOwner(path, error)}`);
  }
  try {
    return await parseKeyHex(text);
  } catch (error) {
    throw fileProblem(
      path,
      `${errorMessage(error)}; restore it from a backup, or move it away and a new identity is made`,
    );
  }
}

/** Whole or not at all: a key cut short by a crash would lose the identity. */
async function writeKeyFile(path: string, key: Ed25519PrivateKey): Promise<void> {
  const partial = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    makeDirectory(dirname(path));
    const file = await open(partial, 'wx', 0o600);
    try {
      await file.writeFile(keyToHex(key));
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(partial, 0o600);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    throw fileProblem(path, `cannot be written: ${withOwner(dirname(path), error)}`);
  }
}

async function keyFromState(
  blockchain: Pick<BlockchainClient, 'getState'>,
): Promise<Ed25519PrivateKey | undefined> {
  const data = await blockchain.getState(STATE_KEY);
  if (data === undefined || data.length === 0) return undefined;
  try {
    const key = privateKeyFromProtobuf(data);
    if (key.type !== 'Ed25519') throw new RangeError(`is of type ${key.type}, not Ed25519`);
    return await parseKeyHex(Buffer.from(key.raw).toString('hex'));
  } catch (error) {
    throw new ConfigurationError([
      `p2p_private_key: the key that the blockchain service keeps under ${STATE_KEY} cannot be used: ${errorMessage(error)}`,
    ]);
  }
}

/**
 * The node's key: `p2p_private_key`, else the key file, else (with a blockchain client) the first generation's key in the
 * blockchain service, else a new one. What did not come from the settings is in the key file afterwards, mode 0600.
 *
 * Throws ConfigurationError when a key is there and cannot be used, rather than starting under another identity; what the
 * blockchain service throws passes through for the same reason.
 */
export async function loadOrCreateKey(
  settings: KeySettings,
  logger: Logger,
  blockchain?: Pick<BlockchainClient, 'getState'>,
): Promise<PrivateKey> {
  if (settings.p2p_private_key.trim() !== '') {
    try {
      return await parseKeyHex(settings.p2p_private_key);
    } catch (error) {
      throw new ConfigurationError([`p2p_private_key: ${errorMessage(error)}`]);
    }
  }
  const path = keyFilePath(settings);
  const kept = await readKeyFile(path, logger);
  if (kept !== undefined) return kept;
  const inherited = blockchain === undefined ? undefined : await keyFromState(blockchain);
  const key = inherited ?? (await generateKeyPair('Ed25519'));
  await writeKeyFile(path, key);
  logger.info(
    { path, peerId: key.publicKey.toString() },
    inherited === undefined
      ? 'made a new node key'
      : 'took over the node key that the blockchain service kept',
  );
  return key;
}
