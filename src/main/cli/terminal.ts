/** What commands print, and how: colour only where somebody looks. */

import { styleText } from 'node:util';
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

  line(text = ''): void {
    this.out.write(`${text}\n`);
  }

  /** One line of JSON, bigints as whole numbers. */
  json(value: unknown): void {
    this.line(stringify(value));
  }

  /** For a person beside the output, without secrets of URLs in it. */
  note(text: string): void {
    this.err.write(`${withoutSecrets(text)}\n`);
  }

  style(style: Style, text: string): string {
    return this.colour ? styleText(style, text) : text;
  }

  /** Columns as wide as their widest cell, the head in bold. */
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
    this.line(this.style('bold', format(head)));
    for (const row of clean) this.line(format(row));
  }
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
