/** How things are written on the page. What comes from the network is put there as text, never as markup. */

/** An element whose text is `text`. */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Text of others without what nobody sees, or what turns the direction of what follows. */
export const clean = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');

export const asText = (value) =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

/** What `json` holds; whole numbers of 64 bits, which JavaScript's numbers round, as bigints. */
export function parseExactly(json) {
  return JSON.parse(json, (_name, value, context) => {
    const rounded = typeof value === 'number' && !Number.isSafeInteger(value);
    return rounded && /^-?\d+$/.test(context?.source) ? BigInt(context.source) : value;
  });
}

const isNumber = (value) => typeof value === 'bigint' || Number.isFinite(value);
export const number = (value) => (isNumber(value) ? value.toLocaleString('en') : '');
/** Enough of a hash or peer ID to recognise it. */
export const short = (id) => clean(id.length > 20 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id);

export function bytes(count) {
  if (!isNumber(count)) return '';
  const size = Number(count);
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3));
  return `${(size / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** The two largest units of it. */
export function duration(seconds) {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first === -1) return '0s';
  return units
    .slice(first, first + 2)
    .map(([unit, size], index) => {
      const within = index === 0 ? seconds : seconds % units[first][1];
      return `${Math.floor(within / size)}${unit}`;
    })
    .join(' ');
}

/** A unix time in ms as others write it. */
export const timestamp = (at) => (Number.isFinite(at) ? new Date(at).toISOString() : asText(at));

/** Time of day of this machine, to the second. */
export const timeOfDay = (at) => at.toTimeString().slice(0, 8);
