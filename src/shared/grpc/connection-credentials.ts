/** Credentials that each connection takes as they are when it is made, and that hold the sockets of their channel. */

import type { Socket } from 'node:net';
import { ChannelCredentials, type experimental } from '@grpc/grpc-js';

/**
 * Idle for so long, a peer's kernel is asked every second whether it still knows the connection; ten unanswered questions end it (libuv's
 * interval and count). gRPC's own keepalive cannot be as quick: Go servers end a connection that is pinged more often than every 5 minutes.
 */
const TCP_KEEP_ALIVE_MS = 10_000;

type ConnectorArguments = Parameters<ChannelCredentials['_createSecureConnector']>;

/** For one channel. */
export class ConnectionCredentials extends ChannelCredentials {
  readonly #current: () => ChannelCredentials;
  readonly #sockets = new Set<Socket>();
  #ended = false;

  /** `current` is asked for each connection; secure or not, its answer stays so. */
  constructor(current: () => ChannelCredentials) {
    super();
    this.#current = current;
  }

  /**
   * Ends what connections there are, whatever runs on them, and those that are still to come. A channel that is closed leaves alone those on
   * which the other side has not yet spoken HTTP/2: before a process that stands still they would stay for ever.
   */
  end(): void {
    this.#ended = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#current()._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...ofChannel: ConnectorArguments): experimental.SecureConnector {
    const connector = () => this.#current()._createSecureConnector(...ofChannel);
    return {
      connect: async (socket) => {
        if (this.#ended) throw new Error('the channel is closed');
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
        return connector().connect(socket);
      },
      waitForReady: async () => {},
      getCallCredentials: () => connector().getCallCredentials(),
      destroy: () => {},
    };
  }
}
