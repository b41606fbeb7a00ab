/** Settings for tests: the table's defaults with a few changes. */

import { type Generation, SETTINGS, type Setting, type Settings } from '../../src/shared/settings/table.js';

/** Every setting at its default for `generation`, then `changes`. */
export function settingsOf(changes: Partial<Settings> = {}, generation: Generation = 'current'): Settings {
  const entries = Object.entries(SETTINGS as Record<string, Setting>).map(([key, setting]) => {
    const value = setting.default;
    const plural = typeof value === 'object' && !Array.isArray(value) && 'first' in value;
    return [key, plural ? (value as Record<Generation, unknown>)[generation] : value];
  });
  return { ...(Object.fromEntries(entries) as Settings), p2p_generation: generation, ...changes };
}
