/** Settings for a person's eyes: secrets left out. */

import { REDACTED, withoutSecrets } from '../secrets/redaction.js';
import { SETTINGS, type Setting, type SettingKey, type Settings } from './table.js';
import { formatGoDuration, type Value } from './values.js';

/** A value as it would stand in a file. */
export function formatValue(setting: Setting, value: Value): string {
  if (setting.type === 'duration') return formatGoDuration(value as number);
  return Array.isArray(value) ? value.join('|') : String(value);
}

/** One setting, shown. */
export interface ShownSetting {
  readonly key: SettingKey;
  readonly value: string;
  readonly source: string;
}

/**
 * Every setting in the table's order. A secret that is set shows as `[secret]`, an empty one as empty; what a URL carries in the
 * way of secrets is left out.
 */
export function showSettings(
  settings: Settings,
  sources: Readonly<Record<SettingKey, string>>,
): readonly ShownSetting[] {
  return (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const setting: Setting = SETTINGS[key];
    const value = settings[key];
    // Entry by entry: a secret at one's end would reach into the next.
    const shown = formatValue(
      setting,
      Array.isArray(value) ? (value as string[]).map(withoutSecrets) : value,
    );
    const secret = setting.secret === true && shown !== '';
    return { key, value: secret ? REDACTED : withoutSecrets(shown), source: sources[key] };
  });
}
