/** Settings for tests: the table's defaults with a few changes. */

import { defaultOf } from '../../src/shared/settings/defaults.js';
import type { Generation } from '../../src/shared/settings/setting.js';
import { ROWS, SETTINGS, type SettingKey, type Settings } from '../../src/shared/settings/table.js';

/** Values of settings; of those whose value is read from a text of a form of its own, the text will do too. */
export type SettingChanges = { readonly [K in SettingKey]?: Change<Settings[K]> };

type Change<T> =
  | T
  | (T extends { readonly text: string } ? string : never)
  | (T extends readonly { readonly text: string }[] ? readonly string[] : never);

/** A whole suite runs without inline checks where the environment has what would turn them off for a server too. */
const INLINE_CHECKS = process.env.p2p_inline_checks !== 'false';

/** Every setting at its default for `generation` and the changes' network, then `changes`. */
export function settingsOf(changes: SettingChanges = {}, generation: Generation = 'current'): Settings {
  const { network = 'mainnet' } = changes;
  const entries = ROWS.map(([key, setting]) => [key, defaultOf(setting, { generation, network })] as const);
  const defaults = Object.fromEntries(entries) as unknown as Settings;
  return {
    ...defaults,
    p2p_generation: generation,
    p2p_inline_checks: INLINE_CHECKS,
    ...settingValues(changes),
  };
}

/** `changes` with the values that their texts mean. Throws ValueError. */
function settingValues(changes: SettingChanges): Partial<Settings> {
  const values = Object.entries(changes).map(([key, value]) => {
    const setting = SETTINGS[key as SettingKey] as (typeof SETTINGS)[SettingKey] | undefined;
    // Of a tree that has a kind more.
    if (setting === undefined) return [key, value];
    const held = setting.default as unknown;
    const structured = held === undefined || (typeof held === 'object' && held !== null && 'text' in held);
    if (typeof value === 'string' && structured) return [key, setting.parse(value)];
    const texts = key === 'p2p_advertise_addresses' && Array.isArray(value) && typeof value[0] === 'string';
    return [key, texts ? setting.parse(value.join('|')) : value];
  });
  return Object.fromEntries(values) as Partial<Settings>;
}
