/** How things are written on the page. What comes from the network is put there as text, never as markup. */

/** An element whose text is `text`. */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export const asText = (value) =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';
export const number = (value) => (Number.isFinite(value) ? Number(value).toLocaleString('en') : '');
export const short = (id) => (id.length > 20 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id);

export function bytes(size) {
  if (!Number.isFinite(size)) return '';
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

/** Time of day of this machine, to the second. */
export const timeOfDay = (at) => at.toTimeString().slice(0, 8);
