/** Version and verack of mid 2025: joined and accepted, so that such nodes keep their mesh, and ignored. */

import type { MessageKind } from './kind.js';

export const handshake: MessageKind<null> = {
  id: 7,
  name: 'handshake',
  topicSetting: 'p2p_handshake_topic',
  sizeBound: 16 * 1024,
  wire: [],
  priority: 0,
  atHome: true,
  repeats: false,
  decode: () => null,
  originator: () => '',
  identity: () => ({ hash: '', url: '' }),
};
