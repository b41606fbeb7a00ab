/**
 * A TCP proxy that can lose what the other side answers, as a connection does that breaks at the wrong moment, or what either side sends
 * without ending anything, as a network does that dies.
 */

import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export class LossyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #clients = new WeakSet<Socket>();
  /** What comes from these is lost. */
  readonly #silenced = new WeakSet<Socket>();
  #losing = false;
  #lost = 0;
  /** Port on 127.0.0.1 to which it passes everything on. */
  target = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (client) => this.#pass(client));
  }

  static async listen(context: Pick<TestContext, 'after'>): Promise<LossyProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new LossyProxy(server);
    context.after(() => proxy.#close());
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Answers lost so far. */
  get lost(): number {
    return this.#lost;
  }

  /** Connections that are open to it. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** From now on requests get through and answers do not: the connection ends instead. */
  loseAnswers(losing: boolean): void {
    this.#losing = losing;
  }

  /** From now on nothing that clients send gets through over the connections that are open, nor what they are answered; none ends. */
  silence(what: 'clients' | 'both'): void {
    for (const socket of this.#sockets) {
      if (what === 'both' || this.#clients.has(socket)) this.#silenced.add(socket);
    }
  }

  #pass(client: Socket): void {
    this.#clients.add(client);
    const server = dial({ host: '127.0.0.1', port: this.target });
    const end = (): void => {
      for (const socket of [client, server]) {
        this.#sockets.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
    client.on('data', (bytes) => {
      if (!this.#silenced.has(client)) server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (this.#silenced.has(server)) return;
      if (!this.#losing) {
        client.write(bytes);
        return;
      }
      this.#lost++;
      end();
    });
  }

  #close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
