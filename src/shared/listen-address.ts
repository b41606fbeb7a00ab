import { ConfigurationError } from './errors.js';

export interface ListenAddress {
  /** Empty for every address. IPv6 without brackets. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/**
 * Reads `host:port` as Go writes it: `:9906`, `localhost:9906`, `[::1]:9906`. Throws ConfigurationError that names
 * `setting`.
 */
export function parseListenAddress(text: string, setting: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new ConfigurationError([
      `${setting}: "${text}" is not an address to listen on: host:port, or :port for every address`,
    ]);
  return { host: match[1] ?? match[2] ?? '', port };
}
