/**
 * Identify under this network's name.
 *
 * Reason: libp2p derives the protocol version from a prefix that its protocol ids share; only the text may differ.
 */

/** What identify and its push have and their types do not show. */
interface NamedService {
  readonly host: { protocolVersion: string };
}

/** To be called before the service starts, which stores the text. */
export function identifyAs(service: object, protocolVersion: string): void {
  (service as NamedService).host.protocolVersion = protocolVersion;
}
