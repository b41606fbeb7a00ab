/** A circuit relay of somebody else's: a bare js-libp2p host. */

import { circuitRelayServer } from '@libp2p/circuit-relay-v2';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Libp2p, PrivateKey } from '@libp2p/interface';
import { createHost } from './host.js';
import { freePorts } from './ports.js';

export interface TestRelay {
  readonly libp2p: Libp2p;
  /** With /p2p/<id>. */
  readonly address: string;
  /** What starts it again as it was: the same key and port. */
  readonly again: { readonly privateKey: PrivateKey; readonly port: string };
}

/** Starts a relay, or with `hop: false` what is none; it stops when the test ends. */
export async function createRelay(
  context: { after(fn: () => Promise<void> | void): void },
  { hop = true, again }: { hop?: boolean; again?: TestRelay['again'] } = {},
): Promise<TestRelay> {
  const privateKey = again?.privateKey ?? (await generateKeyPair('Ed25519'));
  const libp2p = await createHost(context, {
    privateKey,
    listen: [`/ip4/127.0.0.1/tcp/${again?.port ?? (await freePorts(1))[0]}`],
    services: hop ? { relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }) } : {},
  });
  const address = String(libp2p.getMultiaddrs()[0]);
  const port = /\/tcp\/(\d+)/.exec(address)?.[1] ?? '';
  return { libp2p, address, again: { privateKey, port } };
}
