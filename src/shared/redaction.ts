/** Text for people's eyes without the secrets that URLs carry: passwords before the host, and values under names of secrets. */

export const REDACTED = '[secret]';

/** What a query parameter's name has in it when its value is a secret; those of Teranode's settings page, and `key` alone. */
const SECRET_NAME =
  /pass|pwd|secret|token|api[-_]?key|auth|credential|private[-_]?key|access[-_]?key|sas|signature|^key$/i;

/** From `://` to where a URL in a text must have ended, or another begins. In JSON, a quote within a string has a backslash. */
const AFTER_SCHEME = /:\/\/(?:(?!:\/\/)(?:\\[^\s]|[^\s"\\]))*/g;

/**
 * `text`, which may be anything that has URLs in it, with `[secret]` for the password in each, for every parameter whose name
 * looks like a secret's, and for a name without a password where the scheme is HTTP, as tokens are written. Rather hides too
 * much than too little of what is no well-formed URL, but a URL ends at a blank, a double quote or another `://`, and a parameter at `&`: what
 * of a secret is behind these, where nobody encoded them, shows; so does all of a password with one of the first three in it, and one
 * that begins as a port and a path do (`80/`). Takes time proportional to the text.
 */
export function withoutSecrets(text: string): string {
  if (!text.includes('://')) return text;
  return text.replace(AFTER_SCHEME, (rest: string, offset: number) => {
    const http = /(?:^|[^a-z0-9+.-])https?$/i.test(text.slice(Math.max(0, offset - 6), offset));
    return `://${withoutParameters(withoutPassword(rest.slice(3), http))}`;
  });
}

/** `text` with `[secret]` for each of `secrets` in it, which are not empty; where one is the beginning of another, for the longer. */
export function withoutThese(text: string, secrets: readonly string[]): string {
  if (secrets.length === 0) return text;
  const longestFirst = [...secrets].sort((one, other) => other.length - one.length);
  const any = longestFirst.map((secret) => secret.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|');
  return text.replace(new RegExp(any, 'g'), () => REDACTED);
}

/** `rest` begins with a URL's user information or host. */
function withoutPassword(rest: string, http: boolean): string {
  const end = rest.search(/[/?#]/);
  const authority = end === -1 ? rest : rest.slice(0, end);
  const colon = authority.indexOf(':');
  let at = authority.lastIndexOf('@');
  // A password that nobody encoded may hold what ends an authority; what follows a host's colon is a number.
  if (at === -1 && colon > 0 && !/^(?:\[|[^:]*:\d*$)/.test(authority)) at = rest.lastIndexOf('@');
  if (at === -1) return rest;
  if (colon !== -1 && colon < at) return `${rest.slice(0, colon)}:${REDACTED}${rest.slice(at)}`;
  return http ? `${REDACTED}${rest.slice(at)}` : rest;
}

function withoutParameters(url: string): string {
  const query = url.search(/[?#]/);
  if (query === -1) return url;
  const parameters = url.slice(query).split('&').map(withoutParameter);
  return `${url.slice(0, query)}${parameters.join('&')}`;
}

/** A secret's value goes on to the next `&`, whatever else might end it. */
function withoutParameter(parameter: string): string {
  let start = 0;
  for (const part of parameter.split(/(?<=[?;#])/)) {
    const equals = part.indexOf('=');
    if (equals !== -1 && SECRET_NAME.test(decoded(part.slice(0, equals)))) {
      return `${parameter.slice(0, start + equals + 1)}${REDACTED}`;
    }
    start += part.length;
  }
  return parameter;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
