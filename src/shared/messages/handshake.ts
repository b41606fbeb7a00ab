/** Version and verack of mid 2025: joined and accepted, so that such nodes keep their mesh, and ignored. */

import type { MessageKind } from './kind.js';

export const handshake: MessageKind<null, 'p2p_handshake_topic'> = {
  id: 7,
  name: 'handshake',
  topic: {
    key: 'p2p_handshake_topic',
    default: 'handshake',
    doc: 'Topic of May to October 2025, accepted and ignored.',
  },
  sizeBound: 16 * 1024,
  wire: [],
  priority: 0,
  atHome: true,
  repeats: false,
  decode: () => null,
  originator: () => '',
  identity: () => ({ hash: '', url: '' }),
};
