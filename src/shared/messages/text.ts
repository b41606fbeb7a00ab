/** Text that strangers wrote, made safe to show and to log. */

import { Refusal } from './refusal.js';

/** Characters of a client, miner or version name that are kept. */
const DISPLAY_TEXT_MAX = 64;
/** Characters of a rejection's reason that are kept. */
export const REASON_MAX = 1024;
const PEER_ID_MAX = 128;

// Everything but printable ASCII, and of that < > & " ' and the backtick. Control and bidirectional characters are in it.
const UNSHOWN = /[^ !#-%(-;=?-_a-~]/g;
const ANY_UNSHOWN = /[^ !#-%(-;=?-_a-~]/;
const UNPRINTABLE = /[^!-~]/;
const HASH = /^[0-9a-fA-F]{64}$/;
const HEX = /^[0-9a-fA-F]*$/;

/** `text` without what is unsafe to show, cut to `max` characters. */
export function displayText(text: string, max: number = DISPLAY_TEXT_MAX): string {
  const shown = ANY_UNSHOWN.test(text) ? text.replace(UNSHOWN, '') : text;
  return shown.length > max ? shown.slice(0, max) : shown;
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
