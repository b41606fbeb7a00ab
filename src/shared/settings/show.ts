/** Settings for a person's eyes: secrets left out. */

import { SETTINGS, type Setting, type SettingKey, type Settings } from './table.js';
import { formatGoDuration, type Value } from './values.js';

export const REDACTED = '[secret]';

/** `text` without the passwords of URLs in it. */
export function withoutPasswords(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/[^\s/?#:@|]*):[^\s/?#|]*@/gi, `$1:${REDACTED}@`);
}

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

/** Every setting in the table's order. A secret that is set shows as `[secret]`, an empty one as empty. */
export function showSettings(
  settings: Settings,
  sources: Readonly<Record<SettingKey, string>>,
): readonly ShownSetting[] {
  return (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const setting: Setting = SETTINGS[key];
    const value = formatValue(setting, settings[key]);
    const secret = setting.secret === true && value !== '';
    return { key, value: secret ? REDACTED : withoutPasswords(value), source: sources[key] };
  });
}
