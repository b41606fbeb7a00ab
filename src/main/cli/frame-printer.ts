/** Which frames are shown, and how. */

import { InvalidArgumentError, Option } from 'commander';
import { FRAME_KINDS } from '../../shared/messages/index.js';
import { type FeedFrame, field, frameLine } from './frame-line.js';
import { printable, type Terminal } from './terminal.js';

/** What the feed says without being asked for anything, so that whoever hears nothing else knows that it lives. */
export const PING = 'PING';

/** What `--kind` takes. */
export const FEED_KINDS: readonly string[] = [...FRAME_KINDS.map(({ name }) => name), PING];
const KINDS_LISTED = `${FEED_KINDS.slice(0, -1).join(', ')} or ${FEED_KINDS.at(-1)}`;

/** Kinds of frames, separated by commas. */
function kindsArgument(text: string, before: readonly string[]): readonly string[] {
  const kinds = text.split(',').map((kind) => kind.trim());
  const stranger = kinds.find((kind) => !FEED_KINDS.includes(kind));
  if (stranger !== undefined) {
    throw new InvalidArgumentError(`No kind ${JSON.stringify(printable(stranger))}: ${KINDS_LISTED}.`);
  }
  return [...before, ...kinds];
}

/** Which frames are shown; none given: all but PING. */
export function kindOption(): Option {
  return new Option(
    '-k, --kind <kind>',
    `${KINDS_LISTED}; repeat or separate by commas (default: all but PING)`,
  )
    .argParser(kindsArgument)
    .default([]);
}

export interface Wanted {
  /** None: all but PING. */
  readonly kind: readonly string[];
  /** As they come. */
  readonly json: boolean;
  readonly count?: number;
}

/** Prints the frames that are wanted, and calls `done` after the last of them. */
export class FramePrinter {
  #left: number;

  constructor(
    private readonly wanted: Wanted,
    private readonly terminal: Terminal,
    private readonly done: () => void,
  ) {
    this.#left = wanted.count ?? Number.POSITIVE_INFINITY;
  }

  /** `json`: the frame as it came. */
  print(frame: FeedFrame, json: string): void {
    if (this.#left <= 0) return;
    const kind = field(frame, 'type');
    if (this.wanted.kind.length > 0 ? !this.wanted.kind.includes(kind) : kind === PING) return;
    // Not parsed and written anew: that would round 64-bit numbers.
    if (this.wanted.json) this.terminal.raw(json.replace(/[\r\n]+/g, ' '));
    else this.terminal.line(frameLine(frame, this.terminal));
    if (--this.#left <= 0) this.done();
  }
}
