/** Somebody else's node in a process of its own, that can be stopped as a hung one is. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./programs/peer.js', import.meta.url));

export interface PeerProcess {
  /** With /p2p/<id>. */
  readonly address: string;
  signal(signal: NodeJS.Signals): void;
}

/** Starts a peer that joins `topics`; gone when the test ends. */
export async function startPeerProcess(
  context: { after(fn: () => Promise<unknown>): void },
  topics: readonly string[],
): Promise<PeerProcess> {
  const child = spawn(process.execPath, [PROGRAM, ...topics], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  context.after(() => {
    child.kill('SIGKILL');
    return gone;
  });
  const [address] = await once(createInterface({ input: child.stdout }), 'line');
  return { address: String(address), signal: (signal) => child.kill(signal) };
}
