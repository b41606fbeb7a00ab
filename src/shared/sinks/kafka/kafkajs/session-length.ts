/**
 * Brokers with `connections.max.reauth.ms` end a connection that does not authenticate again in time. kafkajs 2.2.4 does so 10 s before
 * the session ends: of one that is no longer than that, before each request, which brokers refuse within the same second. Here it is done
 * in the last fifth of a session, and 10 s before its end at the earliest, which leaves a request time to arrive.
 */

import { createRequire } from 'node:module';

/** Before the end of a session, milliseconds at the most: what the library takes. */
const EARLIEST_MS = 10_000;
const SHARE = 5;
/** A broker authenticates a connection again once a second at the most (Kafka's `MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`). */
const SHORTEST_MS = 1_500;

interface Connection {
  readonly broker: string;
  /** Milliseconds as the broker told them; 0 where sessions do not end. */
  readonly sessionLifetime: { toString(): string };
  reauthenticationThreshold: number;
  isAuthenticated(): boolean;
  authenticate(): Promise<void>;
}

const kept = Symbol('sessions are kept');

/** Corrects the library once in this thread, however often it is called. */
export function keepSessions(): void {
  const require = createRequire(import.meta.url);
  const { prototype } = require('kafkajs/src/network/connection') as {
    prototype: Connection & { [kept]?: true };
  };
  if (prototype[kept] === true) return;
  prototype[kept] = true;
  const { isAuthenticated, authenticate } = prototype;
  prototype.isAuthenticated = function (this: Connection): boolean {
    const sessionMs = Number(this.sessionLifetime);
    this.reauthenticationThreshold = Math.min(EARLIEST_MS, Math.floor(sessionMs / SHARE));
    return isAuthenticated.call(this);
  };
  prototype.authenticate = async function (this: Connection): Promise<void> {
    await authenticate.call(this);
    const sessionMs = Number(this.sessionLifetime);
    if (sessionMs === 0 || sessionMs >= SHORTEST_MS) return;
    const { KafkaJSNonRetriableError } = require('kafkajs') as typeof import('kafkajs');
    throw new KafkaJSNonRetriableError(
      `${this.broker} ends sessions after ${sessionMs} ms (its connections.max.reauth.ms), and takes nobody twice in a second: it must be ${SHORTEST_MS} or more`,
    );
  };
}
