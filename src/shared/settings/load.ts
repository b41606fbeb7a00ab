/** Settings from the command line, the environment and the files, checked: all problems in one error. */

import { ConfigurationError, errorMessage } from '../errors.js';
import { checkSettings, isRequired, requiredProblem } from './checks.js';
import { type ConfFile, findConf } from './conf-file.js';
import { baseOf, contextWarnings, oddLineWarnings } from './conf-warnings.js';
import { defaultOf } from './defaults.js';
import { leftoverWarnings } from './generations.js';
import { type Found, Lookup } from './lookup.js';
import { nearestKey } from './nearest.js';
import { NOT_READ } from './not-read.js';
import { type Generation, type Setting, ValueError } from './setting.js';
import { ROWS, type SettingKey, type Settings } from './table.js';

export interface LoadOptions {
  /** Each `key=value`, from `--set`. */
  readonly sets?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the search for files goes on when nothing is above the program. */
  readonly cwd: string;
  /** Where the search for files begins. */
  readonly programDirectory: string;
}

/** Problems of settings, each line beginning with a key; `unread`: keys that have their defaults for want of a value. */
export type SettingsCheck = (
  settings: Settings,
  unread: ReadonlySet<string>,
  origin: SettingsOrigin,
) => readonly string[];

/** Under what the settings were looked up, besides their own values. */
export interface SettingsOrigin {
  /** `SETTINGS_CONTEXT`; undefined where there is none. */
  readonly context?: string;
  /** The settings files that were found; undefined where none was looked for. */
  readonly files?: readonly string[];
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** For the log: unknown keys, settings that are not followed, references to nothing. */
  readonly warnings: readonly string[];
  /** Where each value comes from: `default`, `environment`, `--set` or a file. */
  readonly sources: Readonly<Record<SettingKey, string>>;
  readonly origin: SettingsOrigin;
}

/** Every spelling that is known, to the key it means. */
const SPELLINGS: ReadonlyMap<string, SettingKey> = new Map(
  ROWS.flatMap(([key, { aliases = [] }]) => [key, ...aliases].map((spelling) => [spelling, key] as const)),
);

/**
 * Loads settings as gocore does: contexts from `SETTINGS_CONTEXT` (default `dev`), `${other}` replaced, environment
 * before files, `sets` before all; `check` says what their values must be beyond their types. Throws ConfigurationError with every problem, each naming its key; no message quotes
 * a secret.
 */
export function loadSettings(options: LoadOptions, check: SettingsCheck = checkSettings): LoadedSettings {
  const problems: string[] = [];
  const sets = parseSets(options.sets ?? [], problems);
  const files = readFiles(options, problems);
  const context = options.env.SETTINGS_CONTEXT || 'dev';
  const lookup = new Lookup({ sets, env: options.env, files, context });

  const generation = generationOf(lookup);
  const values: Record<string, unknown> = {};
  const standard = (setting: Setting): unknown =>
    // Read before any default that hangs on it: the table has it first.
    defaultOf(setting, {
      generation,
      context,
      ...(values.network === undefined ? {} : { network: values.network as Settings['network'] }),
    });
  const sources: Record<string, string> = {};
  for (const [key, setting] of ROWS) {
    try {
      const found = findSpelled(lookup, key, setting);
      const missing = (found?.text ?? setting.format(standard(setting))) === '';
      if (missing && isRequired(setting, generation)) throw new RangeError(requiredProblem(setting));
      const isDefault = found === undefined || (found.text === '' && setting.emptyIsDefault);
      values[key] = isDefault ? standard(setting) : setting.parse(found.text);
      sources[key] = isDefault ? 'default' : found.source;
    } catch (error) {
      const found = error instanceof ValueError ? error.problems : [errorMessage(error)];
      problems.push(...found.map((problem) => `${key}: ${problem}`));
      values[key] = standard(setting);
      sources[key] = 'default';
    }
  }

  const settings = values as unknown as Settings;
  const named = new Set(problems.map(keyOf));
  const origin: SettingsOrigin = {
    ...(options.env.SETTINGS_CONTEXT ? { context: options.env.SETTINGS_CONTEXT } : {}),
    files: files.map(({ path }) => path),
  };
  problems.push(...check(settings, named, origin).filter((line) => !named.has(keyOf(line))));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    settings: Object.freeze(settings),
    warnings: [
      ...oddLineWarnings(files, isOurs(files)),
      ...contextWarnings(files, options.env.SETTINGS_CONTEXT),
      ...unknownKeys(files, options.env),
      ...leftoverWarnings(settings),
      ...[...lookup.unknownReferences].map((name) => `\${${name}} is referred to and nowhere set`),
    ],
    sources: sources as Record<SettingKey, string>,
    origin,
  };
}

function keyOf(problem: string): string {
  return problem.split(':', 1)[0] ?? '';
}

/** The key itself first, then its other spellings. */
function findSpelled(lookup: Lookup, key: SettingKey, { aliases = [] }: Setting): Found | undefined {
  for (const spelling of [key, ...aliases]) {
    const found = lookup.find(spelling);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Known before the others, whose defaults hang on it; a bad one is reported in its turn. */
function generationOf(lookup: Lookup): Generation {
  try {
    return lookup.find('p2p_generation')?.text === 'first' ? 'first' : 'current';
  } catch {
    return 'current';
  }
}

function readFiles({ programDirectory, cwd }: LoadOptions, problems: string[]): readonly ConfFile[] {
  return ['settings.conf', 'settings_local.conf'].flatMap((name) => {
    try {
      return findConf(name, [programDirectory, cwd]) ?? [];
    } catch (error) {
      problems.push(`${name}: cannot be read: ${errorMessage(error)}`);
      return [];
    }
  });
}

function parseSets(sets: readonly string[], problems: string[]): ReadonlyMap<string, string> {
  const parsed = new Map<string, string>();
  for (const set of sets) {
    const equals = set.indexOf('=');
    const spelling = (equals === -1 ? set : set.slice(0, equals)).trim();
    const key = SPELLINGS.get(spelling);
    if (equals === -1) problems.push(`${spelling}: --set takes key=value`);
    else if (key === undefined) problems.push(`${spelling}: ${unknownSetting(spelling)}`);
    else parsed.set(key, set.slice(equals + 1).trim());
  }
  return parsed;
}

/** The key that a spelling means; undefined where there is none. */
export function settingKey(spelling: string): SettingKey | undefined {
  return SPELLINGS.get(spelling);
}

/** What to say of a key that there is none of. */
export function unknownSetting(key: string): string {
  const nearest = nearestKey(key, SPELLINGS.keys());
  // Farther away, it is another word.
  return nearest === undefined || nearest.distance > key.length / 3
    ? 'no such setting'
    : `no such setting; the nearest is ${JSON.stringify(nearest.key)}`;
}

/** Whether this server reads a key, or would if it were spelled right: itself or as part of another's value. */
function isOurs(files: readonly ConfFile[]): (key: string) => boolean {
  const referred = referredNames(files);
  return (key) => SPELLINGS.has(key) || key.startsWith('p2p_') || referred.has(key);
}

function referredNames(files: readonly ConfFile[]): ReadonlySet<string> {
  const values = files.flatMap(({ lines }) => [...lines.values()]);
  return new Set(values.flatMap((value) => [...value.matchAll(/\$\{(.*?)\}/g)].map(([, name = '']) => name)));
}

/**
 * Keys that were probably meant for this server: all that begin with `p2p_`, and whatever is almost one of ours. The
 * files are shared with Teranode's other services, whose keys are none of our business.
 */
function unknownKeys(files: readonly ConfFile[], env: LoadOptions['env']): readonly string[] {
  const referred = referredNames(files);
  const places = new Map<string, string>();
  for (const { path, lines } of files) {
    for (const full of lines.keys()) {
      const key = baseOf(full);
      if (!places.has(key)) places.set(key, path);
    }
  }
  for (const key of Object.keys(env)) if (key.startsWith('p2p_')) places.set(key, 'environment');

  const warnings: string[] = [];
  for (const [key, place] of places) {
    if (SPELLINGS.has(key) || NOT_READ.has(key) || referred.has(key)) continue;
    const nearest = nearestKey(key, SPELLINGS.keys());
    const close = nearest !== undefined && key.length >= 6 && nearest.distance <= 2;
    if (!key.startsWith('p2p_') && !close) continue;
    warnings.push(`${place}: ${key.slice(0, 128)}: ${unknownSetting(key)}`);
  }
  return warnings;
}
