/**
 * What of UPnP's discovery may reach the library.
 *
 * Reason: its sockets hear UDP port 1900 on every interface, of anybody who can send there; it throws at what it does not understand, in an
 * event of a socket, which would end the process, and it fetches whatever address a stranger's answer names.
 */

import { EventEmitter } from 'node:events';
import ssdp from '@achingbrain/ssdp';
import { isPrivateAddress } from '../../../shared/net/ip.js';

/** An answer of the one it speaks of, in our own network. */
function isRoutersAnswer(message: unknown, remote: unknown): boolean {
  const { LOCATION: location, ttl } = message as { LOCATION?: unknown; ttl?: unknown };
  const { address } = remote as { address: string };
  if (typeof location !== 'string' || typeof ttl !== 'function' || !URL.canParse(location)) return false;
  return isPrivateAddress(address) && new URL(location).hostname.replace(/^\[|\]$/g, '') === address;
}

let guarded: Promise<void> | undefined;

/**
 * Stands between the library's sockets and its listeners, once a process: the library makes its own instances and shows them to
 * nobody, so their prototype is where it can be done. Where a socket cannot be bound, that search finds nothing.
 */
export function guardDiscovery(): Promise<void> {
  guarded ??= ssdp({ start: false }).then((bus) => {
    const emit = EventEmitter.prototype.emit;
    const prototype = Object.getPrototypeOf(bus) as EventEmitter;
    prototype.emit = function (this: EventEmitter, event: string | symbol, ...args: unknown[]): boolean {
      if (event === 'error' && this.listenerCount('error') === 0) return false;
      if (event === 'ssdp:notify') return false;
      if (event === 'ssdp:search-response' && !isRoutersAnswer(args[0], args[1])) return false;
      if (event !== 'transport:incoming-message') return emit.call(this, event, ...args);
      try {
        return emit.call(this, event, ...args);
      } catch {
        return false;
      }
    };
  });
  return guarded;
}
