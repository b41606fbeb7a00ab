/** A disk that is really full: a small file system of its own, in a mount namespace. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/temporary.js';

/**
 * Starts a server on a file system of 160 MiB, gives it time to set space aside, kills it, fills the disk to the last byte, and starts
 * it again. `run.json` is there once a server is ready.
 */
const SCRIPT = `
set -u
directory=$1; shift
mount -t tmpfs -o size=160m tmpfs "$directory" || exit 9
data=$directory/data
launch() { rm -f "$data/run.json"; "$@" --set DATADIR="$data" >"$directory/log" 2>&1 & server=$!; }
ready() {
  for _ in $(seq 600); do
    [ -e "$data/run.json" ] && return 0
    kill -0 $server 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}
launch "$@"; ready || { cat "$directory/log"; exit 8; }
for _ in $(seq 150); do [ -e "$data/spare" ] && break; sleep 0.1; done
kill -KILL $server; wait $server 2>/dev/null
: >"$directory/log"
dd if=/dev/zero of="$directory/filler" bs=4096 2>/dev/null
echo "free: $(df --output=avail "$directory" | tail -1)"
# Its log goes elsewhere: this disk takes none.
launch() { rm -f "$data/run.json"; "$@" --set DATADIR="$data" 2>&1 & server=$!; }
launch "$@"; ready && echo 'ready on a full disk'
kill -TERM $server 2>/dev/null; wait $server; echo "exit code $?"
`;

test('a server that dies with the disk full starts again: its stores open in space that was kept for it', async (context) => {
  const settings = {
    network: 'regtest',
    clientName: 'full',
    p2p_listen_addresses: '127.0.0.1',
    p2p_port: '0',
    p2p_bootstrap_peers: '',
    p2p_checkers: '1',
    p2p_notification_servers: '1',
    p2p_grpcListenAddress: '127.0.0.1:0',
    p2p_httpListenAddress: '127.0.0.1:0',
    health_check_httpListenAddress: '127.0.0.1:0',
    profilerAddr: '127.0.0.1:0',
    asset_httpAddress: 'http://127.0.0.1:8090/api/v1',
  };
  const set = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const program = [process.execPath, resolve('bin/teranode-p2p.mjs'), 'start', ...set];
  const { stdout } = await promisify(execFile)(
    'unshare',
    ['-rm', '--kill-child', 'bash', '-c', SCRIPT, 'bash', temporaryDirectory(context), ...program],
    { timeout: 180_000, maxBuffer: 1 << 26 },
  );
  assert.match(stdout, /^free: +0$/m);
  assert.match(stdout, /ready on a full disk/, stdout.slice(-3000));
  assert.match(stdout, /exit code 0/);
});
