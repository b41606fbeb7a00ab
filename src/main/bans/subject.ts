/** What a ban is about, read from what an operator or a neighbour wrote. */

import { isIP } from 'node:net';
import { canonicalIp, parseSubnet, type Subnet } from '../../shared/net/ip.js';
import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';
import { maskWords, parseAddressWords } from './address-words.js';

export type BanSubject =
  | { readonly kind: 'address'; readonly key: string; readonly subnet: Subnet }
  | { readonly kind: 'subnet'; readonly key: string; readonly subnet: Subnet }
  | { readonly kind: 'peer'; readonly key: PeerIdText };

/** The text names nothing that can be banned. */
export class InvalidBanSubjectError extends RangeError {
  override readonly name = 'InvalidBanSubjectError';
}

/** Longest text that is looked at, in UTF-16 units: a multiaddr with a peer ID fits twice. */
export const MAX_SUBJECT_LENGTH = 256;

/** As much of hostile text as may stand in an error: printable ASCII, at most 80 characters. */
function shown(text: string): string {
  const safe = text.slice(0, 80).replace(/[^\x20-\x7e]/g, '?');
  return safe.length < text.length ? `${safe}…` : safe;
}

const isPort = (digits = '0'): boolean => digits.length <= 5 && Number(digits) <= 65_535;

/** `1.2.3.4:9905` and `[::1]:9905` without the port, as the Go service reads them; else the text itself. */
function withoutPort(text: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && isIP(host) !== 0 && isPort(match?.[3]) ? host : text;
}

/** The address of a multiaddr such as `/ip4/1.2.3.4/tcp/9905/p2p/…`, or the peer ID of `/p2p/…`; else the text itself. */
function ofMultiaddr(text: string): string {
  const match = /^\/(?:ip4|ip6|p2p)\/([^/]+)(?:\/(?:tcp|udp)\/(\d+)(?=\/|$)|\/|$)/.exec(text);
  return match?.[1] !== undefined && isPort(match[2]) ? match[1] : text;
}

const words = new Uint32Array(4);
const network = new Uint32Array(4);

/** The commonest case by far, in a twentieth of the time: a million of them are read at a start. */
function plainIpv4(text: string): BanSubject | undefined {
  if (text.length > 18) return undefined;
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  if (address.includes(':') || parseAddressWords(address, words) !== 4) return undefined;
  const digits = slash === -1 ? '32' : text.slice(slash + 1);
  if (!/^(?:[1-9]|[12]\d|3[0-2])$/.test(digits)) return undefined;
  const prefix = Number(digits);
  maskWords(words, network, prefix, 1);
  const value = network[0] ?? 0;
  const bytes = Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  const name = bytes.join('.');
  const subnet: Subnet = { network: name, prefix, family: 4, bytes, cidr: `${name}/${prefix}` };
  return prefix === 32
    ? { kind: 'address', key: name, subnet }
    : { kind: 'subnet', key: subnet.cidr, subnet };
}

/**
 * Reads an address, a CIDR subnet or a peer ID. An address may carry a port or be the beginning of a multiaddr, as `GetPeers`
 * shows it. Subnets lose their host bits, IPv4-mapped ones become IPv4, and one of a single address is that address.
 *
 * Throws {@link InvalidBanSubjectError} on anything else, on more than 256 characters, on an IPv6 zone, whose meaning ends at
 * this machine, and on the prefix length 0, which would ban everybody.
 */
export function parseBanSubject(text: string): BanSubject {
  const plain = plainIpv4(text);
  if (plain !== undefined) return plain;
  if (text.length > MAX_SUBJECT_LENGTH) {
    throw new InvalidBanSubjectError(`longer than ${MAX_SUBJECT_LENGTH} characters: ${shown(text)}`);
  }
  const bare = withoutPort(ofMultiaddr(text));
  const peer = parsePeerId(bare);
  if (peer !== undefined) return { kind: 'peer', key: peer };
  if (bare.includes('%')) throw new InvalidBanSubjectError(`an address with a zone: ${shown(text)}`);
  const subnet = parseSubnet(bare);
  if (subnet === undefined) {
    throw new InvalidBanSubjectError(`not an address, subnet or peer ID: ${shown(text)}`);
  }
  if (subnet.prefix === 0) {
    throw new InvalidBanSubjectError(`${subnet.cidr} is everybody; ban narrower subnets`);
  }
  if (subnet.prefix === (subnet.family === 4 ? 32 : 128)) {
    return { kind: 'address', key: subnet.network, subnet };
  }
  return { kind: 'subnet', key: subnet.cidr, subnet };
}

/** The canonical address of a multiaddr's first part; the host name when that is one; undefined when it has neither. */
export function hostOfMultiaddr(
  multiaddr: string,
): { readonly address: string } | { readonly name: string } | undefined {
  const [, protocol, host] = /^\/([a-z0-9]+)\/([^/]+)/.exec(multiaddr) ?? [];
  if (protocol === undefined || host === undefined) return undefined;
  if (protocol === 'ip4' || protocol === 'ip6') {
    const address = canonicalIp(host);
    return address === undefined ? undefined : { address };
  }
  return /^dns(?:4|6|addr)?$/.test(protocol) ? { name: host } : undefined;
}
