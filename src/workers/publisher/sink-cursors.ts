/** Where in the journal each sink is: a cursor for each, those of sinks that no setting names any more included. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { UnavailableError } from '../../shared/errors.js';
import { Cursor, cursorNames } from '../../shared/journal/cursor.js';
import type { Journal } from '../../shared/journal/journal.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { SinkCursor } from '../../shared/sinks/drainer.js';

/** Below the cursors' directory. */
const DOUBTS = 'doubts';

/** One that may be damaged: then it says how, and stays as it is until it is moved. */
export type OpenCursor = SinkCursor & { readonly damaged: string | undefined };

export class SinkCursors {
  readonly #journal: Journal;
  readonly #logger: Logger;
  readonly #directory: string;
  readonly #open: Cursor[] = [];
  readonly #names = new Set<string>();
  /** Those that no setting names, and where they are. */
  readonly #strays = new Map<string, number>();

  constructor(
    { journal, logger }: { readonly journal: Journal; readonly logger: Logger },
    directory: string,
  ) {
    this.#journal = journal;
    this.#logger = logger;
    this.#directory = directory;
  }

  /** The place of a sink. A new one begins at now, and that is written down at once: what comes is owed from now on. */
  open(name: string): OpenCursor {
    const journal = this.#journal;
    this.#names.add(name);
    const cursor = Cursor.open({ directory: this.#directory, name });
    this.#open.push(cursor);
    const { found } = cursor;
    let position = typeof found === 'string' ? undefined : journal.resolve(found);
    const isNew = found === 'new' && !journal.cursors.includes(name);
    let damaged: string | undefined;
    // Nobody knows where a damaged one was: it stays as it is until somebody has decided, and what came before is not sent.
    let since: Cursor | undefined;
    if (position === undefined && !isNew) {
      const faults = { damaged: 'its cursor is damaged', new: 'its cursor is missing' };
      damaged = typeof found === 'string' ? faults[found] : 'its cursor is of another journal';
      since = this.#doubt(name);
      position = since.at?.position;
    } else {
      rmSync(join(this.#directory, DOUBTS, `${name}.cursor`), { force: true });
    }
    if (isNew) {
      cursor.reset({ epoch: journal.epoch, position: journal.end });
      if (journal.end > journal.oldest.position)
        this.#logger.warn(
          { cursor: name },
          'a sink has no place in the journal yet: what came before is not for it',
        );
    }
    position ??= journal.end;
    return {
      damaged,
      get position() {
        return position as number;
      },
      move: (to) => {
        const moved = { epoch: journal.epoch, position: to };
        if (since === undefined) cursor.move(moved);
        else {
          cursor.reset(moved);
          since.remove();
          since = undefined;
        }
        position = to;
      },
    };
  }

  /** Where the journal ended when the cursor `name` was first found damaged or missing: what came since is owed, however often there is a start before somebody decides. */
  #doubt(name: string): Cursor {
    const journal = this.#journal;
    const since = Cursor.open({ directory: join(this.#directory, DOUBTS), name });
    this.#open.push(since);
    const at = typeof since.found === 'string' ? undefined : journal.resolve(since.found);
    since.reset({ epoch: journal.epoch, position: at ?? journal.end });
    return since;
  }

  /** All sinks' are open: finds those of other sinks. `keptTo`: where what is kept for one elsewhere ends, which is at a position. */
  findStrays(keptTo: (name: string, position: number) => number): void {
    for (const name of new Set([...cursorNames(this.#directory), ...this.#journal.cursors])) {
      if (this.#names.has(name)) continue;
      const cursor = Cursor.open({ directory: this.#directory, name });
      cursor.close();
      const { found } = cursor;
      const at = typeof found === 'string' ? undefined : this.#journal.resolve(found);
      this.#strays.set(name, Math.max(at ?? this.#journal.end, keptTo(name, at ?? 0)));
      this.#logger.warn({ cursor: name }, 'no setting names a cursor');
    }
    this.#note();
  }

  #note(): void {
    this.#journal.noteCursors([...this.#names, ...this.#strays.keys()]);
  }

  /** Names of those that no setting names. */
  get strays(): readonly string[] {
    return [...this.#strays.keys()];
  }

  /** What strays need of the journal, from each of these positions on. Frames are owed to nobody. */
  get strayPositions(): readonly number[] {
    return [...this.#strays].filter(([name]) => !name.endsWith('.notifications')).map(([, at]) => at);
  }

  /** Drops one that no setting names. Throws UnavailableError where there is none such. */
  forget(name: string): void {
    if (!this.#strays.has(name)) throw new UnavailableError(`there is no cursor ${name} without a setting`);
    this.#strays.delete(name);
    // First: else it would be missed where its setting comes back.
    this.#note();
    Cursor.open({ directory: this.#directory, name }).remove();
    this.#logger.warn({ cursor: name }, 'a cursor is forgotten');
  }

  close(): void {
    for (const cursor of this.#open) cursor.close();
  }
}
