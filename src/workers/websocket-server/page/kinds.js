/** How frames are shown, kind by kind: what the node says of it at /api/status. */

import { asText, bytes, clean, number } from './text.js';

/** Of a kind of which the node says nothing, or not yet. */
export const PLAIN = { colour: 'grey', hash: 'hash', height: 'height', text: 'base_url', facts: [] };

/** Of what is to be known of messages. */
export const NOTE = { ...PLAIN, colour: 'amber', text: 'text' };

/** The kinds of a report, in its order: name, and how they are shown. */
export function kindsOf(report) {
  return (report?.kinds ?? []).map(({ name, colour, ...shown }) => ({
    name,
    shown: { ...PLAIN, ...shown, colour: colour?.page ?? PLAIN.colour },
  }));
}

/** What of `message` stands in its row behind the hash. */
export function detailOf(message, { height, text, facts }) {
  return [{ field: height, as: 'number', before: 'height ' }, ...facts, { field: text }]
    .map(({ field, as, before = '', after = '' }) => {
      const written = write(message[field], as);
      return written === '' ? '' : `${before}${written}${after}`;
    })
    .filter(Boolean)
    .join(' · ');
}

/** Zero and what is no value of its sort are nothing. */
function write(value, as) {
  if (!value) return '';
  if (as === 'number') return number(value);
  if (as === 'bytes') return bytes(value);
  return clean(asText(value));
}
