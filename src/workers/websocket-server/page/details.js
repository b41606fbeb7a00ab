/** The dialog in which what is cut short on the page can be read in full, and copied. */

import { clean, element, parseExactly } from './text.js';

/** Characters of one value that are shown; copying takes all. */
const MOST_SHOWN = 4000;
const MOST_FIELDS = 200;

export class Details {
  #parts;
  #json = '';

  /** `parts`: the page's elements by their id. */
  constructor(parts) {
    this.#parts = parts;
    const { details, 'details-close': close, 'details-copy': copyAll } = parts;
    close.addEventListener('click', () => details.close());
    // What is beside the dialog is the dialog's own backdrop.
    details.addEventListener('click', (event) => {
      if (event.target === details) details.close();
    });
    copyAll.addEventListener('click', () => this.#copy(this.#json, 'all of it'));
  }

  /** `fields`: names and texts, in order; `json`: what is copied as a whole. */
  show({ title, about = '', fields, json }) {
    const { details, 'details-title': head, 'details-about': beside, 'details-fields': list } = this.#parts;
    head.textContent = clean(title);
    beside.textContent = about;
    this.#json = json;
    this.#say('');
    list.replaceChildren(...fields.slice(0, MOST_FIELDS).map(([name, text]) => this.#field(name, text)));
    if (!details.open) details.showModal();
    details.scrollTop = 0;
  }

  #field(name, text) {
    const field = element('div', 'field');
    const shown = clean(text.slice(0, MOST_SHOWN));
    const more = text.length > MOST_SHOWN ? ` … and ${text.length - MOST_SHOWN} more characters` : '';
    const value = element('dd');
    const button = element('button', 'copy', 'Copy');
    button.type = 'button';
    button.setAttribute('aria-label', `Copy ${clean(name)}`);
    button.addEventListener('click', () => this.#copy(text, clean(name)));
    value.append(element('span', 'value mono', `${shown}${more}`), button);
    field.append(element('dt', 'muted', clean(name)), value);
    return field;
  }

  async #copy(text, what) {
    const done = await copy(text, this.#parts.details);
    this.#say(done ? `Copied ${what}.` : 'This browser does not let a page copy: select the text instead.');
  }

  #say(text) {
    this.#parts['details-said'].textContent = text;
  }
}

/** Puts `text` on the clipboard; `within`: an element that may have the focus meanwhile. Resolves with whether it could be done. */
export async function copy(text, within = document.body) {
  try {
    // There only where the page came by HTTPS or from this machine.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement;
    const area = element('textarea', 'unseen');
    area.value = text;
    within.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    before?.focus();
    return done;
  }
}

/** Names and texts of all that `json` holds. */
export function fieldsOf(json) {
  const fields = [];
  const visit = (value, path) => {
    if (fields.length >= MOST_FIELDS) return;
    if (value !== null && typeof value === 'object') {
      for (const [name, member] of Object.entries(value))
        visit(member, path === '' ? name : `${path}.${name}`);
    } else {
      fields.push([path, String(value)]);
    }
  };
  visit(parseExactly(json), '');
  return fields;
}
