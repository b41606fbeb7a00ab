/** Attributes of messages, by OpenTelemetry's semantic conventions 1.45. */

import type { SpanValues } from './types.js';

/** `messaging.system` is the older name of `messaging.system.name`, which backends know. */
export function messagingValues(
  system: string,
  operation: 'process' | 'send',
  destination: string,
): SpanValues {
  return {
    'messaging.system': system,
    'messaging.system.name': system,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': destination,
  };
}
