/** The types of the feed's frames in TypeScript, from the tables that the frames are made of: a file of the consumers' library. */

import type { JsonSchema } from '../messages/frame-fields.js';
import {
  type DescribedField,
  type DescribedFrame,
  KIND_FRAMES,
  META_FIELDS,
  metaFieldsOf,
} from './frame-schemas.js';

const HEAD =
  "/** The feed's frames, by kind. Written by `npm run docs:settings` from the tables of which the server makes them. */\n";

/** `RejectedTxFrame` of `rejected_tx`. */
const nameOf = (kind: string): string =>
  `${kind.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())}Frame`;

function typeOf({ type, properties, const: value }: JsonSchema, indent: string): string {
  if (value !== undefined) return `'${value}'`;
  if (type === 'string') return 'string';
  if (type === 'integer' || type === 'number') return 'number';
  const members = Object.entries((properties ?? {}) as Readonly<Record<string, JsonSchema>>).map(
    ([name, member]) => `${indent}  readonly ${name}: ${typeOf(member, `${indent}  `)};\n`,
  );
  return `{\n${members.join('')}${indent}}`;
}

function memberOf({ name, schema, type, doc, leftOut }: DescribedField): string {
  const said = [
    doc,
    `${type.slice(0, 1).toUpperCase()}${type.slice(1)}.`,
    ...(leftOut === '' ? [] : [`Left out ${leftOut}.`]),
  ];
  return `  /** ${said.join(' ')} */\n  readonly ${name}${leftOut === '' ? '' : '?'}: ${typeOf(schema, '  ')};\n`;
}

const typed = (name: string, doc: string, fields: readonly DescribedField[]): string =>
  `/** ${doc} */\nexport interface ${name} {\n${fields.map(memberOf).join('')}}\n`;

/** A frame without what `meta` appends to each, but with what it appends to this kind. */
const frameType = ({ name, doc, fields }: DescribedFrame): string =>
  typed(nameOf(name), doc, [...fields, ...metaFieldsOf(name).slice(META_FIELDS.length)]);

/** The file. */
export function frameTypes(): string {
  const kinds = KIND_FRAMES.map(({ name }) => `  readonly ${name}: ${nameOf(name)};\n`).join('');
  return [
    HEAD,
    typed('Place', 'What the server tells of a frame besides: where it is in the history.', META_FIELDS),
    ...KIND_FRAMES.map(frameType),
    `/** The frames by the names of their kinds. */\nexport interface Frames {\n${kinds}}\n`,
  ].join('\n');
}
