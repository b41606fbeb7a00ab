/** Settings for tests: the table's defaults with a few changes. */

import { defaultOf } from '../../src/shared/settings/defaults.js';
import { type Generation, SETTINGS, type Setting, type Settings } from '../../src/shared/settings/table.js';

/** Every setting at its default for `generation` and the changes' network, then `changes`. */
export function settingsOf(changes: Partial<Settings> = {}, generation: Generation = 'current'): Settings {
  const { network = 'mainnet' } = changes;
  const entries = Object.entries(SETTINGS as Record<string, Setting>).map(
    ([key, setting]) => [key, defaultOf(setting, { generation, network })] as const,
  );
  return { ...(Object.fromEntries(entries) as unknown as Settings), p2p_generation: generation, ...changes };
}
