/** What stands between this page and the feed, or part of it: a token that is wanted, wrong, in use or limited. Here one is given, and forgotten again. */

import { clean } from './text.js';

/** What the server says of tokens, by its codes: for the pill, and for who has given one and who has not. */
const WANTS = {
  token_missing: {
    word: 'token wanted',
    without: 'This node gives its feed to those who have a token: give yours.',
  },
  token_unknown: {
    word: 'token refused',
    given: 'The node does not know this token, or no longer. Give another, or ask whoever runs the node.',
  },
  bad_parameter: {
    word: 'token refused',
    given: 'This is no token: one has letters, digits and . _ ~ + / = - alone, 256 of them at the most.',
  },
  token_in_use: {
    given:
      'The token is in use as often as it may be. Close another page or program that has it: it is tried again.',
    without:
      'As many have the feed without a token as may. It is tried again; with a token you need not wait.',
  },
};
/** Those that a field for the token answers. */
const WRONG = ['token_unknown', 'bad_parameter'];

/** What of a refusal, or of a failure, is about the token: its code; undefined where nothing is. */
export function tokenProblem({ code, parameter } = {}) {
  if (code === 'bad_parameter' && parameter !== 'token') return undefined;
  return Object.hasOwn(WANTS, code ?? '') ? code : undefined;
}

/** What the pill says of it; undefined where it goes on by itself. */
export const tokenWord = (problem) => WANTS[problem]?.word;

export class Access {
  #parts;
  #token;
  /** Whether the field is there. */
  #asks = false;
  /** Somebody has just given one: what becomes of it is said where they are. */
  #tried = false;

  /** `parts`: the page's elements by their id; `changed`: called when there is another token, or none. */
  constructor(parts, token, changed) {
    this.#parts = parts;
    this.#token = token;
    const { 'token-form': form, token: field, 'token-forget': forget } = parts;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const given = field.value.trim();
      if (given === '') return;
      token.keep(given);
      this.#tried = true;
      changed();
    });
    forget.addEventListener('click', () => {
      token.forget();
      this.#ask(true);
      field.focus();
      changed();
    });
  }

  /** `connection`: how it stands with the feed; `kinds`: all that the node has, by name, none while it is not known. */
  show({ live, asking, problem, kinds: allowed }, kinds) {
    const { access, 'access-text': text, token: field, 'token-forget': forget } = this.#parts;
    const given = this.#token.value !== undefined;
    const leftOut = allowed === undefined ? [] : kinds.filter((kind) => !allowed.includes(kind));
    const limited = live && allowed !== undefined && (kinds.length === 0 || leftOut.length > 0);
    const wrong = WRONG.includes(problem);
    if (wrong || (!given && (problem !== undefined || limited))) this.#ask(true);
    else if (live && given) this.#ask(false);
    field.setAttribute('aria-invalid', String(wrong));
    const said = () => {
      if (asking) return given ? 'Trying the token …' : 'Trying without a token …';
      if (problem !== undefined) return WANTS[problem][given ? 'given' : 'without'] ?? '';
      // What was said last holds until there is more to say.
      if (!live) return text.textContent;
      const who = given ? 'This token allows' : 'Without a token there is';
      if (limited) return `${who} ${listed(allowed)} alone${but(leftOut)}.`;
      return given ? 'This tab has the feed by a token.' : 'The feed is had without a token.';
    };
    const sentence = said();
    // Set only when it differs: it is read out.
    if (text.textContent !== sentence) text.textContent = sentence;
    forget.hidden = !given;
    access.hidden = !given && !this.#asks;
    if (asking || !this.#tried) return;
    this.#tried = false;
    if (!wrong) return;
    field.focus();
    field.select();
  }

  #ask(asks) {
    if (asks === this.#asks) return;
    this.#asks = asks;
    const { 'token-form': form, token: field, 'access-text': text } = this.#parts;
    // Not on to the next button: Enter pressed twice would forget what was just given.
    if (form.contains(document.activeElement)) text.focus();
    form.hidden = !asks;
    field.value = '';
  }
}

const LIST = new Intl.ListFormat('en');
const listed = (names) => LIST.format(names.map(clean));

function but(leftOut) {
  return leftOut.length === 0 ? '' : `: ${listed(leftOut)} ${leftOut.length === 1 ? 'is' : 'are'} left out`;
}
