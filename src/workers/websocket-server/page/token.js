/** The token that this tab gives for the feed. It is kept for the tab alone, and the address of the page never has it for longer than it takes to read it. */

/** A link may bring one: a fragment goes to no server. */
const FRAGMENT = /^#token=([^&]*)/;
/** By folder: a proxy may have several servers at one origin. */
const KEY = `token of ${new URL('.', location.href).pathname}`;

export class Token {
  /** Undefined: none. */
  value;

  constructor() {
    this.value = kept((storage) => storage.getItem(KEY)) ?? undefined;
  }

  keep(token) {
    this.value = token;
    kept((storage) => storage.setItem(KEY, token));
  }

  forget() {
    this.value = undefined;
    kept((storage) => storage.removeItem(KEY));
  }

  /** Takes what the page's address has, out of it. Returns whether that was a token. */
  takeFromAddress() {
    const [, written] = FRAGMENT.exec(location.hash) ?? [];
    if (written === undefined) return false;
    history.replaceState(history.state, '', location.pathname + location.search);
    const token = decoded(written).trim();
    if (token !== '') this.keep(token);
    return token !== '';
  }
}

/** A browser that keeps nothing for this page has it until the page is left. */
function kept(use) {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}

function decoded(written) {
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}
