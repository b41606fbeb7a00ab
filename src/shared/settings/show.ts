/** Settings for a person's eyes: secrets left out. */

import { REDACTED, withoutSecrets } from '../redaction.js';
import { ROWS, type SettingKey, type Settings } from './table.js';

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
  return ROWS.map(([key, setting]) => {
    const text = setting.format(settings[key]);
    // Entry by entry: a secret at one's end would reach into the next.
    const shown = setting.type === 'list' ? text.split('|').map(withoutSecrets).join('|') : text;
    const secret = setting.secret === true && shown !== '';
    return { key, value: secret ? REDACTED : withoutSecrets(shown), source: sources[key] };
  });
}
