/** The tables of `docs/feed.md`, from those that the code reads. */

import { CLOSE_CODES } from './closings.js';
import { LIMIT_FIELDS } from './control-fields.js';
import { INFO_CODES } from './control-frames.js';
import {
  CONTROL_FRAMES,
  type DescribedField,
  type DescribedFrame,
  exampleOf,
  HEADER_FIELDS,
  KIND_FRAMES,
  META_FIELDS,
  PING_FRAME,
} from './frame-schemas.js';
import { PARAMETERS } from './parameters.js';
import { PATHS } from './paths.js';
import { PROBLEMS } from './problems.js';
import type { FeedEndpoint } from './request.js';
import { SEGMENT_FIELDS } from './segment-fields.js';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const fieldTable = (fields: readonly Pick<DescribedField, 'name' | 'type' | 'doc' | 'leftOut'>[]): string =>
  table(
    ['field', 'type', 'left out', 'what it says'],
    fields.map(({ name, type, leftOut, doc }) => [
      `\`${name}\``,
      type,
      leftOut === '' ? 'never' : leftOut,
      doc,
    ]),
  );

function frame(described: DescribedFrame): string {
  const { name, doc, fields } = described;
  return `### \`${name}\`\n\n${doc}\n\n${fieldTable(fields)}\n\n\`\`\`json\n${JSON.stringify(exampleOf(described))}\n\`\`\``;
}

const endpoints = (of: readonly FeedEndpoint[]): string => of.map((each) => `\`${PATHS[each]}\``).join(', ');

/** Each by the name that it has in the page. */
const TABLES: Readonly<Record<string, () => string>> = {
  parameters: () =>
    table(
      ['parameter', 'must be', 'of', 'meaning', 'example'],
      PARAMETERS.map(({ name, expects, endpoints: of, doc, example }) => [
        `\`${name}\``,
        expects,
        endpoints(of),
        doc,
        `\`${name}=${example}\``,
      ]),
    ),
  frames: () => [...KIND_FRAMES, PING_FRAME].map(frame).join('\n\n'),
  meta: () => fieldTable([...META_FIELDS, ...HEADER_FIELDS]),
  segments: () =>
    fieldTable(Object.entries(SEGMENT_FIELDS).map(([name, field]) => ({ leftOut: '', ...field, name }))),
  'control frames': () => CONTROL_FRAMES.map(frame).join('\n\n'),
  limits: () =>
    table(
      ['member', 'left out', 'what it says'],
      Object.entries(LIMIT_FIELDS).map(([name, { leftOut = 'never', doc }]) => [`\`${name}\``, leftOut, doc]),
    ),
  'info codes': () =>
    table(
      ['`code`', 'what it says'],
      Object.entries(INFO_CODES).map(([code, text]) => [`\`${code}\``, text]),
    ),
  problems: () =>
    table(
      ['`code`', 'HTTP status', 'close code', 'what it means', 'what a client does'],
      Object.entries(PROBLEMS).map(([code, { status, close, text, remedy }]) => [
        `\`${code}\``,
        status === 0 ? '' : String(status),
        close === 0 ? '' : String(close),
        text,
        remedy,
      ]),
    ),
  'close codes': () =>
    table(
      ['code', 'when', '`error` frame before it', 'what a client does'],
      CLOSE_CODES.map(({ code, text, error, remedy }) => [String(code), text, error, remedy]),
    ),
};

/** `page`, `docs/feed.md`, with the tables as they are now. Throws where it has no place for one. */
export function withFeedTables(page: string): string {
  return Object.entries(TABLES).reduce((text, [name, made]) => {
    const begin = `<!-- ${name} -->\n`;
    const end = `<!-- end of ${name} -->`;
    const from = text.indexOf(begin);
    const to = text.indexOf(end, from);
    if (from === -1 || to === -1) throw new Error(`the page has no place for the table of ${name}`);
    return `${text.slice(0, from)}${begin}${made()}\n${text.slice(to)}`;
  }, page);
}
