/** The ban store that the settings ask for. */

import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import { postgresUrl } from '../../shared/settings/values/texts.js';
import { CompositeBanStore } from './composite-store.js';
import { type Level, LevelBanStore } from './level-store.js';
import { PostgresBanStore } from './postgres-store.js';
import type { BanStore } from './types.js';

/**
 * Postgres where `blockchain_store` is `postgres://…` or `postgresql://…` (with the embedded store for peer IDs and bans by
 * score), else the embedded store alone: Teranode's other schemes, `sqlite:` and `memory:`, are not shared with anybody.
 * Nothing is touched before `open`.
 */
export function createBanStore(
  settings: Pick<Settings, 'blockchain_store'>,
  components: { level: Level; logger: Logger },
): BanStore {
  const embedded = new LevelBanStore(components);
  const url = postgresUrl(settings.blockchain_store);
  if (url === undefined) return embedded;
  return new CompositeBanStore({
    shared: new PostgresBanStore({ url, logger: components.logger }),
    embedded,
  });
}
