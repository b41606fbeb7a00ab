/** What main knows of an author when it hands a message over. Standings cross threads as their index. */

/**
 * `connected` now; `reputed`: services around the node have reported that dealing with it went well; `configured`: a static,
 * bootstrap or relay peer. Everybody else is a `stranger`: identities cost nothing.
 */
const STANDINGS = ['stranger', 'connected', 'reputed', 'configured'] as const;

export type AuthorStanding = (typeof STANDINGS)[number];

const INDEX = new Map<AuthorStanding, number>(STANDINGS.map((standing, index) => [standing, index]));

/** 0 to 3. */
export function standingIndex(standing: AuthorStanding): number {
  return INDEX.get(standing) as number;
}

/** The standing at `index`. Throws RangeError where there is none. */
export function standingAt(index: number): AuthorStanding {
  const standing = STANDINGS[index];
  if (standing === undefined) throw new RangeError(`no standing ${index}`);
  return standing;
}
