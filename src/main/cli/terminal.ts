/** What commands print, and how: colour, and lines no wider than the window, only where somebody looks. */

import { stripVTControlCharacters, styleText } from 'node:util';
import { stringify } from '../../shared/messages/json.js';
import { withoutSecrets } from '../../shared/redaction.js';

type Style = Parameters<typeof styleText>[0];

/** Standard output of one run of the command line. */
export class Terminal {
  readonly colour: boolean;

  constructor(
    readonly out: NodeJS.WriteStream = process.stdout,
    readonly err: NodeJS.WriteStream = process.stderr,
    env: NodeJS.ProcessEnv = process.env,
  ) {
    this.colour = out.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  }

  /** For a person: broken between words where the window is narrower, from the second line on `hang` columns in; two unless told. */
  line(text = '', hang = 2): void {
    this.out.write(`${wrapped(text, widthOf(this.out), hang)}\n`);
  }

  /** For programs: as it is. */
  raw(text: string): void {
    this.out.write(`${text}\n`);
  }

  /** One line of JSON, bigints as whole numbers. */
  json(value: unknown): void {
    this.raw(stringify(value));
  }

  /** For a person beside the output, without secrets of URLs in it. */
  note(text: string): void {
    this.err.write(`${wrapped(withoutSecrets(text), widthOf(this.err))}\n`);
  }

  style(style: Style, text: string): string {
    return this.colour ? styleText(style, text) : text;
  }

  /** Columns as wide as their widest cell, the head in bold. Where the window is narrower than that: a cell a line. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const clean = rows.map((row) => row.map(printable));
    const widths = head.map((title, column) =>
      Math.max(title.length, ...clean.map((row) => (row[column] ?? '').length)),
    );
    const format = (row: readonly string[]) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd();
    const lines = [head, ...clean].map(format);
    if (lines.every((line) => line.length <= widthOf(this.out))) {
      this.raw(this.style('bold', lines[0] ?? ''));
      for (const line of lines.slice(1)) this.raw(line);
      return;
    }
    const titles = Math.max(...head.map(({ length }) => length));
    for (const [nth, row] of clean.entries()) {
      if (nth > 0) this.raw('');
      row.forEach((cell, column) => {
        const title = this.style('bold', (head[column] ?? '').padEnd(titles));
        if (cell !== '') this.line(`${title}  ${cell}`);
      });
    }
  }
}

/** Columns; without end where nobody looks. */
function widthOf({ isTTY, columns }: NodeJS.WriteStream): number {
  return isTTY === true && columns > 0 ? columns : Number.POSITIVE_INFINITY;
}

/** `text` with lines of `width` columns at the most, broken between words alone; a line that is indented goes on that much further in. */
function wrapped(text: string, width: number, hang = 2): string {
  return text
    .split('\n')
    .map((line) => wrappedLine(line, width, hang))
    .join('\n');
}

function wrappedLine(line: string, width: number, hang: number): string {
  const columns = (part: string): number => stripVTControlCharacters(part).length;
  if (columns(line) <= width) return line;
  const start = /^ */.exec(line)?.[0] ?? '';
  const indent = ' '.repeat(Math.min(start.length + hang, Math.floor(width / 3)));
  const lines: string[] = [];
  let current = start;
  for (const word of line.slice(start.length).match(/ *[^ ]+/g) ?? []) {
    if (current === start || columns(current + word) <= width) {
      current += word;
      continue;
    }
    lines.push(current);
    const alone = word.trimStart();
    current = columns(indent + alone) <= width ? indent + alone : alone;
  }
  return [...lines, current].join('\n');
}

/** Text of others without what could steer a terminal or turn its direction. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}

/** `0123456789…6789ab`: enough of a hash or peer ID to recognise it. */
export function short(text: string, head = 8, tail = 6): string {
  const clean = printable(text);
  return clean.length <= head + tail + 1 ? clean : `${clean.slice(0, head)}…${clean.slice(-tail)}`;
}

/** Bytes in the largest unit that keeps three digits. */
export function formatBytes(bytes: bigint | number): string {
  let amount = Number(bytes);
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (amount < 1024) return `${unit === 'B' ? amount : amount.toFixed(1)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TiB`;
}
