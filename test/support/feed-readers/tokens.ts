/** Tokens of readers. What each allows changes from one edition of the server's file to the next, as an operator changes it while the server runs. */

import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import type { Start, Wish } from './wish.js';

/** What a token allows. */
interface Allowed {
  /** Names; undefined: all. */
  readonly kinds?: readonly string[];
  /** At once; undefined: any number. */
  readonly connections?: number;
  /** Whether it may have what was before it came. */
  readonly replay: boolean;
}

const EVERYTHING: Allowed = { replay: true };

export type TokenName =
  | 'everything'
  | 'single'
  | 'kinds'
  | 'live'
  | 'live-blocks'
  | 'even'
  | 'odd'
  | 'unknown';

/** By the token's name, what an edition's line says; undefined: there is none. */
const LINES: Readonly<Record<TokenName, (edition: number) => Allowed | undefined>> = {
  everything: () => EVERYTHING,
  single: () => ({ ...EVERYTHING, connections: 1 }),
  kinds: (edition) => ({
    ...EVERYTHING,
    kinds: edition % 2 === 0 ? ['block'] : ['subtree', 'node_status'],
  }),
  live: () => ({ replay: false }),
  'live-blocks': () => ({ replay: false, kinds: ['block'] }),
  even: (edition) => (edition % 2 === 0 ? EVERYTHING : undefined),
  odd: (edition) => (edition % 2 === 1 ? EVERYTHING : undefined),
  unknown: () => undefined,
};

const textOf = (name: string): string => `the-token-of-${name}`;

function lineOf(name: string, { kinds, connections, replay }: Allowed): string {
  const hash = createHash('sha256').update(textOf(name)).digest('hex');
  const limits = [
    ...(kinds === undefined ? [] : [`kinds=${kinds.join(',')}`]),
    ...(connections === undefined ? [] : [`connections=${connections}`]),
    ...(replay ? [] : ['replay=no']),
  ];
  return `${name}:${hash}:${limits.join(' ')}`;
}

/** The server's file, in which whoever brings none may have everything. */
export class TokenFile {
  /** That is in the file now: even for half of it, odd for the other. */
  edition = 0;
  /** That the present server began with. */
  began = 0;

  /** Writes the first edition. */
  constructor(private readonly path: string) {
    this.#write();
  }

  /** The next edition, which a server that runs is to notice. */
  rewrite(): void {
    this.edition++;
    this.#write();
  }

  /** No server runs, or one that has not read it yet. */
  rest(): void {
    this.began = this.edition;
  }

  #write(): void {
    const lines = (Object.keys(LINES) as TokenName[]).flatMap((name) => {
      const allowed = LINES[name](this.edition);
      return allowed === undefined ? [] : [lineOf(name, allowed)];
    });
    const beside = `${this.path}.new`;
    writeFileSync(beside, `# Edition ${this.edition}.\nanonymous:-:\n${lines.join('\n')}\n`);
    renameSync(beside, this.path);
  }
}

/** A reader's token, and how it is brought. */
export class Key {
  readonly text: string;

  constructor(
    readonly name: TokenName,
    readonly by: 'header' | 'parameter',
    readonly file: TokenFile,
  ) {
    this.text = textOf(name);
  }

  /** In an edition of the file; undefined: nothing. */
  allowed(edition: number): Allowed | undefined {
    return LINES[this.name](edition);
  }
}

/** Editions that may have counted over a connection: from that with which its server began to the newest. */
export const editionsOf = (began: number, newest: number): readonly number[] =>
  Array.from({ length: 1 + newest - began }, (_, index) => began + index);

/** What is to become of a request. */
export type Verdict =
  | {
      readonly type: 'refused';
      readonly status: number;
      readonly code: string;
      readonly kinds?: readonly string[];
    }
  /** `begins`: where it asks to begin; else with what comes. */
  | { readonly type: 'served'; readonly allowed: Allowed; readonly begins: boolean };

/** What an edition of the file makes of a reader who asks to begin at `start`; undefined: nowhere in particular. */
export function verdictOf(
  key: Key | undefined,
  edition: number,
  { medium, kinds: asked }: Pick<Wish, 'medium' | 'kinds'>,
  start: Start | undefined,
): Verdict {
  const allowed = key === undefined ? EVERYTHING : key.allowed(edition);
  if (allowed === undefined) return { type: 'refused', status: 401, code: 'token_unknown' };
  const { kinds, replay } = allowed;
  const inThePast = start !== undefined && start.type !== 'now';
  const isPassedOver = medium === 'sse' && start?.type === 'cursor';
  if (!replay && inThePast && !isPassedOver) return { type: 'refused', status: 403, code: 'not_allowed' };
  if (kinds !== undefined && asked?.some((kind) => !kinds.includes(kind)))
    return { type: 'refused', status: 403, code: 'not_allowed', kinds };
  return { type: 'served', allowed, begins: replay };
}

/** Kinds of frames that a reader is shown who may have these; undefined: all. */
export function kindsOf(
  { kinds }: Pick<Wish, 'kinds'>,
  allowed: Allowed | undefined,
): readonly string[] | undefined {
  return kinds ?? allowed?.kinds;
}
