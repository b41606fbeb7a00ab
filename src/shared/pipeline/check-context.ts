/** What the checks take from the settings. */

import { NETWORKS } from '../bitcoin/networks.js';
import type { CheckContext } from '../messages/context.js';
import { plainHost } from '../messages/data-hub-url.js';
import type { Settings } from '../settings/table.js';

/** `https://host:port/path`, `host:port` or `host`, as its host in one spelling. */
function hostOf(text: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  return plainHost(URL.canParse(url) ? new URL(url).hostname : text);
}

/** The context of checks under `settings`; `tipBits` 0 while our tip is unknown. */
export function checkContextOf(settings: Settings, tipBits = 0): CheckContext {
  const network = NETWORKS[settings.network];
  return {
    allowPrivateUrls: settings.p2p_allow_private_ips,
    blacklistedHosts: settings.subtreevalidation_blacklisted_baseurls.map(hostOf),
    powLimitBits: network.powLimitBits,
    tipBits,
    allowsMinimumDifficulty: network.allowsMinimumDifficulty,
    generation: settings.p2p_generation,
    own: false,
    recordFormat: settings.kafka_record_format,
  };
}
