/**
 * What stands on the wire of server-sent events (the HTML standard, section 9.2): fields a line each, an empty line behind an event. JSON of one line needs no
 * escaping.
 */

import { type ControlFrame, encodeControl } from '../../../shared/firehose/control-frames.js';
import { metaFrame } from '../../../shared/firehose/meta.js';
import { kindOf } from '../../../shared/journal/entry.js';
import { byId } from '../../../shared/messages/ids.js';
import { FRAME_KINDS } from '../../../shared/messages/index.js';
import type { Form } from '../feed/form.js';

export const EVENT_STREAM = 'text/event-stream';

/** Keeps a connection that has nothing to tell. */
export const COMMENT = Buffer.from(':\n\n');

const MESSAGE = 'message';
const END = Buffer.from('\n\n');

const KINDS = byId(FRAME_KINDS);

/** An event; `id` is what an EventSource comes back with, left out where it is to keep the one it has. */
function event(name: string, id: string | undefined, data: Uint8Array): Buffer {
  const head = Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: `);
  return Buffer.concat([head, data, END], head.length + data.length + END.length);
}

const form = (name: Form['name'], nameOf: (entry: Uint8Array) => string): Form => ({
  name,
  render(entry, told) {
    const where = told();
    return event(nameOf(entry.bytes), where.cursor, metaFrame(entry, where));
  },
});

/** Each frame is an event called by its kind. */
export const NAMED = form('sse', (entry) => KINDS[kindOf(entry)]?.name ?? MESSAGE);

/** Each frame is an event called `message`, which EventSource's `onmessage` hears. */
export const UNNAMED = form('sse_message', () => MESSAGE);

/** The event of a control frame, called by its type or, where all are called so, `message`. */
export function controlEvent(frame: ControlFrame, { form }: { readonly form: Form }): Buffer {
  const { type, cursor } = frame as { type: string; cursor?: string };
  return event(form === UNNAMED ? MESSAGE : type, cursor, Buffer.from(encodeControl(frame)));
}

/** After how many milliseconds an EventSource comes again. */
export const retryField = (ms: number): Buffer => Buffer.from(`retry: ${Math.round(ms)}\n\n`);
