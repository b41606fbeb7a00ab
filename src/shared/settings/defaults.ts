/** Defaults, which hang on the generation, the network and the context that the settings are read in. */

import { type Generation, NETWORK_REFERENCE, type Setting } from './setting.js';
import type { Settings } from './table.js';

export interface DefaultOptions {
  readonly generation: Generation;
  /** `${network}` where it has not been told: the default is shown as it would stand in a file. */
  readonly network?: Settings['network'];
  /** As in `SETTINGS_CONTEXT`: `docker.m`. */
  readonly context?: string;
}

/** The default of `setting`. Public names that go by the network are left out on regtest, which has no public network. */
export function defaultOf<T>(setting: Setting<T>, { generation, network, context = '' }: DefaultOptions): T {
  const value = contextual(setting, context) ?? byGeneration(setting, generation);
  if (network === undefined || !Array.isArray(value)) return value;
  return value
    .filter((item) => network !== 'regtest' || !namesNetwork(item))
    .map((item) => (namesNetwork(item) ? item.replaceAll(NETWORK_REFERENCE, network) : item)) as T;
}

const namesNetwork = (item: unknown): item is string =>
  typeof item === 'string' && item.includes(NETWORK_REFERENCE);

function byGeneration<T>({ default: value }: Setting<T>, generation: Generation): T {
  const differs = typeof value === 'object' && value !== null && 'first' in value;
  return differs ? value[generation] : (value as T);
}

/** That of `docker.m`, else of `docker`. */
function contextual<T>({ contexts }: Setting<T>, context: string): T | undefined {
  if (contexts === undefined) return undefined;
  const parts = context.split('.');
  for (let length = parts.length; length > 0; length--) {
    const name = parts.slice(0, length).join('.');
    if (Object.hasOwn(contexts, name)) return contexts[name];
  }
  return undefined;
}
