/** The known key that a mistyped one most likely means. */

/** Edits (insert, delete, replace) from `a` to `b`, without regard to case. */
export function editDistance(a: string, b: string): number {
  const [from, to] = [a.toLowerCase(), b.toLowerCase()];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** The key of `known` with the fewest edits, and how many. Keys past 128 characters are near nothing. */
export function nearestKey(
  key: string,
  known: Iterable<string>,
): { readonly key: string; readonly distance: number } | undefined {
  if (key.length > 128) return undefined;
  let nearest: { key: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(key, candidate);
    if (nearest === undefined || distance < nearest.distance) nearest = { key: candidate, distance };
  }
  return nearest;
}
