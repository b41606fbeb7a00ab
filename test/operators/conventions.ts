/** What the Teranode operator is asked, and its answers. */

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** What it makes of a Peer. */
export interface Made {
  readonly deployment: Record<string, unknown>;
  readonly service: Record<string, unknown>;
}

const ourPeer = (): unknown => parse(readFileSync('deploy/kubernetes/operator/peer.yaml', 'utf8'));

/** Questions by name: a Peer resource, and the Cluster that owns it. */
export const CASES: Readonly<Record<string, () => { readonly peer: unknown; readonly cluster?: unknown }>> = {
  'our resource': () => ({ peer: ourPeer() }),
  'our resource in a Cluster with an image': () => ({
    peer: ourPeer(),
    cluster: { metadata: { name: 'teranode-cluster' }, spec: { image: 'teranode:v1' } },
  }),
};
