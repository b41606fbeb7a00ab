/**
 * Everything that a node sends of its feed, in every form, as somebody has it who knows the node's documents alone: WebSockets, event streams, pages and
 * segments, and what is said to who asks for something that is not there.
 */

import { createHash } from 'node:crypto';
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { WebSocket } from 'ws';
import { FRAME_KINDS } from '../../src/shared/messages/index.js';
import { EventParser } from './event-stream.js';
import { type FrameForm, FrameLedger } from './frame-ledger.js';
import { type FrameValidator, frameValidator } from './frame-validator.js';
import { OTHER_PEER } from './sample-messages.js';
import { waitFor, within } from './wait.js';

const KINDS = FRAME_KINDS.map(({ name }) => name);
const PLACED = KINDS.map((name) => `${name}_meta`);
const CONTROLS = ['hello', 'info', 'cursor', 'error'];

const among =
  (...messages: readonly string[]) =>
  (message: string): boolean =>
    messages.includes(message);

const plain = among(...KINDS, 'PING');
const placed = among(...PLACED, ...CONTROLS);

interface Stream extends FrameForm {
  readonly path: string;
  /** Messages that come of themselves. */
  readonly must: readonly string[];
}

/** What follows the feed for as long as the test lasts. `miner`: a peer that says something of every kind. */
function streamsOf(miner: string): readonly Stream[] {
  const past = [...PLACED, 'hello', 'info gap', 'info epoch'];
  return [
    { name: 'plain', path: '/p2p-ws', may: plain, must: [...KINDS, 'PING'] },
    {
      name: 'plain, two kinds',
      path: '/p2p-ws?kinds=block,mining_on',
      may: among('block', 'mining_on'),
      must: ['block', 'mining_on'],
    },
    { name: 'plain batches', path: '/p2p-ws?batch=100', may: among(...KINDS), must: KINDS },
    {
      name: 'plain batches, gzip',
      path: '/p2p-ws?batch=1000&encoding=gzip',
      may: among(...KINDS),
      must: KINDS,
    },
    { name: 'meta', path: '/p2p-ws?meta=true', may: placed, must: [...PLACED, 'hello'] },
    { name: 'meta from the oldest', path: '/p2p-ws?cursor=oldest', may: placed, must: past },
    { name: 'meta, one peer', path: `/p2p-ws?meta=true&peers=${miner}`, may: placed, must: PLACED },
    {
      name: 'meta, a peer that is silent',
      path: `/p2p-ws?meta=true&peers=${OTHER_PEER}`,
      may: among('hello', 'cursor'),
      must: ['hello', 'cursor'],
    },
    { name: 'meta batches', path: '/p2p-ws?batch=250&cursor=oldest', may: placed, must: past },
    {
      name: 'meta batches, gzip',
      path: '/p2p-ws?batch=50&encoding=gzip&cursor=oldest',
      may: placed,
      must: past,
    },
    { name: 'event stream', path: '/events?cursor=oldest', may: placed, must: past },
    { name: 'event stream, one name', path: '/events?event=message', may: placed, must: PLACED },
    {
      name: 'event stream, a peer that is silent',
      path: `/events?peers=${OTHER_PEER}`,
      may: among('hello', 'cursor'),
      must: ['hello', 'cursor'],
    },
  ];
}

const STATUS: FrameForm = { name: 'the node in hello', may: among('node_status') };
const PAGES: FrameForm = { name: 'pages', may: among(...PLACED, 'info') };
const PAGES_BACK: FrameForm = { name: 'pages, newest first', may: among(...PLACED, 'info') };
const LEFT: FrameForm = { name: 'segments that the run before left', may: among(...PLACED) };
const SEALED: FrameForm = { name: 'segments of this run', may: among(...PLACED) };
const ASKED: FrameForm = { name: 'to who asks for what is not there', may: placed };

/** Asked by a page, whom an `error` frame tells. */
const WRONG: readonly (readonly [query: string, code: string])[] = [
  ['kinds=nonsense', 'unknown_kind'],
  ['nonsense=1', 'unknown_parameter'],
  ['batch=7', 'bad_parameter'],
];

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function read(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

/** The answer as it came: nothing of it is unpacked. */
function ask(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const answer = new Promise<Answer>((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => read(response).then(resolve, reject)).on(
      'error',
      reject,
    );
  });
  return within(answer, 60_000, `the answer of ${url}`);
}

interface SegmentListed {
  readonly first: number;
  readonly epoch: string;
  readonly frames: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly plain_bytes: number;
  readonly plain_sha256: string;
  readonly url: string;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** Schemas of the OpenAPI document; a member that they do not tell of is a fault too, though readers are to take it. */
function schemaValidator(document: object): (name: string, value: unknown) => string | undefined {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, 'document');
  return (name, value) => {
    const validate =
      ajv.getSchema(name) ??
      ajv
        .addSchema({ $ref: `document#/components/schemas/${name}`, unevaluatedProperties: false }, name)
        .getSchema(name);
    if (validate?.(value) === true) return undefined;
    return ajv.errorsText(validate?.errors);
  };
}

interface WatchedNode {
  readonly name: string;
  readonly http: number;
  readonly peerId: string;
}

export class FeedWatch {
  readonly ledger = new FrameLedger();
  readonly #node: WatchedNode;
  readonly #streams: readonly Stream[];
  readonly #validate: FrameValidator;
  readonly #holds: (name: string, value: unknown) => string | undefined;
  /** Segments that were read, by their first positions. */
  readonly #segments = new Set<number>();
  /** Behind the last frame of the pages. */
  #next = '';
  /** Of the frames that the node has now. */
  #epoch = '';
  /** Of the first frame heard live, and the newest. */
  #first = '';
  #newest = '';
  #over = false;

  private constructor(
    node: WatchedNode,
    { miner, asyncApi, openApi }: { miner: string; asyncApi: object; openApi: object },
  ) {
    this.#node = node;
    this.#streams = streamsOf(miner);
    this.#validate = frameValidator(asyncApi);
    this.#holds = schemaValidator(openApi);
  }

  /** Reads the documents that the node serves, and follows its feed in every form until the test ends. Waits until the node has heard of its frames. */
  static async open(
    context: Pick<TestContext, 'after'>,
    node: WatchedNode,
    miner: string,
  ): Promise<FeedWatch> {
    const document = async (name: string): Promise<object> => {
      const { status, body } = await ask(`http://127.0.0.1:${node.http}/api/v1/${name}.json`);
      if (status !== 200) throw new Error(`${node.name} answers ${status} for ${name}.json: ${body}`);
      return JSON.parse(body.toString());
    };
    const page = `http://127.0.0.1:${node.http}/api/v1/events?limit=1`;
    await waitFor(async () => (await ask(page)).status === 200, {
      what: `pages of ${node.name}`,
      timeoutMs: 60_000,
    });
    const [asyncApi, openApi] = await Promise.all([document('asyncapi'), document('openapi')]);
    const watch = new FeedWatch(node, { miner, asyncApi, openApi });
    context.after(() => {
      watch.#over = true;
    });
    for (const stream of watch.#streams) {
      if (stream.path.startsWith('/events')) watch.#followEvents(context, stream);
      else watch.#followSocket(context, stream);
    }
    return watch;
  }

  /** A cursor of this node. */
  get newest(): string {
    return this.#newest;
  }

  /** Reads what there is by now of pages and of segments, and asks for what is not there. `stranger`: a cursor of another node. */
  async round(stranger: string): Promise<void> {
    await this.#readPages();
    await this.#readPagesBack();
    await this.#readSegments();
    await this.#askFor(stranger);
  }

  /** What has not come yet: form and message. `sealed`: whether segments of this run are to be among it; `passed`: whether the oldest of it is to be gone. */
  missing({ sealed = false, passed = false } = {}): string[] {
    const wanted: (readonly [FrameForm, readonly string[]])[] = [
      ...this.#streams.map((stream) => [stream, stream.must] as const),
      [STATUS, ['node_status']],
      [PAGES, [...PLACED, 'info gap', 'info epoch']],
      [PAGES_BACK, PLACED],
      [LEFT, PLACED],
      [ASKED, [...WRONG.map(([, code]) => `error ${code}`), 'info cursor_unknown', 'error cursor_unknown']],
    ];
    if (sealed) wanted.push([SEALED, PLACED]);
    if (passed) wanted.push([ASKED, ['info cursor_too_old', 'error cursor_too_old']]);
    return wanted.flatMap(([{ name }, messages]) =>
      messages
        .filter((message) => this.ledger.count(name, message) === 0)
        .map((message) => `${name}: ${message}`),
    );
  }

  #take(form: FrameForm, text: string): string {
    const { name } = this.#node;
    const message = this.ledger.take(form, text, { validate: this.#validate, where: name });
    if (message === 'hello') {
      const { node } = JSON.parse(text) as { readonly node?: object };
      if (node !== undefined) this.#take(STATUS, JSON.stringify(node));
    }
    return message;
  }

  #fault(what: string): void {
    if (!this.#over) this.ledger.fault(`${this.#node.name}, ${what}`);
  }

  #follow(stream: Stream, text: string): void {
    const message = this.#take(stream, text);
    if (stream.name !== 'meta' || !message.endsWith('_meta')) return;
    const { cursor, epoch } = JSON.parse(text) as { readonly cursor: string; readonly epoch: string };
    this.#newest = cursor;
    this.#epoch = epoch;
    if (this.#first === '') this.#first = cursor;
  }

  #followSocket(context: Pick<TestContext, 'after'>, stream: Stream): void {
    const { name, path } = stream;
    const socket = new WebSocket(`ws://127.0.0.1:${this.#node.http}${path}`);
    context.after(() => socket.terminate());
    const gzip = path.includes('encoding=gzip');
    socket.on('error', (error) => this.#fault(`${name}: ${error.message}`));
    socket.on('close', (code, reason) => this.#fault(`${name}: closed with ${code} ${reason}`));
    socket.on('message', (data: Buffer, binary) => {
      if (binary && !gzip) this.#fault(`${name}: a binary message that nobody asked for`);
      const text = (binary ? gunzipSync(data) : data).toString();
      for (const line of path.includes('batch=') ? text.split('\n') : [text]) this.#follow(stream, line);
    });
  }

  #followEvents(context: Pick<TestContext, 'after'>, stream: Stream): void {
    const { name, path } = stream;
    const oneName = path.includes('event=message');
    const request = get({ host: '127.0.0.1', port: this.#node.http, path, agent: false });
    context.after(() => request.destroy());
    request.on('error', (error) => this.#fault(`${name}: ${error.message}`));
    request.on('response', (response) => {
      const { statusCode } = response;
      if (statusCode !== 200) this.#fault(`${name}: answered with ${statusCode}`);
      const parser = new EventParser();
      response.setEncoding('utf8').on('data', (chunk: string) => {
        parser.take(chunk);
        for (const { event, id, data } of parser.events.splice(0)) {
          this.#follow(stream, data);
          const { type, cursor } = JSON.parse(data) as { readonly type: string; readonly cursor?: string };
          if (event !== (oneName ? 'message' : type)) this.#fault(`${name}: an event ${event} of ${data}`);
          if (cursor !== undefined && id !== cursor) this.#fault(`${name}: an id ${id} of ${data}`);
        }
      });
      response.on('close', () => this.#fault(`${name}: the stream has ended`));
    });
  }

  #url(path: string): string {
    return `http://127.0.0.1:${this.#node.http}${path}`;
  }

  async #page(form: FrameForm, query: string): Promise<{ readonly next?: string; readonly more: boolean }> {
    const { status, body } = await ask(this.#url(`/api/v1/events?${query}`));
    if (status !== 200) throw new Error(`${form.name}: ?${query} is answered with ${status}: ${body}`);
    const page = JSON.parse(body.toString());
    const fault = this.#holds('events', page);
    if (fault !== undefined) this.#fault(`${form.name}: ?${query}: ${fault}`);
    for (const event of page.events) this.#take(form, JSON.stringify(event));
    return page;
  }

  async #readPages(): Promise<void> {
    for (let more = true; more; ) {
      const from = this.#next === '' ? '' : `&cursor=${encodeURIComponent(this.#next)}`;
      const page = await this.#page(PAGES, `limit=500${from}`);
      this.#next = page.next ?? this.#next;
      more = page.more;
    }
  }

  async #readPagesBack(): Promise<void> {
    await this.#page(PAGES_BACK, 'order=desc&limit=1000');
  }

  async #readSegments(): Promise<void> {
    const { status, body } = await ask(this.#url('/api/v1/segments'));
    if (status !== 200) throw new Error(`the list of segments is answered with ${status}: ${body}`);
    const list = JSON.parse(body.toString()) as { readonly segments: readonly SegmentListed[] };
    const fault = this.#holds('segments', list);
    if (fault !== undefined) this.#fault(`the list of segments: ${fault}: ${body}`);
    for (const segment of list.segments) {
      if (this.#segments.has(segment.first)) continue;
      const told = this.#holds('segment', segment);
      if (told !== undefined) this.#fault(`a segment: ${told}: ${JSON.stringify(segment)}`);
      this.#segments.add(segment.first);
      await this.#readSegment(segment);
    }
  }

  /** In both of its forms, which have one content. */
  async #readSegment(segment: SegmentListed): Promise<void> {
    const form = segment.epoch === this.#epoch ? SEALED : LEFT;
    const url = this.#url(segment.url);
    const packed = await ask(url, { 'accept-encoding': 'gzip' });
    const unpacked = await ask(url, { 'accept-encoding': 'identity' });
    // It may have been of the oldest.
    if (packed.status === 404 || unpacked.status === 404) return;
    const lines = linesOf(unpacked.body.toString());
    const told = [
      packed.body.length,
      sha256(packed.body),
      unpacked.body.length,
      sha256(unpacked.body),
      lines.length,
    ];
    const listed = [segment.bytes, segment.sha256, segment.plain_bytes, segment.plain_sha256, segment.frames];
    if (told.join() !== listed.join())
      this.#fault(`${segment.url}: it has ${told.join()}, listed ${listed.join()}`);
    if (!gunzipSync(packed.body).equals(unpacked.body)) this.#fault(`${segment.url}: its forms differ`);
    for (const line of lines) this.#take(form, line);
  }

  async #askFor(stranger: string): Promise<void> {
    for (const [query, code] of WRONG) await this.#hears(query, `error ${code}`, true);
    await this.#hears(`cursor=${stranger}`, 'info cursor_unknown');
    await this.#hears(`cursor=${stranger}&strict=true`, 'error cursor_unknown', true);
    if (!(await this.#isTooOld())) return;
    await this.#hears(`cursor=${this.#first}`, 'info cursor_too_old');
    await this.#hears(`cursor=${this.#first}&strict=true`, 'error cursor_too_old', true);
  }

  async #isTooOld(): Promise<boolean> {
    const query = `cursor=${encodeURIComponent(this.#first)}&strict=true&limit=1`;
    return (await ask(this.#url(`/api/v1/events?${query}`))).status === 410;
  }

  /** Connects with `query`, as a page does where it is told so, and takes what comes until it is `wanted`. */
  async #hears(query: string, wanted: string, asPage = false): Promise<void> {
    const options = asPage ? { origin: `http://127.0.0.1:${this.#node.http}` } : {};
    const socket = new WebSocket(`ws://127.0.0.1:${this.#node.http}/p2p-ws?${query}`, options);
    const came: string[] = [];
    let end = '';
    socket.on('error', (error) => {
      end = error.message;
    });
    socket.on('close', (code, reason) => {
      end = `closed with ${code} ${reason}`;
    });
    socket.on('message', (data) => {
      if (came.at(-1) !== wanted) came.push(this.#take(ASKED, String(data)));
    });
    await waitFor(() => came.at(-1) === wanted || end !== '', { what: `${wanted} of ?${query}` });
    socket.terminate();
    if (came.at(-1) !== wanted) this.#fault(`?${query}: no ${wanted} came, but ${came.join(', ')}; ${end}`);
  }
}
