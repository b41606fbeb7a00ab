/** Connections to brokers whose errors say which setting is at fault, and that end when they are ended. */

import { connect as connectPlain, isIP, Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';
import { Backoff, type BackoffPolicy } from '../../../async/backoff.js';
import { hostAndPort } from '../../../net/listen-address.js';

const KEEP_ALIVE_MS = 60_000;
/** What a broker that was hung up on has to close its side. */
const LINGER_MS = 1000;
/** First byte of a TLS alert; of a Kafka response it would be one of half a gigabyte. */
const TLS_ALERT = 0x15;

/** Ends a connection before the library gives up its request (`REQUEST_TIMEOUT_MS`), after the broker did (a second less). */
const SILENCE_MS = 9500;
/** Which versions it speaks a broker knows without asking anybody. */
const FIRST_SILENCE_MS = 5000;

/** For how long a broker that did not answer is left alone, until it is heard again. */
const REST: BackoffPolicy = { firstMs: 5_000, maxMs: 30_000 };

/** Kafka's numbers of requests. */
const API_VERSIONS = 18;
const JOIN_GROUP = 11;
const SYNC_GROUP = 14;

export interface SocketOptions {
  /** Setting of the URL that names the brokers. */
  readonly setting: string;
  /** Whether SASL is what a connection begins with. */
  readonly sasl: boolean;
  /**
   * Milliseconds of silence after a question that end a connection.
   * @default 9_500, and 5_000 for the first
   */
  readonly silenceMs?: number;
  /** What each connection over TLS takes of its files as they are then, instead of what the library hands it. */
  readonly tls?: (() => ConnectionOptions) | undefined;
}

interface Tried {
  readonly setting: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly hasCertificate: boolean;
}

/** Stands for the colon in an address, where kafkajs would take it for the one before the port. */
export const COLON = ';';

/** A broker of the settings, `host:port`, as kafkajs takes it and these sockets understand it: `[::1]:9092` too. */
export function seedOf(broker: string): string {
  return broker.replace(/^\[(.*)\]/, (_, address: string) => address.replaceAll(':', COLON));
}

/** Puts the setting before the message of what a connection fails with. */
export function namingSockets({ setting, sasl, silenceMs, tls }: SocketOptions): ISocketFactory {
  const resting = new BrokerBackoff();
  return ({ host: named, port, ssl, onConnect }) => {
    const host = named.replaceAll(COLON, ':');
    const broker = hostAndPort({ host, port });
    if (resting.has(broker)) return refused(broker);
    const options = ssl ? { ...(ssl as ConnectionOptions), ...tls?.() } : undefined;
    const tried = { setting, host, port, tls: Boolean(ssl), hasCertificate: options?.cert !== undefined };
    // kafkajs ends a socket that takes too long to connect, and would hold it for connected if it did so afterwards.
    const connected = (): void => {
      if (!socket.writableEnded) onConnect();
    };
    const socket: Socket = options
      ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...options }, connected)
      : connectPlain({ host, port }, connected);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    closeOnceEnded(socket);
    endWhenSilent(socket, { broker, resting, silenceMs });
    // Before kafkajs listens: it reads the message once.
    socket.prependListener('error', (error: NodeJS.ErrnoException) => {
      const cause = causeOf(error, tried);
      if (cause !== undefined) error.message = cause;
    });
    if (!sasl) sayWhenTurnedAway(socket, broker);
    if (!options) {
      socket.once('data', (data: Buffer) => {
        if (data[0] !== TLS_ALERT) return;
        socket.destroy(new Error(`KAFKA_ENABLE_TLS: ${broker} speaks TLS, which is not enabled`));
      });
    }
    return socket;
  };
}

/**
 * kafkajs ends a socket and forgets it: each that a stuck broker or a dead network leaves half open would stay.
 */
function closeOnceEnded(socket: Socket): void {
  const end = socket.end.bind(socket);
  Object.assign(socket, {
    end: () => {
      const late = setTimeout(() => socket.destroy(), LINGER_MS).unref();
      socket.once('close', () => clearTimeout(late));
      return end();
    },
  });
}

/**
 * Brokers that stand still. Their machine still takes connections, and the library holds whatever connects for a broker that can be
 * asked who leads now: each such question would cost the whole silence again, and meanwhile nothing is sent to anybody.
 */
class BrokerBackoff {
  readonly #rests = new Map<string, { readonly backoff: Backoff; until: number }>();

  has(broker: string): boolean {
    return (this.#rests.get(broker)?.until ?? 0) > performance.now();
  }

  silent(broker: string): void {
    // Several connections fall silent together.
    if (this.has(broker)) return;
    const { backoff } = this.#rests.get(broker) ?? { backoff: new Backoff(REST) };
    this.#rests.set(broker, { backoff, until: performance.now() + backoff.next() });
  }

  answered(broker: string): void {
    this.#rests.delete(broker);
  }
}

/** A connection that fails as soon as somebody can hear it. */
function refused(broker: string): Socket {
  const socket = new Socket();
  process.nextTick(() => socket.destroy(new Error(`${broker} does not answer`)));
  return socket;
}

/**
 * Ends a connection on which nothing comes back. A request that the library gives up leaves the connection as it is, and the next
 * goes out on it: to a broker that stands still, or whose machine went without a word, for ever. Of a connection that
 * broke it asks the other brokers who leads now.
 */
function endWhenSilent(
  socket: Socket,
  { broker, resting, silenceMs }: { broker: string; resting: BrokerBackoff; silenceMs: number | undefined },
): void {
  let timer: NodeJS.Timeout | undefined;
  let patient = false;
  const rest = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  socket.on('data', () => {
    rest();
    patient = false;
    resting.answered(broker);
  });
  socket.once('close', rest);
  const write = socket.write.bind(socket) as (data: Uint8Array, ...more: unknown[]) => boolean;
  Object.assign(socket, {
    write: (data: Buffer, ...more: unknown[]) => {
      // Behind the length.
      const request = data.length < 6 ? -1 : data.readInt16BE(4);
      // A group is waited for, and meanwhile a broker answers nothing else on the same connection.
      if (request === JOIN_GROUP || request === SYNC_GROUP) {
        patient = true;
        rest();
      } else if (!patient && timer === undefined) {
        const ms = silenceMs ?? (request === API_VERSIONS ? FIRST_SILENCE_MS : SILENCE_MS);
        timer = setTimeout(() => {
          resting.silent(broker);
          socket.destroy(new Error(`${broker} does not answer`));
        }, ms);
      }
      return write(data, ...more);
    },
  });
}

/**
 * A broker that asks for SASL answers which versions it speaks, and then hangs up on the first question without a word.
 */
function sayWhenTurnedAway(socket: Socket, broker: string): void {
  let answers = 0;
  socket.on('data', () => answers++);
  // Before kafkajs hears of the end, which to it is a connection that closed.
  socket.prependListener('end', () => {
    if (answers !== 1) return;
    const what = `${broker} hung up on the first question: it asks for SASL, or stops just now`;
    socket.emit('error', new Error(`KAFKA_SASL_MECHANISM: ${what}`));
  });
}

/** What to tell instead of the error's own words; undefined when those say it best. */
function causeOf(error: NodeJS.ErrnoException, tried: Tried): string | undefined {
  const { code = '', message } = error;
  const { setting, host, port, tls, hasCertificate } = tried;
  const broker = hostAndPort({ host, port });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `${setting}: the host ${host} is unknown (${code})`;
  if (!tls) return undefined;
  switch (code) {
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return `KAFKA_ENABLE_TLS: the certificate of ${broker}, or its authority's, ${code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'} (${code})`;
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `${setting}: the certificate of ${broker} is not for the host ${host} (${code})`;
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
      return `KAFKA_TLS_CA_FILE: the certificate of ${broker} is not of an authority that is trusted (${code})`;
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return `KAFKA_ENABLE_TLS: ${broker} does not speak TLS (${code})`;
    case 'ECONNRESET':
      return message.includes('before secure TLS connection')
        ? `KAFKA_ENABLE_TLS: ${broker} closed the connection before TLS was agreed on: it does not speak TLS, or stops just now`
        : undefined;
  }
  // Alerts that a broker sends about the client's certificate, or for want of one.
  if (/^ERR_SSL_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    return hasCertificate
      ? `KAFKA_TLS_CERT_FILE: ${broker} refuses the client certificate (${code})`
      : `KAFKA_TLS_CERT_FILE: ${broker} asks for a client certificate (${code})`;
  }
  return undefined;
}
