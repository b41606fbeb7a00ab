/** `teranode-p2p keygen`. */

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CommandError } from './context.js';
import type { Terminal } from './terminal.js';

export function keygenCommand(program: Command, terminal: Terminal): void {
  program
    .command('keygen')
    .description('Make a node’s key, or the shared key of a private network.')
    .option(
      '--out <file>',
      'write the key there, mode 0600, instead of showing it; an existing file is left alone',
    )
    .option('--shared', 'a p2p_shared_key instead', false)
    .option('--json', 'a JSON object', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p keygen\n  $ teranode-p2p keygen --out data/p2p.key\n  $ teranode-p2p keygen --shared',
    )
    .action(async ({ out, shared, json }: { out?: string; shared: boolean; json: boolean }) => {
      const { key, peerId } = shared ? { key: randomBytes(32).toString('hex'), peerId: '' } : await nodeKey();
      if (out !== undefined) write(out, key);
      const name = shared ? 'p2p_shared_key' : 'p2p_private_key';
      const shown = { ...(peerId && { peerId }), ...(out === undefined ? { [name]: key } : { file: out }) };
      if (json) terminal.json(shown);
      else for (const [label, value] of Object.entries(shown)) terminal.line(`${label} = ${value}`);
    });
}

async function nodeKey(): Promise<{ key: string; peerId: string }> {
  await import('../../shared/process/polyfill.js');
  const { generateKeyHex, parseKeyHex } = await import('../node/identity/keys.js');
  const { peerIdFromPrivateKey } = await import('@libp2p/peer-id');
  const key = await generateKeyHex();
  return { key, peerId: peerIdFromPrivateKey(await parseKeyHex(key)).toString() };
}

function write(path: string, key: string): void {
  try {
    writeFileSync(path, key, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CommandError(
      exists ? `${path} exists and is left alone` : `${path}: ${(error as Error).message}`,
    );
  }
}
