/** What the package exports to other programs: a client of PeerService, and the errors that its calls reject with. */

export { AbortedError, ConfigurationError, UnavailableError } from './errors.js';
export { DeadlineError, RpcError } from './grpc/call-errors.js';
export {
  type Ban,
  type ChainProgress,
  type ConnectionResult,
  type Peer,
  type PeerInfoForCatchup,
  type PeerRegistryInfo,
  PeerServiceClient,
  type PeerServiceClientOptions,
  type ReportResult,
} from './grpc/peer-service-client.js';
export type { GrpcTlsSettings } from './grpc/tls-settings.js';
