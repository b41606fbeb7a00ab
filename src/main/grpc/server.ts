/** The gRPC server: PeerService, health and reflection on one port. */

import type { Settings as Http2Settings } from 'node:http2';
import type { Socket } from 'node:net';
import { Server, ServerCredentials, type ServerOptions } from '@grpc/grpc-js';
import type { HealthImplementation } from 'grpc-health-check';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { type PeerServiceServer, PeerServiceService } from '../../shared/generated/p2p_api.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import { type Pem, serverFiles, type TlsFileSet, tlsFileProblems } from '../../shared/tls/files.js';
import { WatchedPem } from '../../shared/tls/watch.js';
import type { GrpcConnections } from './connections.js';
import { addressesOf, type BindAddress, bindAddress } from './listen-address.js';
import { Encoded } from './shared-answer.js';

export type GrpcServerSettings = Pick<
  Settings,
  'p2p_grpcListenAddress' | 'security_level_grpc' | 'server_certFile' | 'server_keyFile' | 'grpc_ca_file'
>;

export interface GrpcServerComponents {
  readonly service: PeerServiceServer;
  readonly connections: GrpcConnections;
  readonly logger: Logger;
  /** The files of {@link grpcServerFiles}, where they are watched; without it they are read at the start. */
  readonly tls?: WatchedPem | undefined;
}

const SERVICE = 'p2p_api.PeerService';

const OPTIONS: ServerOptions = {
  // The longest request is an address and a reason.
  'grpc.max_receive_message_length': 64 * 1024,
  // A million bans are listed in some 60 MB.
  'grpc.max_send_message_length': 256 * 1024 * 1024,
  'grpc.max_concurrent_streams': 100,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_connection_idle_ms': 15 * 60_000,
};
/** Methods whose answers may be bytes already. */
const SERVICE_DEFINITION = Object.fromEntries(
  Object.entries(PeerServiceService).map(([name, method]) => [
    name,
    {
      ...method,
      responseSerialize: (value: unknown): Buffer =>
        value instanceof Encoded ? value.bytes : method.responseSerialize(value as never),
    },
  ]),
) as typeof PeerServiceService;
/**
 * Bytes of a call's metadata as HTTP/2 counts them. Clients that heed what the server says, Go's and Java's among them, send no more: the call
 * ends there. Of others the call ends here; past some 140 kB (nghttp2's eight CONTINUATION frames) Node's HTTP/2 ends the connection.
 */
const METADATA_BYTES = 64 * 1024;
/** To find a port that is free at every address of a name. */
const FREE_PORT_ATTEMPTS = 10;
/** How long calls under way may take when the server stops. */
const DRAIN_MS = 2_000;

/** Listens from `start` to `stop`, once. An empty `p2p_grpcListenAddress` means not at all. */
export class GrpcServer {
  readonly #settings: GrpcServerSettings;
  readonly #logger: Logger;
  readonly #tls: WatchedPem | undefined;
  readonly #connections: GrpcConnections;
  readonly #server = new Server(OPTIONS);
  #introspection: Promise<typeof import('./introspection.js')> | undefined;
  #health: HealthImplementation | undefined;
  readonly #address: BindAddress | undefined;
  #port: number | undefined;

  /** Nothing is touched before `start`. */
  constructor({ service, connections, logger, tls }: GrpcServerComponents, settings: GrpcServerSettings) {
    this.#settings = settings;
    boundMetadata(this.#server);
    this.#tls = tls;
    this.#connections = connections;
    this.#logger = logger;
    const address = settings.p2p_grpcListenAddress;
    this.#address = address && bindAddress(address);
    this.#server.addService(SERVICE_DEFINITION, service);
  }

  /** The port it listens on; undefined while it does not. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Begins to load health and reflection, which bring libraries of their own. */
  prepare(): void {
    if (this.#address === undefined) return;
    this.#introspection ??= import('./introspection.js');
    // Looked at by `start`.
    this.#introspection.catch(() => {});
  }

  /** Throws ConfigurationError naming the setting: the port is taken, a certificate cannot be read. */
  async start(): Promise<void> {
    const address = this.#address;
    if (address === undefined) {
      this.#logger.info('PeerService is off: p2p_grpcListenAddress is empty');
      return;
    }
    this.prepare();
    this.#health = (await this.#introspection)?.addIntrospection(this.#server, SERVICE);
    this.#port = await this.#bind(address, serverCredentials(this.#settings, this.#tls));
    this.#setServing('SERVING');
    this.#logger.info({ address: address.target, port: this.#port }, 'PeerService listens');
    if (!address.loopback && this.#settings.security_level_grpc === 0) {
      this.#logger.warn(
        { address: address.target },
        'admin keys cross the network unencrypted: security_level_grpc is 0',
      );
    }
  }

  /** Lets calls under way end, for 2 s at the most. */
  async stop(): Promise<void> {
    this.#setServing('NOT_SERVING');
    this.#connections.stopListening();
    const drained = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const timer = setTimeout(() => this.#server.forceShutdown(), DRAIN_MS);
    await drained;
    clearTimeout(timer);
    this.#connections.stop();
    this.#port = undefined;
  }

  #setServing(status: 'SERVING' | 'NOT_SERVING'): void {
    this.#health?.setStatus('', status);
    this.#health?.setStatus(SERVICE, status);
  }

  async #bind(address: BindAddress, credentials: ServerCredentials): Promise<number> {
    // Our own sockets, because grpc-js counts none of its connections.
    const { injectConnection } = this.#server.createConnectionInjector(credentials);
    const { host } = address;
    try {
      const addresses = await addressesOf(address);
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#bindAll(addresses, address.port, injectConnection);
        } catch (error) {
          this.#connections.stopListening();
          // A machine without IPv6 has no `::`.
          if (host === '::' && isAbsent(error)) {
            return await this.#connections.listen('0.0.0.0', address.port, injectConnection);
          }
          // A port that was free at one address may be taken at another.
          if (address.port !== 0 || attempt === FREE_PORT_ATTEMPTS) throw error;
        }
      }
    } catch (error) {
      throw refusal(address, error);
    }
  }

  /** One port at all of them; those that this machine does not have, such as `::1` without IPv6, are left out where others are left. */
  async #bindAll(
    addresses: readonly string[],
    port: number,
    onConnection: (socket: Socket) => void,
  ): Promise<number> {
    let bound: number | undefined;
    let absent: unknown;
    for (const host of addresses) {
      try {
        bound = await this.#connections.listen(host, bound ?? port, onConnection);
      } catch (error) {
        if (!isAbsent(error)) throw error;
        absent = error;
      }
    }
    if (bound === undefined) throw absent;
    return bound;
  }
}

/** grpc-js has no option for it, and hands these on to Node's HTTP/2 as they are. */
function boundMetadata(server: Server): void {
  const { commonServerOptions: options } = server as unknown as {
    commonServerOptions: { settings?: Http2Settings };
  };
  options.settings = { ...options.settings, maxHeaderListSize: METADATA_BYTES };
}

/** The machine has no such address. */
const isAbsent = (error: unknown): boolean => /EAFNOSUPPORT|EADDRNOTAVAIL/.test(errorMessage(error));

function refusal(address: BindAddress, error: unknown): ConfigurationError {
  const text = errorMessage(error);
  const reason = text.includes('EADDRINUSE') ? `port ${address.port} is in use` : text;
  return new ConfigurationError([`p2p_grpcListenAddress: cannot listen on ${address.target}: ${reason}`]);
}

/** Whether other machines can reach PeerService. */
export function grpcExposed({
  p2p_grpcListenAddress,
}: Pick<GrpcServerSettings, 'p2p_grpcListenAddress'>): boolean {
  return p2p_grpcListenAddress !== undefined && !bindAddress(p2p_grpcListenAddress).loopback;
}

/** The files that the server needs. */
export function grpcServerFiles(settings: GrpcServerSettings): TlsFileSet | undefined {
  const level = settings.security_level_grpc;
  if (level === 0 || settings.p2p_grpcListenAddress === undefined) return undefined;
  const { files } = serverFiles({ certFile: settings.server_certFile, keyFile: settings.server_keyFile });
  const ca = { setting: 'grpc_ca_file', path: settings.grpc_ca_file };
  return { files: level === 3 ? { ...files, ca } : files, level: `security_level_grpc ${level}` };
}

/** What is wrong with them, each line beginning with its setting. */
export function grpcServerProblems(settings: GrpcServerSettings): readonly string[] {
  return tlsFileProblems(grpcServerFiles(settings));
}

/** Server credentials that can be exchanged: connections there are go on, those that come see the new ones. */
class RenewableCredentials extends ServerCredentials {
  constructor(first: ServerCredentials) {
    super(first._getConstructorOptions(), first._getSecureContextOptions() ?? undefined);
  }

  renew(next: ServerCredentials): void {
    this.updateSecureContextOptions(next._getSecureContextOptions());
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/**
 * Plain at level 0, TLS above it, with client certificates at 3, following the files of `watched`; without it they are read once. Throws
 * ConfigurationError naming each file.
 */
function serverCredentials(settings: GrpcServerSettings, watched: WatchedPem | undefined): ServerCredentials {
  const files = grpcServerFiles(settings);
  if (files === undefined) return ServerCredentials.createInsecure();
  const made = ({ ca, cert, key }: Pem): ServerCredentials =>
    ServerCredentials.createSsl(
      ca ?? null,
      [{ cert_chain: cert as Buffer, private_key: key as Buffer }],
      settings.security_level_grpc === 3,
    );
  const tls = watched ?? new WatchedPem(files);
  const credentials = new RenewableCredentials(made(tls.current));
  tls.onChange((pem) => credentials.renew(made(pem)));
  return credentials;
}
