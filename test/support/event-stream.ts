/** A client of server-sent events, after the HTML standard (section 9.2), on Node's fetch. */

import type { TestContext } from 'node:test';
import { waitFor } from './wait.js';

export interface ServerSentEvent {
  readonly event: string;
  /** Last event ID when it was dispatched. */
  readonly id: string;
  readonly data: string;
}

/** What stands on the wire, line by line. */
export class EventParser {
  readonly events: ServerSentEvent[] = [];
  lastEventId = '';
  comments = 0;
  /** Reconnection times told, milliseconds. */
  readonly retries: number[] = [];
  #rest = '';
  #event = '';
  #data: string[] = [];

  take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line.replace(/\r$/, ''));
  }

  #line(line: string): void {
    if (line === '') {
      if (this.#data.length > 0)
        this.events.push({
          event: this.#event || 'message',
          id: this.lastEventId,
          data: this.#data.join('\n'),
        });
      this.#event = '';
      this.#data = [];
      return;
    }
    if (line.startsWith(':')) {
      this.comments++;
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id') this.lastEventId = value;
    else if (field === 'retry') this.retries.push(Number(value));
    else throw new Error(`no field of an event stream: ${line}`);
  }
}

export interface EventStreamClient {
  readonly response: Response;
  readonly parser: EventParser;
  /** Announcements: what is no control frame. */
  readonly frames: () => Record<string, unknown>[];
  /** Heights of the blocks heard. */
  readonly heights: () => number[];
  /** Data of the events called so. */
  readonly called: (name: string) => Record<string, unknown>[];
  ended: boolean;
  /** It broke off, without the end that the transfer's form has. */
  broken: boolean;
  close(): void;
}

const CONTROL = new Set(['hello', 'info', 'cursor', 'error']);

/** Opens a stream and keeps what it says, closed when the test ends. Resolves with the answer's head. */
export async function openEvents(
  context: Pick<TestContext, 'after'>,
  url: string,
  headers: Record<string, string> = {},
): Promise<EventStreamClient> {
  const abort = new AbortController();
  context.after(() => abort.abort());
  const response = await fetch(url, { headers, signal: abort.signal });
  const parser = new EventParser();
  const json = () => parser.events.map(({ data }) => JSON.parse(data) as Record<string, unknown>);
  const frames = () => json().filter(({ type }) => !CONTROL.has(String(type)));
  const client: EventStreamClient = {
    response,
    parser,
    frames,
    heights: () =>
      frames()
        .filter(({ type }) => type === 'block')
        .map(({ height }) => Number(height)),
    called: (name) => json().filter((_, index) => parser.events[index]?.event === name),
    ended: false,
    broken: false,
    close: () => abort.abort(),
  };
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? [])
      parser.take(decoder.decode(chunk as Uint8Array, { stream: true }));
  };
  read()
    .catch(() => {
      client.broken = true;
    })
    .finally(() => {
      client.ended = true;
    });
  return client;
}

/** The same, with its `hello`. */
export async function listenToEvents(
  context: Pick<TestContext, 'after'>,
  url: string,
  headers: Record<string, string> = {},
): Promise<EventStreamClient> {
  const client = await openEvents(context, url, headers);
  await waitFor(() => client.parser.events.length > 0 || client.ended, { what: 'the first event' });
  return client;
}
