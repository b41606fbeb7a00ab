/** HTTP answers in place of a WebSocket. */

import type { Ending, Problem } from './ending.js';
import type { Abortable } from './options.js';
import type { NodeResponse } from './web-socket.js';

/** Bytes of an answer that are read. */
const BODY_BYTES = 65_536;
const ANSWER_MS = 5000;
const PROBLEM_TYPE = 'application/problem+json';

/** What the answer that `ws` hands on says. */
export async function refusalOf(response: NodeResponse): Promise<Ending> {
  const body = await bodyOf(response);
  const header = (name: string) => String(response.headers[name] ?? '');
  return refused(response.statusCode ?? 0, header, body);
}

/**
 * Asks over HTTP why a WebSocket was not to be had at `url`, for those kinds of WebSocket that do not tell; undefined where that answers nothing either, or
 * a server that says no more than that it wants WebSockets. Never rejects.
 */
export async function askWhy(
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: Abortable | undefined,
): Promise<Ending | undefined> {
  const stop = new AbortController();
  const end = () => stop.abort();
  const timer = setTimeout(end, ANSWER_MS);
  signal?.addEventListener('abort', end);
  try {
    const answer = await fetch(url.replace(/^ws/, 'http'), { headers: { ...headers }, signal: stop.signal });
    const header = (name: string) => answer.headers.get(name) ?? '';
    const told =
      header('content-type').startsWith(PROBLEM_TYPE) || answer.status === 429 || answer.status === 503;
    return told ? refused(answer.status, header, await answer.text()) : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
    end();
  }
}

function refused(status: number, header: (name: string) => string, body: string): Ending {
  const problem = header('content-type').startsWith(PROBLEM_TYPE) ? problemIn(body) : undefined;
  const retryAfterMs = Number(header('retry-after')) * 1000;
  return {
    reason: 'refused',
    status,
    text: `refused with HTTP status ${status}${problem === undefined ? '' : `: ${problem.text}`}`,
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
    ...(problem === undefined ? {} : { problem }),
  };
}

function problemIn(body: string): Problem | undefined {
  try {
    const { type, title, status, code, detail, ...rest } = JSON.parse(body) as Record<string, unknown>;
    if (typeof code !== 'string') return undefined;
    return { code, text: String(detail ?? title ?? code), detail: rest };
  } catch {
    return undefined;
  }
}

function bodyOf(response: NodeResponse): Promise<string> {
  return new Promise((resolve) => {
    const decoder = new TextDecoder();
    let text = '';
    const timer = setTimeout(() => resolve(text), ANSWER_MS);
    const end = () => {
      clearTimeout(timer);
      resolve(text);
    };
    response.on('data', (chunk) => {
      if (text.length < BODY_BYTES) text += decoder.decode(chunk, { stream: true });
    });
    response.on('end', end);
    response.on('close', end);
    response.on('error', end);
  });
}
