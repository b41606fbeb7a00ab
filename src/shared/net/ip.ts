/**
 * IP addresses and subnets as text: one canonical form, and what kind of place an address is. IPv4-mapped IPv6 addresses
 * (`::ffff:192.0.2.1`) are the IPv4 address everywhere, so that a ban of one is a ban of the other.
 */

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** `other`: documentation, benchmarking, translation and transition ranges, reserved. */
export type AddressScope =
  | 'public'
  | 'private'
  | 'loopback'
  | 'link-local'
  | 'unspecified'
  | 'multicast'
  | 'other';

/** A subnet in canonical form: host bits zero, IPv4-mapped subnets of /96 and longer as IPv4. */
export interface Subnet {
  /** Canonical network address. */
  readonly network: string;
  /** Bits: 0–32 or 0–128. */
  readonly prefix: number;
  readonly family: 4 | 6;
  /** The network's 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  /** `network/prefix`. */
  readonly cidr: string;
}

/** Longest address text: 45 characters, and a zone. */
const MAX_TEXT = 64;
const MAPPED_PREFIX = 96;

function parse(text: string): Address | undefined {
  // `isIP` is strict where the library is lenient: no octal, no `127.1`, no hexadecimal IPv4.
  if (text.length > MAX_TEXT || isIP(text) === 0) return undefined;
  const zone = text.indexOf('%');
  return ipaddr.process(zone === -1 ? text : text.slice(0, zone));
}

function parseBracketed(text: string): Address | undefined {
  return text.startsWith('[') && text.endsWith(']') ? parse(text.slice(1, -1)) : parse(text);
}

function format(address: Address): string {
  // RFC 5952 for IPv6.
  return address.toString();
}

/** The canonical text of an address (RFC 5952; mapped as IPv4; no zone, no brackets); undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  const address = parseBracketed(text);
  return address === undefined ? undefined : format(address);
}

/** 4 or 16 bytes of an address, IPv4 for a mapped one; undefined when it is none. */
export function ipBytes(text: string): Uint8Array | undefined {
  const address = parseBracketed(text);
  return address === undefined ? undefined : Uint8Array.from(address.toByteArray());
}

function embeddedIpv4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  const range = address.range();
  if (range === '6to4') return new ipaddr.IPv4(bytes.slice(2, 6));
  // Translated (RFC 6145, RFC 6052), and the IPv4-compatible form that RFC 4291 gave up.
  if (range === 'rfc6145' || range === 'rfc6052') return new ipaddr.IPv4(bytes.slice(12));
  if (bytes.slice(0, 12).every((byte) => byte === 0)) return new ipaddr.IPv4(bytes.slice(12));
  return undefined;
}

function scopeOf(address: Address): AddressScope {
  // As text: the library knows ranges that its types do not.
  switch (address.range() as string) {
    case 'unicast':
    case 'as112':
    case 'as112v6':
    case 'amt': {
      const inner = address instanceof ipaddr.IPv6 ? embeddedIpv4(address) : undefined;
      return inner === undefined ? 'public' : scopeOf(inner);
    }
    case 'private':
    case 'uniqueLocal':
    case 'carrierGradeNat':
    case 'deprecatedSiteLocal':
      return 'private';
    case 'loopback':
      return 'loopback';
    case 'linkLocal':
      return 'link-local';
    case 'unspecified':
      return 'unspecified';
    case 'multicast':
    case 'broadcast':
      return 'multicast';
    default: {
      // What leads to a private IPv4 address by translation is private.
      const inner = address instanceof ipaddr.IPv6 ? embeddedIpv4(address) : undefined;
      return inner === undefined ? 'other' : scopeOf(inner);
    }
  }
}

/** What kind of place an address is; undefined when it is none. */
export function addressScope(text: string): AddressScope | undefined {
  const address = parseBracketed(text);
  return address === undefined ? undefined : scopeOf(address);
}

/** Whether it is an address of this machine (127.0.0.0/8, ::1, and their mapped forms). */
export function isLoopbackAddress(text: string): boolean {
  return addressScope(text) === 'loopback';
}

/**
 * Whether it is an address that strangers cannot reach: private (RFC 1918, RFC 6598, RFC 4193), loopback, link-local or
 * unspecified, also when wrapped in an IPv6 transition form. False for text that is no address.
 */
export function isPrivateAddress(text: string): boolean {
  const scope = addressScope(text);
  return scope === 'private' || scope === 'loopback' || scope === 'link-local' || scope === 'unspecified';
}

/**
 * Whether a URL's or peer's host is one that strangers cannot reach: a private address (brackets allowed), or `localhost`
 * and the names under it. Other names are not resolved.
 */
export function isPrivateHost(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return name === 'localhost' || name.endsWith('.localhost') || isPrivateAddress(name);
}

function masked(bytes: readonly number[], prefix: number): number[] {
  return bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, prefix - index * 8));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
}

/**
 * A subnet from `address/prefix`, or from a bare address (then /32 or /128). Host bits are cleared. Undefined when it does not
 * parse.
 */
export function parseSubnet(text: string): Subnet | undefined {
  const slash = text.indexOf('/');
  const addressText = slash === -1 ? text : text.slice(0, slash);
  const address = parse(addressText);
  if (address === undefined) return undefined;
  let bytes = address.toByteArray();
  const written = isIP(addressText) === 4 ? 32 : 128;
  let prefix = written;
  if (slash !== -1) {
    const digits = text.slice(slash + 1);
    if (!/^\d{1,3}$/.test(digits)) return undefined;
    prefix = Number(digits);
    if (prefix > written) return undefined;
  }
  if (written === 128 && address.kind() === 'ipv4') {
    if (prefix >= MAPPED_PREFIX) prefix -= MAPPED_PREFIX;
    else bytes = new ipaddr.IPv6([0, 0, 0, 0, 0, 0xffff, 0, 0]).toByteArray();
  }
  const network = masked(bytes, prefix);
  const canonical = format(network.length === 4 ? new ipaddr.IPv4(network) : new ipaddr.IPv6(network));
  return {
    network: canonical,
    prefix,
    family: network.length === 4 ? 4 : 6,
    bytes: Uint8Array.from(network),
    cidr: `${canonical}/${prefix}`,
  };
}

/** What a limit counts as one source: an IPv4 address, or the /64 of an IPv6 one, which a single host can wander through. */
export function sourceOf(address: string): string {
  const canonical = canonicalIp(address) ?? address;
  return canonical.includes(':') ? (parseSubnet(`${canonical}/64`)?.cidr ?? canonical) : canonical;
}

/** Whether an address, by the bytes of {@link ipBytes}, lies in the subnet. */
function bytesInSubnet(subnet: Subnet, bytes: Uint8Array): boolean {
  if (bytes.length !== subnet.bytes.length) return false;
  const whole = subnet.prefix >> 3;
  for (let index = 0; index < whole; index++) {
    if (bytes[index] !== subnet.bytes[index]) return false;
  }
  const rest = subnet.prefix & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((bytes[whole] ?? 0) & mask) === (subnet.bytes[whole] ?? 0);
}

/** A list of addresses and subnets to look addresses up in, such as an exemption list. For short lists: it is walked. */
export class AddressList {
  readonly #subnets: readonly Subnet[];

  /** Throws RangeError on the first entry that is neither an address nor a subnet. */
  constructor(entries: readonly string[]) {
    this.#subnets = entries.map((entry) => {
      const subnet = parseSubnet(entry.trim());
      if (subnet === undefined) throw new RangeError(`not an address or subnet: ${entry}`);
      return subnet;
    });
  }

  has(address: string): boolean {
    if (this.#subnets.length === 0) return false;
    const bytes = ipBytes(address);
    return bytes !== undefined && this.#subnets.some((subnet) => bytesInSubnet(subnet, bytes));
  }
}

/** Shared by carriers (RFC 6598), of the IETF, for measurements (RFC 2544), of the future, multicast: nobody's on the public network. */
const RESERVED = [
  '100.64.0.0/10',
  '192.0.0.0/24',
  '198.18.0.0/15',
  '240.0.0.0/4',
  '224.0.0.0/4',
  'ff00::/8',
].flatMap((cidr) => parseSubnet(cidr) ?? []);

/** Whether it is in a range that p2p_refuse_reserved_addresses is about, also when wrapped in an IPv6 transition form. False for text that is no address. */
export function isReservedAddress(text: string): boolean {
  const address = parseBracketed(text);
  if (address === undefined) return false;
  const inner = address instanceof ipaddr.IPv6 ? embeddedIpv4(address) : undefined;
  return [address, inner].some((one) => {
    const bytes = one === undefined ? undefined : Uint8Array.from(one.toByteArray());
    return bytes !== undefined && RESERVED.some((subnet) => bytesInSubnet(subnet, bytes));
  });
}
