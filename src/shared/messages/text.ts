/** Text that strangers wrote, made safe to show and to log. */

import { Refusal } from './refusal.js';

/** Characters of a client, miner or version name that are kept. */
const DISPLAY_TEXT_MAX = 64;
/** Characters of a rejection's reason that are kept. */
export const REASON_MAX = 1024;
const PEER_ID_MAX = 128;

// Printable ASCII without < > & " ' and the backtick: no control and no bidirectional characters.
const ALL_SHOWN = /^[ !#-%(-;=?-_a-~]*$/;
const SHOWN_RUNS = /[ !#-%(-;=?-_a-~]+/g;
const UNPRINTABLE = /[^!-~]/;
const HASH = /^[0-9a-fA-F]{64}$/;
const HEX = /^[0-9a-fA-F]*$/;

/** `text` without what is unsafe to show, cut to `max` characters. */
export function displayText(text: string, max: number = DISPLAY_TEXT_MAX): string {
  if (text.length <= max && ALL_SHOWN.test(text)) return text;
  let shown = '';
  for (const [run] of text.matchAll(SHOWN_RUNS)) {
    shown += run;
    if (shown.length >= max) return shown.slice(0, max);
  }
  return shown;
}

/** Characters of a name of ours that are told: longer ones would make messages that others do not take. */
const TOLD_NAME_MAX = 256;

/** A name as this node tells it, cut to 256 characters: who hears it shows 64 at the most. */
export function toldName(text: string): string {
  return text.slice(0, TOLD_NAME_MAX);
}

/** A required hash of 64 hex digits, in lower case. Throws Refusal `bad_field`. */
export function requiredHash(text: string, key: string): string {
  if (!HASH.test(text)) throw new Refusal('bad_field', `${key} is not 64 hex digits`);
  return text.toLowerCase();
}

/** As `requiredHash`, but empty stays empty. */
export function optionalHash(text: string, key: string): string {
  return text === '' ? '' : requiredHash(text, key);
}

/** A peer ID of at most 128 printable ASCII characters, empty allowed. Throws Refusal `bad_field`. */
export function peerIdText(text: string, key: string): string {
  if (text.length > PEER_ID_MAX || UNPRINTABLE.test(text)) {
    throw new Refusal('bad_field', `${key} is no peer ID`);
  }
  return text;
}

/** `text` in lower case where it is hex of at most `max` digits, else empty. */
export function hexOrEmpty(text: string, max: number): string {
  return text.length <= max && HEX.test(text) ? text.toLowerCase() : '';
}
