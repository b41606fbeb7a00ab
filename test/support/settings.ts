/** Settings for tests: the table's defaults with a few changes. */

import { defaultOf } from '../../src/shared/settings/defaults.js';
import { type Generation, SETTINGS, type Setting, type Settings } from '../../src/shared/settings/table.js';

/** A whole suite runs without inline checks where the environment has what would turn them off for a server too. */
const INLINE_CHECKS = process.env.p2p_inline_checks !== 'false';

/** Every setting at its default for `generation` and the changes' network, then `changes`. */
export function settingsOf(changes: Partial<Settings> = {}, generation: Generation = 'current'): Settings {
  const { network = 'mainnet' } = changes;
  const entries = Object.entries(SETTINGS as Record<string, Setting>).map(
    ([key, setting]) => [key, defaultOf(setting, { generation, network })] as const,
  );
  const defaults = Object.fromEntries(entries) as unknown as Settings;
  return { ...defaults, p2p_generation: generation, p2p_inline_checks: INLINE_CHECKS, ...changes };
}
