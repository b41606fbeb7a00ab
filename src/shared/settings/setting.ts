/** What one setting is: a row of the table, with how its text is read and what it must be. */

export type Generation = 'first' | 'current';

/** One value, or one for each generation. */
export type Default<T> = T | { readonly first: T; readonly current: T };

export interface SettingOptions<T> {
  /** Never printed, logged or shown. */
  readonly secret?: true;
  /** Empty is an error: always, or in the first generation alone. */
  readonly required?: 'always' | 'first';
  /** Other spellings that are accepted. */
  readonly aliases?: readonly string[];
  /** Another default where `SETTINGS_CONTEXT` is this or one below it: `docker.m.x` is below `docker.m`. */
  readonly contexts?: Readonly<Record<string, T>>;
}

/** A setting whose value is a `T`: plain data, which crosses threads. */
export interface Setting<T = unknown> extends SettingOptions<T> {
  readonly default: Default<T>;
  /** One line, for the documentation and for errors. */
  readonly doc: string;
  /** What its text must be, as the column of docs/settings.md says it. */
  readonly type: string;
  /** Its values, where only these are accepted. */
  readonly choices?: readonly string[];
  /** An empty text counts as if the setting were not set; else it is a value. */
  readonly emptyIsDefault: boolean;
  /** The value that `text` means. Throws ValueError, or any other error with one problem as its message. */
  parse(text: string): T;
  /** The value as it would stand in a file. */
  format(value: T): string;
}

/** The text is no value of its setting. Each problem goes on after the setting's key and a colon. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
  readonly problems: readonly string[];

  constructor(...problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/** Stands for the network's name in a default, as it would in a file. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a settings file.
export const NETWORK_REFERENCE = '${network}';
