/** Where and how this server's gRPC clients connect: target, TLS, message size, keepalive, reconnection. */

import { type ChannelCredentials, type ClientOptions, credentials } from '@grpc/grpc-js';
import { ConfigurationError, errorMessage } from '../errors.js';
import type { Settings } from '../settings/table.js';
import { pemProblems, tlsFileReader } from '../tls-files.js';
import { ConnectionCredentials } from './connection-credentials.js';

/** Largest message in either direction: Teranode's services allow each other 1 GiB. */
export const MAX_MESSAGE_BYTES = 1024 * 1024 * 1024;

export type GrpcTlsSettings = Pick<
  Settings,
  'security_level_grpc' | 'grpc_ca_file' | 'grpc_cert_file' | 'grpc_key_file'
>;

export interface Channel {
  /** As grpc-js takes it. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: ClientOptions;
  /** Ends its connections, whatever runs on them: for a client that is closed and has nothing under way. */
  readonly end: () => void;
}

/**
 * Everything a generated client's constructor takes for `address` (`host:port` or `k8s:///host:port`). Throws
 * ConfigurationError for an address or a TLS file that cannot be used; `settingKey` names the address in it.
 */
export function openChannel(address: string, settings: GrpcTlsSettings, settingKey: string): Channel {
  const target = grpcTarget(address, settingKey);
  const current = channelCredentials(settings);
  const credentials = new ConnectionCredentials(() => current);
  return {
    target,
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

/**
 * `host:port` and `k8s:///host:port` as a grpc-js target: the cluster's own name service answers for both. Throws
 * ConfigurationError naming `settingKey`.
 */
export function grpcTarget(address: string, settingKey: string): string {
  const hostAndPort = address.trim().replace(/^k8s:\/\/\//, '');
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(hostAndPort)?.[1];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new ConfigurationError([`${settingKey}: "${address}" is not host:port or k8s:///host:port`]);
  }
  return `dns:///${hostAndPort}`;
}

/** What is wrong with the files that `security_level_grpc` needs of who calls, each line beginning with its setting. */
export function channelProblems(settings: GrpcTlsSettings): readonly string[] {
  const level = settings.security_level_grpc;
  if (level < 2) return [];
  const { grpc_ca_file, grpc_cert_file, grpc_key_file } = settings;
  return pemProblems(
    {
      ca: { setting: 'grpc_ca_file', path: grpc_ca_file, required: false },
      ...(level === 3
        ? {
            cert: { setting: 'grpc_cert_file', path: grpc_cert_file },
            key: { setting: 'grpc_key_file', path: grpc_key_file },
          }
        : {}),
    },
    `security_level_grpc ${level}`,
  );
}

/** Credentials for `security_level_grpc`. Throws ConfigurationError naming the file that cannot be read. */
export function channelCredentials(settings: GrpcTlsSettings): ChannelCredentials {
  const level = settings.security_level_grpc;
  if (level === 0) return credentials.createInsecure();
  const problems: string[] = [];
  const read = tlsFileReader(problems, `security_level_grpc ${level}`);
  const ca = level === 1 ? null : read('grpc_ca_file', settings.grpc_ca_file, false);
  const key = level === 3 ? read('grpc_key_file', settings.grpc_key_file, true) : null;
  const certificate = level === 3 ? read('grpc_cert_file', settings.grpc_cert_file, true) : null;
  if (problems.length > 0) throw new ConfigurationError(problems);
  try {
    return credentials.createSsl(
      ca,
      key,
      certificate,
      level === 1 ? { rejectUnauthorized: false, checkServerIdentity: () => undefined } : {},
    );
  } catch (error) {
    throw new ConfigurationError([`security_level_grpc ${level}: ${errorMessage(error)}`]);
  }
}
