/** The ban store that the settings ask for. */

import { ConfigurationError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import { CompositeBanStore } from './composite-store.js';
import { type Level, LevelBanStore } from './level-store.js';
import { PostgresBanStore } from './postgres-store.js';
import type { BanStore } from './types.js';

/** Whether bans are shared through Postgres. */
export function isOnPostgres({ blockchain_store }: Pick<Settings, 'blockchain_store'>): boolean {
  return /^postgres(ql)?:/i.test(blockchain_store.trim());
}

/**
 * Postgres where `blockchain_store` is `postgres://…` or `postgresql://…` (with the embedded store for peer IDs and bans by
 * score), else the embedded store alone: Teranode's other schemes, `sqlite:` and `memory:`, are not shared with anybody.
 * Nothing is touched before `open`. Throws ConfigurationError on a URL that does not parse.
 */
export function createBanStore(
  settings: Pick<Settings, 'blockchain_store'>,
  components: { level: Level; logger: Logger },
): BanStore {
  const embedded = new LevelBanStore(components);
  const url = settings.blockchain_store.trim();
  if (!isOnPostgres(settings)) return embedded;
  // Never the text itself: it holds a password.
  if (!URL.canParse(url)) throw new ConfigurationError(['blockchain_store: not a URL']);
  return new CompositeBanStore({
    shared: new PostgresBanStore({ url, logger: components.logger }),
    embedded,
  });
}
