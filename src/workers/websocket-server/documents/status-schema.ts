/** What `/api/status` answers. */

import type { JsonSchema } from '../../../shared/messages/frame-fields.js';
import type { NodeStatusReport } from '../../../shared/status.js';

const TEXT: JsonSchema = { type: 'string' };
const NUMBER: JsonSchema = { type: 'number' };
const FLAG: JsonSchema = { type: 'boolean' };
const PEER: JsonSchema = { type: 'string', description: 'Base58 peer ID.' };
const AT: JsonSchema = { type: 'number', description: 'Unix milliseconds.' };

/** Of the members of `T`, those that may be left out are named in `optional`. */
function object<T>(
  properties: { readonly [K in keyof T]-?: JsonSchema },
  ...optional: (keyof T)[]
): JsonSchema {
  return {
    type: 'object',
    properties,
    required: Object.keys(properties).filter((key) => !optional.includes(key as keyof T)),
  };
}

type Member<K extends keyof NodeStatusReport> = NonNullable<NodeStatusReport[K]>;
type Item<T> = T extends readonly (infer I)[] ? I : never;

const HEALTH_STATUS: JsonSchema = { type: 'integer', enum: [200, 503] };

export const STATUS_SCHEMA: JsonSchema = object<NodeStatusReport>(
  {
    node: object<Member<'node'>>({
      id: PEER,
      name: TEXT,
      version: TEXT,
      network: TEXT,
      generation: { enum: ['first', 'current'] },
      listenMode: { enum: ['full', 'listen_only', 'silent'] },
      startedAt: AT,
      uptime: { type: 'number', description: 'Seconds.' },
      height: { type: 'number', description: '0 while unknown.' },
      bestBlock: { type: 'string', description: 'Empty while unknown.' },
      fsmState: { type: 'string', description: 'Empty while unknown.' },
      textPing: FLAG,
    }),
    peers: {
      type: 'array',
      items: object<Item<NodeStatusReport['peers']>>(
        {
          id: PEER,
          name: TEXT,
          height: NUMBER,
          banScore: NUMBER,
          inbound: FLAG,
          connectedAt: AT,
          messagesReceived: NUMBER,
          pingMs: NUMBER,
        },
        'pingMs',
      ),
    },
    kinds: {
      type: 'array',
      items: object<Item<NodeStatusReport['kinds']>>(
        {
          name: TEXT,
          colour: { type: 'object' },
          hash: TEXT,
          height: TEXT,
          text: TEXT,
          facts: { type: 'array', items: { type: 'object' } },
        },
        'colour',
        'hash',
        'height',
        'text',
        'facts',
      ),
    },
    sync: object<Member<'sync'>>({ id: PEER, name: TEXT, height: NUMBER, since: AT }),
    health: object<Member<'health'>>({
      status: HEALTH_STATUS,
      dependencies: {
        type: 'array',
        items: object<Item<Member<'health'>['dependencies']>>({ resource: TEXT, status: HEALTH_STATUS }),
      },
    }),
    counters: { type: 'object', additionalProperties: NUMBER },
    at: AT,
  },
  'sync',
);
