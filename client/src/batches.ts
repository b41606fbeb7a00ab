/** Messages of several frames. */

import type { Message } from './connection.js';

/** Bytes of a message when it is unpacked; more is taken for an attack. The server's largest batch has a quarter of it. */
const UNPACKED_BYTES = 64 * 1024 * 1024;

/** The frames of a message: a line each, compressed where it is binary. Rejects where it is no gzip, or too large. */
export async function framesIn(message: Message): Promise<readonly string[]> {
  const text = typeof message === 'string' ? message : await unpacked(message);
  // A frame itself has no line break outside of its strings, and within them they are escaped.
  return text.includes('\n') ? text.split('\n') : [text];
}

async function unpacked(bytes: ArrayBuffer): Promise<string> {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > UNPACKED_BYTES) {
      await reader.cancel();
      throw new Error(`a message of more than ${UNPACKED_BYTES} bytes when unpacked`);
    }
    text += decoder.decode(value, { stream: true });
  }
}
