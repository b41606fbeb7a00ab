/**
 * Every setting of the server, once. The loader, `docs/settings.md`, `settings show` and the "nearest known key"
 * warning all read this table. Keys and shipped values are Teranode's; those marked "this server" are not.
 */

import { BANS } from './areas/bans.js';
import { GATEWAY } from './areas/gateway.js';
import { GRPC } from './areas/grpc.js';
import { HTTP } from './areas/http.js';
import { KAFKA } from './areas/kafka.js';
import { LIBP2P } from './areas/libp2p.js';
import { MESSAGES } from './areas/messages.js';
import { NETWORK } from './areas/network.js';
import { POLICY } from './areas/policy.js';
import { SERVICES } from './areas/services.js';
import { SYNC } from './areas/sync.js';
import { TRACING } from './areas/tracing.js';
import { WORK } from './areas/work.js';
import type { Setting } from './setting.js';

export type { Generation, Setting } from './setting.js';

/** In the order of docs/settings.md. Nothing that a default hangs on comes after it: the generation is read first of all. */
export const SETTINGS = {
  ...NETWORK,
  ...LIBP2P,
  ...MESSAGES,
  ...BANS,
  ...POLICY,
  ...WORK,
  ...SERVICES,
  ...KAFKA,
  ...GRPC,
  ...HTTP,
  ...GATEWAY,
  ...TRACING,
  ...SYNC,
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof SETTINGS;

type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** Settings after loading: each key of the table with the value that its text means. Plain data, which crosses threads. */
export type Settings = { readonly [K in SettingKey]: ValueOf<(typeof SETTINGS)[K]> };

/** The table as what it is to those that take it row by row. */
export const ROWS = Object.entries(SETTINGS) as unknown as readonly (readonly [SettingKey, Setting])[];
