/** One key's text: environment before files, contexts before the plain key, `${other}` replaced. */

import type { ConfFile } from './conf-file.js';

/** A value's text and where it comes from. */
export interface Found {
  readonly text: string;
  /** `--set`, `environment`, or `<file>` with the full key where that has a context. */
  readonly source: string;
}

export interface LookupOptions {
  /** Key to value, from the command line; beats everything. */
  readonly sets: ReadonlyMap<string, string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `settings.conf`, then `settings_local.conf`: the later replaces identical full keys. */
  readonly files: readonly ConfFile[];
  /** As in `SETTINGS_CONTEXT`: `docker.m`. */
  readonly context: string;
}

/** References nest this deep at the most; deeper is a circle. */
const DEPTH_BOUND = 32;
/** References followed for one value at the most. */
const REFERENCES_BOUND = 10_000;
/** A value may not grow past this many characters by substitution. */
const LENGTH_BOUND = 65_536;

const REFERENCE = /\$\{(.*?)\}/g;

/** Thrown for references that go in a circle or grow without bound. */
class SubstitutionError extends Error {
  override readonly name = 'SubstitutionError';
}

export class Lookup {
  readonly #options: LookupOptions;
  /** Names that a reference named and nobody defines. */
  readonly unknownReferences = new Set<string>();
  #followed = 0;

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  /** The text of `key` with references replaced; an unknown reference stays as it is written. */
  find(key: string): Found | undefined {
    this.#followed = 0;
    return this.#find(key, []);
  }

  #find(key: string, via: readonly string[]): Found | undefined {
    const raw = this.#raw(key);
    return raw && { ...raw, text: this.#substitute(raw.text, [...via, key]) };
  }

  #raw(key: string): Found | undefined {
    const { sets, env } = this.#options;
    const set = sets.get(key);
    if (set !== undefined) return { text: set, source: '--set' };
    const inherited = Object.hasOwn(env, key) ? env[key] : undefined;
    if (inherited !== undefined) return { text: inherited, source: 'environment' };
    return this.#filed(key);
  }

  /** `key.docker.m`, `key.docker`, `key`: for each, the local file first. */
  #filed(key: string): Found | undefined {
    const { files, context } = this.#options;
    for (let name = `${key}.${context}`; ; name = name.slice(0, name.lastIndexOf('.'))) {
      for (const file of [...files].reverse()) {
        const text = file.lines.get(name);
        if (text !== undefined) return { text, source: name === key ? file.path : `${file.path} (${name})` };
      }
      if (!name.includes('.')) return undefined;
    }
  }

  #substitute(text: string, via: readonly string[]): string {
    if (!text.includes('${')) return text;
    if (via.length > DEPTH_BOUND) throw new SubstitutionError(`references nest too deep: ${via.join(' → ')}`);
    const replaced = text.replace(REFERENCE, (reference, name: string) => {
      if (via.includes(name)) {
        throw new SubstitutionError(`references go in a circle: ${[...via, name].join(' → ')}`);
      }
      if (++this.#followed > REFERENCES_BOUND) {
        throw new SubstitutionError(`more than ${REFERENCES_BOUND} references`);
      }
      const value = this.#find(name, via);
      if (value === undefined) this.unknownReferences.add(name);
      return value?.text ?? reference;
    });
    if (replaced.length > LENGTH_BOUND) {
      throw new SubstitutionError(`longer than ${LENGTH_BOUND} characters after substitution`);
    }
    return replaced;
  }
}
