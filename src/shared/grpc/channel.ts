/** Where and how this server's gRPC clients connect: target, TLS, message size, keepalive, reconnection. */

import { type ChannelCredentials, type ClientOptions, credentials } from '@grpc/grpc-js';
import { type DialAddress, hostAndPort } from '../net/listen-address.js';
import type { Settings } from '../settings/table.js';
import { type Pem, type TlsFileSet, tlsFileProblems } from '../tls/files.js';
import { WatchedPem } from '../tls/watch.js';
import { ConnectionCredentials } from './connection-credentials.js';
import type { GrpcTlsSettings } from './tls-settings.js';

/** Largest message in either direction: Teranode's services allow each other 1 GiB. */
const MAX_MESSAGE_BYTES = 1024 * 1024 * 1024;

export type { GrpcTlsSettings };

export interface Channel {
  /** As grpc-js takes it. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: ClientOptions;
  /** Ends its connections, whatever runs on them: for a client that is closed and has nothing under way. */
  readonly end: () => void;
}

/**
 * Everything a generated client's constructor takes for `address`, which the cluster's own name service answers for where it is a name.
 * Each connection takes the files of `tls` as they are then; without it they are read once. Throws ConfigurationError for a TLS file that
 * cannot be used.
 */
export function openChannel(address: DialAddress, settings: GrpcTlsSettings, tls?: WatchedPem): Channel {
  const credentials = new ConnectionCredentials(currentCredentials(settings, tls));
  return {
    target: `dns:///${hostAndPort(address)}`,
    credentials,
    options: CHANNEL_OPTIONS,
    end: () => credentials.end(),
  };
}

const CHANNEL_OPTIONS: ClientOptions = {
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  // A Go server that sets no policy of its own, as Teranode's do not, ends a connection that is pinged more often than
  // every 5 minutes, or at all while no call runs. A silent peer is found sooner by TCP's keepalive, by calls that get no answer
  // (`Neighbour`) and by the heartbeat of the notification stream.
  'grpc.keepalive_time_ms': 310_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 0,
  // grpc-js backs off to two minutes when left alone; a service that came back is to be found within seconds.
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // `k8s:` names resolve to every pod of a service.
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  // Connections of its own for each client: closing one leaves the others alone, and a new one does not take up a dead one's.
  'grpc.use_local_subchannel_pool': 1,
};

/** The files that `security_level_grpc` needs of who calls. */
function channelFiles(settings: GrpcTlsSettings): TlsFileSet | undefined {
  const level = settings.security_level_grpc;
  const { grpc_ca_file, grpc_cert_file, grpc_key_file } = settings;
  if (level < 2) return undefined;
  return {
    files: {
      ca: { setting: 'grpc_ca_file', path: grpc_ca_file, required: false },
      ...(level === 3
        ? {
            cert: { setting: 'grpc_cert_file', path: grpc_cert_file },
            key: { setting: 'grpc_key_file', path: grpc_key_file },
          }
        : {}),
    },
    level: `security_level_grpc ${level}`,
  };
}

/** The same, where any service is called. */
export function serviceFiles(
  settings: GrpcTlsSettings &
    Pick<Settings, 'blockchain_grpcAddress' | 'blockvalidation_grpcAddress' | 'blockassembly_grpcAddress'>,
): TlsFileSet | undefined {
  const { blockchain_grpcAddress, blockvalidation_grpcAddress, blockassembly_grpcAddress } = settings;
  const called = blockchain_grpcAddress ?? blockvalidation_grpcAddress ?? blockassembly_grpcAddress;
  return called === undefined ? undefined : channelFiles(settings);
}

/** What is wrong with them, each line beginning with its setting. */
export function channelProblems(settings: GrpcTlsSettings): readonly string[] {
  return tlsFileProblems(channelFiles(settings));
}

/** The credentials that a connection takes now. Throws ConfigurationError naming the file that cannot be read, here and never later. */
function currentCredentials(
  settings: GrpcTlsSettings,
  watched: WatchedPem | undefined,
): () => ChannelCredentials {
  const level = settings.security_level_grpc;
  if (level === 0) {
    const plain = credentials.createInsecure();
    return () => plain;
  }
  if (level === 1) {
    const verify = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
    const unverified = credentials.createSsl(null, null, null, verify);
    return () => unverified;
  }
  const files = channelFiles(settings) as TlsFileSet;
  const tls = watched ?? new WatchedPem(files);
  let of: Pem | undefined;
  let made: ChannelCredentials | undefined;
  return () => {
    const pem = tls.current;
    if (made === undefined || pem !== of) {
      const { ca = null, key = null, cert = null } = pem;
      made = credentials.createSsl(ca, key, cert, {});
      of = pem;
    }
    return made;
  };
}
