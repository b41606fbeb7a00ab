/** Rows whose values are texts of one form: topics, URLs, paths, log levels. */

import type { GossipTopicSetting } from '../../messages/topic-setting.js';
import type { Default, Setting, SettingOptions } from '../setting.js';
import { oneOf, type TextOptions, text } from './basic.js';

/** Throws RangeError with `problem` on what does not match. */
const matching = (form: RegExp, problem: string) => (text: string) => {
  if (!form.test(text)) throw new RangeError(problem);
};

/** What a topic of gossip may be called. */
const topicName = matching(/^[\x21-\x7e]{1,128}$/, 'is not 1 to 128 printable ASCII characters');

/** A row for each setting that names a topic of gossip, under its key. */
export const gossipTopics = <K extends string>(
  settings: readonly GossipTopicSetting<K>[],
): { readonly [P in K]: Setting<string> } =>
  Object.fromEntries(settings.map((setting) => [setting.key, gossipTopic(setting)])) as {
    readonly [P in K]: Setting<string>;
  };

function gossipTopic({ default: value, doc, required }: GossipTopicSetting): Setting<string> {
  return {
    ...text(value, doc, required === undefined ? {} : { required }),
    parse(text) {
      if (text === '') throw new RangeError('must not be empty');
      topicName(text);
      return text;
    },
  };
}

/** What stands before the names of topics; empty: what the network has. */
export const topicPrefix = (doc: string, options: Pick<TextOptions, 'required'>): Setting<string> =>
  text('', doc, { ...options, check: topicName });

/** An http or https URL that peers are told; empty: none. */
export const publicUrl = (doc: string): Setting<string> => text('', doc, { check: checkPublicUrl });

function checkPublicUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new RangeError('is not an http or https URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw new RangeError('holds credentials, which peers would be told');
  }
}

const POSTGRES = /^postgres(?:ql)?:/i;

/** A store of Teranode's, by its URL; of those of Postgres, the URL is used. */
export const storeUrl = (doc: string, options: SettingOptions<string>): Setting<string> =>
  text('', doc, {
    ...options,
    check(text) {
      // Never the text itself: it holds a password.
      if (POSTGRES.test(text.trim()) && !URL.canParse(text.trim()))
        throw new RangeError('is not a URL postgres://user:password@host:port/database');
    },
  });

/** The URL of Postgres, where `store` is one. */
export function postgresUrl(store: string): string | undefined {
  const url = store.trim();
  return POSTGRES.test(url) ? url : undefined;
}

/** A path of HTTP; empty: none. */
export const httpPath = (value: string, doc: string): Setting<string> =>
  text(value, doc, { check: matching(/^\/[\w./-]*$/, 'is not a path such as /metrics') });

/** Values of `logLevel`, as pino names them. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** A log level, which Go spells in capitals. */
export const logLevel = (value: Default<string>, doc: string): Setting<string> => ({
  ...text(value, doc),
  parse: (text) => oneOf(LOG_LEVELS, text.toLowerCase()),
});
