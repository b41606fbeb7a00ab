/** How frames are written, one at a time. */

import type { Told } from '../../../shared/firehose/meta.js';
import { metaFrame } from '../../../shared/firehose/meta.js';
import { frameOf, type JournalledEntry } from '../../../shared/journal/entry.js';
import type { RenderingName } from '../metrics.js';

export interface Form {
  /** Of topics and metrics; no other form's. */
  readonly name: RenderingName;
  /** The message for `entry`, which has a frame; it must not be a view into it. `told` is asked only where it is needed. */
  render(entry: JournalledEntry, told: () => Told): Uint8Array;
}

export const PLAIN: Form = {
  name: 'plain',
  render: ({ bytes }) => new Uint8Array(frameOf(bytes)),
};

export const META: Form = {
  name: 'meta',
  render: (entry, told) => metaFrame(entry, told()),
};
