/** Why a transaction was rejected, as error codes alone: the text is partly whoever's who made the transaction. */

/** Codes of one error that are told. */
const MAX_CODES = 4;
/** What a rejection is where its text has no code. */
const NO_CODE = 'TX_INVALID';
/** Between an error and the one that it wraps. */
const LINK = ' -> ';
/** An error as Teranode writes it: its code's name and number, and what it says. */
const CODED = /^([A-Z][A-Z0-9_]{1,63}) \(\d{1,5}\): (.*)$/s;
/** Bitcoin's own words for it, which are nobody's text: the whole of what an error says. */
const STANDARD = /^bad-[a-z]+(?:-[a-z]+){1,8}$/;
/** What a validator that tells codes writes itself. The first has two words, as `TX_INVALID`: one alone may be anything, such as `EOF`. */
const ONLY_CODES = /^(?=[A-Z0-9]+_)[A-Z][A-Z0-9_]{1,63}(?:\/[A-Z][A-Z0-9_]{1,63}){0,3}(?:: [ -~]{1,64})?$/;

/**
 * The codes in `reason`, the outermost first and each once, as `TX_INVALID/TX_POLICY`; after them the innermost standard word, as `TX_INVALID:
 * bad-txns-in-belowout`. What is codes already stays as it is.
 */
export function rejectionCodes(reason: string): string {
  if (ONLY_CODES.test(reason)) return reason;
  const codes = new Set<string>();
  let standard = '';
  for (const link of reason.split(LINK)) {
    const [, code, says = ''] = CODED.exec(link) ?? [];
    if (code === undefined) continue;
    if (codes.size < MAX_CODES) codes.add(code);
    if (STANDARD.test(says)) standard = says;
  }
  const told = codes.size === 0 ? NO_CODE : [...codes].join('/');
  return standard === '' ? told : `${told}: ${standard}`;
}
