/** What docs/operators/networks.md says that listens, and what the system says of a running server's processes. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { it } from 'node:test';
import { freePorts } from '../support/ports.js';
import { launchServer } from '../support/server-process.js';

const LISTENING = '0A';

/** Nothing of a process that has ended meanwhile, as the one that makes the archive does. */
function unlessEnded<T>(look: () => T[]): T[] {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** A process and those that it started, theirs included. */
function familyOf(pid: number): number[] {
  const children = unlessEnded(() => readdirSync(`/proc/${pid}/task`)).flatMap((task) =>
    unlessEnded(() =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    ),
  );
  return [pid, ...children.flatMap(familyOf)];
}

/** Inodes of the sockets that processes have open. */
function socketsOf(pids: readonly number[]): Set<string> {
  const targets = pids.flatMap((pid) =>
    unlessEnded(() => readdirSync(`/proc/${pid}/fd`)).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return '';
      }
    }),
  );
  return new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}

/** TCP ports on which those sockets listen. */
function listeningPorts(sockets: ReadonlySet<string>): number[] {
  const ports = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === LISTENING && sockets.has(inode ?? ''))
      .map(([, local]) => Number.parseInt(local?.split(':')[1] ?? '', 16)),
  );
  return [...new Set(ports)].sort((a, b) => a - b);
}

it('a running server listens on the ports of its five settings and on no other', async (context) => {
  const ports = (await freePorts(5)).sort((a, b) => a - b);
  const [p2p, http, grpc, health, metrics] = ports;
  const server = launchServer(context, {
    set: {
      p2p_port: String(p2p),
      p2p_httpListenAddress: `127.0.0.1:${http}`,
      p2p_grpcListenAddress: `localhost:${grpc}`,
      health_check_httpListenAddress: `127.0.0.1:${health}`,
      profilerAddr: `127.0.0.1:${metrics}`,
      p2p_notification_servers: '2',
    },
  });
  await server.ready();
  const family = familyOf(server.child.pid ?? 0);
  assert.ok(family.length > 1, `${family.length} processes`);
  assert.deepEqual(listeningPorts(socketsOf(family)), ports);
});
