/** Defaults, which hang on the generation, the network and the context that the settings are read in. */

import { type Generation, NETWORK_REFERENCE, type Setting, type Settings } from './table.js';
import type { Value } from './values.js';

export interface DefaultOptions {
  readonly generation: Generation;
  /** `${network}` where it has not been told: the default is shown as it would stand in a file. */
  readonly network?: Settings['network'];
  /** As in `SETTINGS_CONTEXT`: `docker.m`. */
  readonly context?: string;
}

/** The default of `setting`. Public names that go by the network are left out on regtest, which has no public network. */
export function defaultOf(setting: Setting, { generation, network, context = '' }: DefaultOptions): Value {
  const value = contextual(setting, context) ?? byGeneration(setting, generation);
  if (network === undefined || typeof value !== 'object') return value;
  return value
    .filter((item) => network !== 'regtest' || !item.includes(NETWORK_REFERENCE))
    .map((item) => item.replaceAll(NETWORK_REFERENCE, network));
}

function byGeneration({ default: value }: Setting, generation: Generation): Value {
  return typeof value === 'object' && 'first' in value ? value[generation] : value;
}

/** That of `docker.m`, else of `docker`. */
function contextual({ contexts }: Setting, context: string): Value | undefined {
  if (contexts === undefined) return undefined;
  const parts = context.split('.');
  for (let length = parts.length; length > 0; length--) {
    const name = parts.slice(0, length).join('.');
    if (Object.hasOwn(contexts, name)) return contexts[name];
  }
  return undefined;
}
