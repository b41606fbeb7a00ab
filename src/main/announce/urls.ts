/** The URLs that this node tells of itself. Pure; `init` calls it. */

import { NETWORKS } from '../../shared/bitcoin/networks.js';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { type DataHubUrl, escapedUrl, printFault, requiredUrl } from '../../shared/messages/data-hub-url.js';
import type { Settings } from '../../shared/settings/table.js';

export type UrlSettings = Pick<
  Settings,
  | 'p2p_generation'
  | 'p2p_allow_private_ips'
  | 'listen_mode'
  | 'network'
  | 'securityLevelHTTP'
  | 'asset_httpAddress'
  | 'asset_httpPublicAddress'
  | 'asset_propagation_public_url'
>;

export interface AnnouncedUrls {
  /** Where others fetch from this node; empty where there is none. */
  readonly dataHubUrl: DataHubUrl | '';
  readonly propagation: string;
  /**
   * Whether blocks and subtrees can be announced under `dataHubUrl`: with an empty or, unless private addresses are
   * allowed, a private one, every peer would drop each announcement, and the newest ones ban us.
   */
  readonly announceable: boolean;
  /** Why not, beginning with the setting's key; where the listen mode lets announce nothing in any case, undefined. */
  readonly problem?: string;
  /** For the log, each beginning with the setting's key. */
  readonly warnings: readonly string[];
}

/**
 * `asset_httpPublicAddress`, else `asset_httpAddress`, whose scheme the first generation fits to `securityLevelHTTP`.
 * Throws ConfigurationError for what every peer would refuse to read.
 */
export function announcedUrls(settings: UrlSettings): AnnouncedUrls {
  const warnings: string[] = [];
  const problems: string[] = [];
  type Key = 'asset_httpAddress' | 'asset_httpPublicAddress' | 'asset_propagation_public_url';
  const checked = (key: Key): DataHubUrl | '' => {
    const told = settings[key].trim();
    if (told === '') return '';
    const text = escapedUrl(told);
    const fault = printFault(text);
    // What nobody prints is not printed here either.
    if (fault !== undefined) problems.push(`${key}: ${fault}`);
    else if (text !== told) warnings.push(`${key}: told as ${text}: no URL has the other characters`);
    return text as DataHubUrl;
  };

  let own = checked('asset_httpAddress');
  if (settings.p2p_generation === 'first' && own !== '') {
    const [wrong, right] = settings.securityLevelHTTP === 1 ? ['http:', 'https:'] : ['https:', 'http:'];
    if (own.toLowerCase().startsWith(`${wrong}//`)) {
      own = `${right}${own.slice(wrong.length)}` as DataHubUrl;
      warnings.push(
        `asset_httpAddress: told as ${right}// since securityLevelHTTP is ${settings.securityLevelHTTP}`,
      );
    }
  }
  const dataHubUrl = checked('asset_httpPublicAddress') || own;
  const propagation = checked('asset_propagation_public_url');
  if (problems.length > 0) throw new ConfigurationError(problems);

  const fault = dataHubFault(dataHubUrl, settings);
  const announceable = fault === undefined;
  if (announceable || settings.listen_mode !== 'full')
    return { dataHubUrl, propagation, announceable, warnings };
  const key = settings.asset_httpPublicAddress === '' ? 'asset_httpAddress' : 'asset_httpPublicAddress';
  const problem = `${key}: ${fault}; blocks and subtrees are not announced until asset_httpPublicAddress names one that peers can reach`;
  warnings.push(problem);
  return { dataHubUrl, propagation, announceable, problem, warnings };
}

/** What a peer would find wrong with the URL. */
function dataHubFault(dataHub: string, settings: UrlSettings): string | undefined {
  try {
    requiredUrl(dataHub, {
      allowPrivateUrls: settings.p2p_allow_private_ips,
      blacklistedHosts: [],
      powLimitBits: NETWORKS[settings.network].powLimitBits,
      tipBits: 0,
      allowsMinimumDifficulty: true,
      generation: settings.p2p_generation,
      own: false,
      recordFormat: 'protobuf',
    });
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}
