/**
 * Whether a server would run beside a node without being of it: on a chain of its own, with topics that nobody else reads, or with nobody to call, where the
 * settings speak of a real network. Each part of that works and looks well, so it has to be said.
 */

import { Gauge, type Registry } from 'prom-client';
import type { DependencyHealth } from '../../shared/health.js';
import { KAFKA_TOPICS } from '../../shared/messages/topics.js';
import { bootstrapMultiaddrs } from '../../shared/settings/generations.js';
import type { SettingsOrigin } from '../../shared/settings/load.js';
import type { Settings } from '../../shared/settings/table.js';

const ISLAND_SIGNS = ['embedded_chain', 'memory_topics', 'no_bootstrap', 'no_settings_file'] as const;
type IslandSign = (typeof ISLAND_SIGNS)[number];

export interface Island {
  readonly sign: IslandSign;
  /** What is to be set; first the setting. */
  readonly message: string;
}

/** Without which a server is no part of a node. */
const TOPICS = KAFKA_TOPICS.filter(({ setting }) => setting.optional !== true).map(
  ({ setting }) => setting.key,
);

/** Contexts of development, with whatever is below them: Teranode's own files have the embedded broker there. */
const DEVELOPMENT = /^(?:dev|test)(?:\.|$)/;

/** What keeps a server on `settings` from being part of a node; nothing in development, and where p2p_require_services is false. */
export function islandsOf(settings: Settings, origin: SettingsOrigin = {}): readonly Island[] {
  const { context = '', files } = origin;
  const named = context !== '' && !DEVELOPMENT.test(context);
  const real = settings.network !== 'regtest';
  if (settings.p2p_require_services === 'false' || (!named && !real)) return [];
  const found: Island[] = [];
  const say = (sign: IslandSign, message: string): void => {
    found.push({ sign, message });
  };
  if (named && files?.length === 0) {
    say(
      'no_settings_file',
      `SETTINGS_CONTEXT: is ${context.slice(0, 128)}, and there is no settings.conf in the program's folder or the working directory, nor above them; put the node's there`,
    );
  }
  if (settings.blockchain_grpcAddress === undefined) {
    say(
      'embedded_chain',
      "blockchain_grpcAddress: is empty, so that this server follows a chain of its own and tells nothing of the node's; set the address of its blockchain service",
    );
  }
  const inMemory = TOPICS.filter((key) => settings[key]?.scheme === 'memory');
  if (inMemory.length > 0) {
    say(
      'memory_topics',
      `${inMemory[0]}: is memory://${inMemory.length > 1 ? `, as ${inMemory.slice(1).join(' and ')} ${inMemory.length > 2 ? 'are' : 'is'}` : ''}: topics that no other service sees; set kafka://`,
    );
  }
  const called = bootstrapMultiaddrs(settings).length + settings.p2p_static_peers.length > 0;
  if (real && !called && !settings.p2p_enable_mdns) {
    say(
      'no_bootstrap',
      `${settings.p2p_generation === 'first' ? 'p2p_bootstrapAddresses' : 'p2p_bootstrap_peers'}: is empty, as p2p_static_peers is, so that nobody is called; name peers of ${settings.network}`,
    );
  }
  return found;
}

/** The line of a refusal, where p2p_require_services is true. */
export function islandProblems(settings: Settings, origin?: SettingsOrigin): readonly string[] {
  const islands = settings.p2p_require_services === 'true' ? islandsOf(settings, origin) : [];
  if (islands.length === 0) return [];
  return [`p2p_require_services: is true, and this server would be an island: ${told(islands)}`];
}

const told = (islands: readonly Island[]): string => islands.map(({ message }) => message).join('. ');

/** What the log says at the start; undefined where all is well. */
export function islandWarning(islands: readonly Island[]): string | undefined {
  if (islands.length === 0) return undefined;
  return `this server is an island: ${told(islands)}. p2p_require_services=true refuses such a start, false means it`;
}

/** A line of readiness: a warning, for all else goes on. Undefined where there is nothing to say. */
export function islandHealth(islands: readonly Island[]): DependencyHealth | undefined {
  if (islands.length === 0) return undefined;
  const signs = islands.map(({ sign }) => sign.replaceAll('_', ' ')).join(', ');
  return { resource: 'services', status: 200, message: `warning: an island: ${signs}` };
}

/** Tells of them in the figures. */
export function showIslands(registry: Registry, islands: readonly Island[]): void {
  const gauge = new Gauge({
    name: 'teranode_p2p_island',
    help: '1 for each sign that this server runs beside a node without being of it: embedded_chain, memory_topics, no_bootstrap, no_settings_file; else 0.',
    labelNames: ['sign'] as const,
    registers: [registry],
  });
  for (const sign of ISLAND_SIGNS)
    gauge.set({ sign }, islands.some((island) => island.sign === sign) ? 1 : 0);
}
