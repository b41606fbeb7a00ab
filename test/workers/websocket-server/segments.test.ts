/** The archive over HTTP: whole segments of the history, which never change. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { constants, gunzipSync, inflateRawSync } from 'node:zlib';
import type { ArchiveChunk } from '../../../src/shared/archive/segment.js';
import { hashOfToken, tokenLine } from '../../../src/shared/firehose/tokens.js';
import { block } from '../../../src/shared/messages/index.js';
import { QUEUES } from '../../../src/shared/queues.js';
import { archiveSealed } from '../../support/archived.js';
import { listenToEvents } from '../../support/event-stream.js';
import { allPages, eventsOf } from '../../support/history-pages.js';
import {
  listen,
  metricSum,
  type Served,
  serveNotifications,
  TRANSPORTS,
} from '../../support/notifications.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const { perSource } = QUEUES.transfers.bounds;

/** More of a segment than what systems keep of a connection that nobody reads. */
const LARGE = { segmentBytes: 24_000_000, blocks: 700, padding: 40_000 };

const OUTCOMES = ['ended', 'cut', 'failed', 'refused'] as const;
type Outcome = (typeof OUTCOMES)[number];

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

interface Listed {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly next: string;
  readonly frames: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly plain_bytes: number;
  readonly plain_sha256: string;
  readonly url: string;
}

const listOf = async (http: string) =>
  (await (await fetch(`${http}/api/v1/segments`)).json()) as { segments: Listed[]; next?: string };

/** Where a server has a segment of its journal. */
function pathOf(segment: { readonly epoch: string; readonly first: number } | undefined): string {
  assert.ok(segment);
  return `/api/v1/segments/${segment.epoch}/${segment.first}`;
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The content of a gzip file's first member, for a decoder that knows of no others, and how many bytes that member has. */
function firstMember(file: Buffer): { readonly content: Buffer; readonly bytes: number } {
  // RFC 1952: no field that a flag would tell of; a header of 10 bytes, a trailer of 8.
  assert.deepEqual([...file.subarray(0, 4)], [0x1f, 0x8b, 8, 0]);
  const { buffer, engine } = inflateRawSync(file.subarray(10), { info: true }) as unknown as {
    buffer: Buffer;
    engine: { bytesWritten: number };
  };
  return { content: buffer, bytes: 10 + engine.bytesWritten + 8 };
}

/** `file` with a bit of `chunk` turned that an inflate does not stumble over. */
function damagedUnseen(file: Buffer, { offset, bytes }: ArchiveChunk): Buffer {
  const lengthOf = (all: Buffer) =>
    inflateRawSync(all.subarray(offset, offset + bytes), { finishFlush: constants.Z_SYNC_FLUSH }).length;
  for (let at = offset + bytes - 6; at > offset; at--) {
    const damaged = Buffer.from(file);
    damaged[at] = Number(file[at]) ^ 1;
    try {
      if (lengthOf(damaged) === lengthOf(file)) return damaged;
    } catch {
      // The next one.
    }
  }
  return file;
}

/** What `curl --compressed` makes of an answer; undefined where there is no curl. Throws what it says of an answer that it does not like. */
async function byCurl(url: string): Promise<Buffer | undefined> {
  const run = promisify(execFile);
  try {
    const args = ['--silent', '--show-error', '--fail', '--compressed', url];
    return (await run('curl', args, { encoding: 'buffer', maxBuffer: 2 ** 30 })).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Until so many transfers have had each outcome; what is left out had none. */
async function counted(servers: Served['servers'], wanted: Partial<Record<Outcome, number>>): Promise<void> {
  const outcomes = async () => {
    const counts = OUTCOMES.map(
      async (outcome) =>
        [outcome, await metricSum(servers, 'teranode_p2p_segment_transfers_total', { outcome })] as const,
    );
    return Object.fromEntries(await Promise.all(counts)) as Record<Outcome, number>;
  };
  const all = { ended: 0, cut: 0, failed: 0, refused: 0, ...wanted };
  const sum = (each: Record<Outcome, number>) => OUTCOMES.reduce((total, name) => total + each[name], 0);
  await waitFor(async () => sum(await outcomes()) >= sum(all), { what: 'all transfers to be counted' });
  assert.deepEqual(await outcomes(), all);
}

/** An answer as it stands on the wire, read when it is wanted. */
async function raw(
  t: Pick<TestContext, 'after'>,
  port: number,
  path: string,
  headers = '',
): Promise<Socket & { all: () => Buffer }> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  const chunks: Buffer[] = [];
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
  socket.on('data', (chunk) => chunks.push(chunk));
  return Object.assign(socket, { all: () => Buffer.concat(chunks) });
}

/** Until all of an answer with a length is there, or no more of it comes. */
async function ended(
  answer: Awaited<ReturnType<typeof raw>>,
): Promise<{ readonly body: Buffer; readonly length: number; readonly head: string }> {
  const parts = () => {
    const all = answer.all();
    const head = all.toString('latin1', 0, all.indexOf('\r\n\r\n')).toLowerCase();
    return { head, body: bodyOf(all), length: Number(/content-length: (\d+)/.exec(head)?.[1] ?? Number.NaN) };
  };
  await waitFor(() => answer.readableEnded || answer.destroyed || parts().body.length >= parts().length, {
    what: 'the end of the answer',
    everyMs: 50,
  });
  return parts();
}

/** Nothing while the head has no end: where an answer is cut before its body, uWebSockets.js leaves it without one. */
function bodyOf(answer: Buffer): Buffer {
  const headEnd = answer.indexOf('\r\n\r\n');
  return headEnd < 0 ? Buffer.alloc(0) : answer.subarray(headEnd + 4);
}

for (const transport of TRANSPORTS)
  describe(`the archive on ${transport}`, () => {
    /** Some segments, and what is not sealed yet; the last block's height. */
    async function serve(
      t: TestContext,
      changes = {},
      { segmentBytes = 200_000, blocks = 600, padding = 1000, tokens = '' } = {},
    ) {
      const served = await serveNotifications(
        t,
        { p2p_websocket_transport: transport, p2p_notification_servers: 1, ...changes },
        { journal: { segmentBytes }, ...(tokens !== '' && { tokens }) },
      );
      let last = 0;
      const first = served.feed.blocks(1);
      for (let count = 0; count < blocks; count += 20)
        last = served.feed.blocks(20, randomBytes(padding).toString('base64url').slice(0, padding));
      const segments = await archiveSealed(served.feed.journal.directory);
      assert.ok(segments.length > 0, 'a segment');
      return { ...served, segments, first, last };
    }

    it('lists what there is, and each of it is what a stream would tell', async (t) => {
      const { http, segments, first, last, feed } = await serve(t);
      const { segments: listed, next } = await listOf(http);
      assert.deepEqual(
        listed.map((each) => each.first),
        segments.map((each) => each.first),
      );
      const told = [];
      for (const segment of listed) {
        const bytes = Buffer.from(
          await (
            await fetch(http + segment.url, { headers: { 'accept-encoding': 'identity' } })
          ).arrayBuffer(),
        );
        assert.deepEqual([bytes.length, sha256(bytes)], [segment.plain_bytes, segment.plain_sha256]);
        const lines = linesOf(bytes.toString());
        assert.equal(lines.length, segment.frames);
        told.push(...lines);
      }
      // Back-fill, then the stream: no gap, no repeat.
      const stream = await listenToEvents(t, `${http}/events?cursor=${encodeURIComponent(next ?? '')}`);
      const newest = feed.blocks(5);
      await waitFor(() => stream.heights().at(-1) === newest, { what: 'the newest block' });
      const all = [...told, ...stream.frames()].filter(({ type }) => type === 'block');
      assert.deepEqual(
        all.map(({ height }) => Number(height)),
        numbered(first, newest),
      );
      assert.ok(newest > last);
      assert.deepEqual(eventsOf(await allPages(http, 'limit=1000')), [...told, ...stream.frames()]);
    });

    it('is sent as it is stored to who takes gzip, and unpacked to others', async (t) => {
      const { http, segments, servers } = await serve(t);
      const [segment] = segments;
      assert.ok(segment);
      const stored = await raw(t, servers.port, pathOf(segment), 'Accept-Encoding: gzip\r\n');
      const { head, body } = await ended(stored);
      assert.match(head, /content-encoding: gzip/);
      assert.match(head, new RegExp(`content-length: ${segment.bytes}\\b`));
      assert.deepEqual(body, readFileSync(segment.path));
      const unpacked = await fetch(`${http}${pathOf(segment)}`, {
        headers: { 'accept-encoding': 'identity' },
      });
      assert.equal(unpacked.headers.get('content-encoding'), null);
      assert.equal(unpacked.headers.get('content-type'), 'application/x-ndjson');
      assert.match(unpacked.headers.get('vary') ?? '', /accept-encoding/i);
      assert.deepEqual(Buffer.from(await unpacked.arrayBuffer()), gunzipSync(readFileSync(segment.path)));
    });

    it('is of one journal: where another has a segment at the same position, its path leads nowhere', async (t) => {
      const [one, other] = [await serve(t), await serve(t, {}, { padding: 500 })];
      for (const [at, elsewhere] of [
        [one, other],
        [other, one],
      ] as const) {
        const [listed] = (await listOf(at.http)).segments;
        const [theirs] = (await listOf(elsewhere.http)).segments;
        assert.ok(listed && theirs);
        assert.equal(listed.first, theirs.first);
        assert.notEqual(listed.plain_sha256, theirs.plain_sha256);
        assert.equal((await fetch(at.http + listed.url, { method: 'HEAD' })).status, 200);
        const answer = await fetch(elsewhere.http + listed.url);
        assert.deepEqual([answer.status, answer.headers.get('cache-control')], [404, 'no-store']);
        assert.equal(((await answer.json()) as { code: string }).code, 'not_found');
      }
    });

    it('is one gzip member, however large, as some decoders read no other', async (t) => {
      const { http, segments, servers } = await serve(t, {}, { segmentBytes: 1_500_000, blocks: 4_000 });
      const segment = segments.find(({ plainBytes }) => plainBytes > 4 * 262_144);
      assert.ok(segment);
      const path = pathOf(segment);
      const { body } = await ended(await raw(t, servers.port, path, 'Accept-Encoding: gzip\r\n'));
      const { content, bytes } = firstMember(body);
      assert.deepEqual([content.length, bytes], [segment.plainBytes, body.length]);
      assert.equal(sha256(content), segment.plainSha256);
      assert.equal(linesOf(content.toString()).length, segment.frames);
      assert.deepEqual(gunzipSync(body), content);
      const told = await byCurl(http + path);
      if (told !== undefined) assert.deepEqual(told, content);
    });

    it('is had by the commands of docs/feed.md, with where to go on', async (t) => {
      const [, commands = ''] =
        /```sh\n(curl[^`]+segments\.json[^`]+)```/.exec(readFileSync('docs/feed.md', 'utf8')) ?? [];
      assert.ok(commands.includes('history.ndjson'));
      const { http } = await serve(t);
      if ((await byCurl(`${http}/health`)) === undefined) return;
      const { segments, next } = await listOf(http);
      const cwd = temporaryDirectory(t);
      const script = commands.replaceAll('http://localhost:9906', http);
      const { stdout } = await promisify(execFile)('sh', ['-ec', script], { cwd });
      assert.equal(stdout.trim(), `"next":${JSON.stringify(next)}`);
      const history = readFileSync(join(cwd, 'history.ndjson'));
      assert.equal(
        linesOf(history.toString()).length,
        segments.reduce((sum, { frames }) => sum + frames, 0),
      );
      assert.equal(
        history.length,
        segments.reduce((sum, each) => sum + each.plain_bytes, 0),
      );
    });

    it('need not be sent again to who has it', async (t) => {
      const { http, segments } = await serve(t);
      const url = `${http}${pathOf(segments[0])}`;
      const ask = (headers: Record<string, string>, method = 'GET') =>
        fetch(url, { method, headers: { 'accept-encoding': 'identity', ...headers } });
      const first = await ask({}, 'HEAD');
      const tag = first.headers.get('etag') ?? '';
      assert.match(tag, /^"[^"]+"$/);
      assert.match(first.headers.get('cache-control') ?? '', /public, max-age=\d+, immutable/);
      assert.equal(first.headers.get('content-length'), String(segments[0]?.plainBytes));
      assert.equal(await first.text(), '');
      const packed = (await ask({ 'accept-encoding': 'gzip' }, 'HEAD')).headers.get('etag');
      assert.notEqual(packed, tag);
      const known = await ask({ 'if-none-match': `"x", ${tag}` });
      assert.deepEqual([known.status, known.headers.get('etag'), await known.text()], [304, tag, '']);
      assert.equal(known.headers.get('content-length'), null);
      assert.equal((await ask({ 'if-none-match': packed ?? '' })).status, 200);
      assert.equal((await ask({ 'if-match': packed ?? '' })).status, 412);
    });

    it('gives the parts that are asked for, of both forms, to the byte', async (t) => {
      const { http, segments, servers } = await serve(t, {}, { segmentBytes: 1_500_000, blocks: 4_000 });
      const segment = segments.find(({ chunks }) => chunks.length > 2);
      assert.ok(segment, 'a segment of several chunks');
      const path = pathOf(segment);
      const stored = readFileSync(segment.path);
      const plain = gunzipSync(stored);
      const { plainOffset: edge = 0 } = segment.chunks[1] ?? {};
      const ranges = (size: number) => [
        [0, 0],
        [0, 99],
        [size - 1, size - 1],
        [edge - 1, edge],
        [edge, edge],
        [edge - 5, size - 2],
        [1, size - 1],
        [0, size - 1],
      ];
      for (const [from = 0, to = 0] of ranges(plain.length)) {
        const part = await fetch(http + path, {
          headers: { range: `bytes=${from}-${to}`, 'accept-encoding': 'identity' },
        });
        assert.deepEqual(
          [part.status, part.headers.get('content-range')],
          [206, `bytes ${from}-${to}/${plain.length}`],
        );
        assert.ok(
          Buffer.from(await part.arrayBuffer()).equals(plain.subarray(from, to + 1)),
          `${from}-${to}`,
        );
      }
      for (const [from = 0, to = 0] of [
        [0, 9],
        [100, stored.length - 1],
        [stored.length - 3, stored.length - 1],
      ]) {
        const part = await raw(
          t,
          servers.port,
          path,
          `Accept-Encoding: gzip\r\nRange: bytes=${from}-${to}\r\n`,
        );
        const { head, body } = await ended(part);
        assert.match(head, /^http\/1\.1 206 /);
        assert.deepEqual(body, stored.subarray(from, to + 1));
      }
      const ask = (headers: Record<string, string>, method = 'GET') =>
        fetch(http + path, { method, headers: { 'accept-encoding': 'identity', ...headers } });
      const suffix = await ask({ range: 'bytes=-7' });
      assert.deepEqual(Buffer.from(await suffix.arrayBuffer()), plain.subarray(-7));
      const behind = await ask({ range: `bytes=${plain.length}-` });
      assert.deepEqual(
        [behind.status, behind.headers.get('content-range')],
        [416, `bytes */${plain.length}`],
      );
      const tag = (await ask({}, 'HEAD')).headers.get('etag') ?? '';
      assert.equal((await ask({ range: 'bytes=0-1', 'if-range': tag })).status, 206);
      for (const headers of [
        { range: 'bytes=0-1', 'if-range': '"other"' },
        { range: 'bytes=0-1,4-5' },
        { range: 'lines=0-1' },
      ]) {
        const whole = await ask(headers as unknown as Record<string, string>);
        assert.equal(whole.status, 200);
        assert.equal((await whole.arrayBuffer()).byteLength, plain.length);
      }
      assert.equal((await ask({ range: 'bytes=0-1' }, 'HEAD')).status, 200);
    });

    it('goes on to who reads a segment that is deleted, and is not there for others', async (t) => {
      const { http, segments, servers } = await serve(t, {}, LARGE);
      const [segment] = segments;
      assert.ok(segment);
      const path = pathOf(segment);
      const whole = readFileSync(segment.path);
      const reader = await raw(t, servers.port, path, 'Accept-Encoding: gzip\r\n');
      await waitFor(() => reader.all().length > 0, { what: 'its beginning' });
      reader.pause();
      rmSync(segment.path);
      rmSync(segment.path.replace(/\.ndjson\.gz$/, '.json'));
      assert.equal((await fetch(http + path)).status, 404);
      assert.equal(
        (await listOf(http)).segments.some(({ first }) => first === segment.first),
        false,
      );
      reader.resume();
      assert.ok((await ended(reader)).body.equals(whole));
    });

    it('breaks off visibly where a segment is damaged under its reader, and others notice nothing', async (t) => {
      const { http, url, segments, servers, feed } = await serve(t, {}, LARGE);
      const live = await listen(t, url);
      const [segment] = segments;
      assert.ok(segment);
      const path = pathOf(segment);
      const whole = readFileSync(segment.path);
      for (const damage of [
        () => truncateSync(segment.path, whole.length - 100),
        () => {
          // In its place: the file is never shorter meanwhile.
          const fd = openSync(segment.path, 'r+');
          const at = whole.length - 200;
          writeSync(fd, Buffer.from([Number(whole[at]) ^ 1]), 0, 1, at);
          closeSync(fd);
        },
      ]) {
        for (const encoding of ['gzip', 'identity']) {
          writeFileSync(segment.path, whole);
          const reader = await raw(t, servers.port, path, `Accept-Encoding: ${encoding}\r\n`);
          await waitFor(() => reader.all().length > 0, { what: 'its beginning' });
          reader.pause();
          damage();
          reader.resume();
          const { body, length } = await ended(reader);
          assert.ok(body.length < length, `${encoding}: ${body.length} of ${length} bytes`);
        }
      }
      const last = feed.blocks(1);
      await waitFor(() => live.heights().at(-1) === last, { what: 'a live block' });
      // What is not as it was is not begun.
      truncateSync(segment.path, 1000);
      assert.equal((await fetch(http + path)).status, 500);
      await counted(servers, { failed: 5 });
    });

    it('breaks off a part whose bytes are damaged, however readable, and gives the others', async (t) => {
      const { http, segments, servers } = await serve(t, {}, { segmentBytes: 1_500_000, blocks: 4_000 });
      const segment = segments.find(({ chunks }) => chunks.length > 2);
      assert.ok(segment, 'a segment of several chunks');
      const path = pathOf(segment);
      const whole = readFileSync(segment.path);
      const plain = gunzipSync(whole);
      const [, chunk, behind] = segment.chunks;
      assert.ok(chunk !== undefined && behind !== undefined);
      const from = chunk.plainOffset;
      const part = async () =>
        (await ended(await raw(t, servers.port, path, `Range: bytes=${from}-${from + 9}\r\n`))).body;
      assert.deepEqual(await part(), plain.subarray(from, from + 10));
      const damaged = damagedUnseen(whole, chunk);
      assert.notDeepEqual(damaged, whole);
      writeFileSync(segment.path, damaged);
      assert.ok((await part()).length < 10);
      const range = `bytes=${behind.plainOffset}-${behind.plainOffset + 99}`;
      const other = await fetch(http + path, { headers: { range, 'accept-encoding': 'identity' } });
      assert.deepEqual(
        Buffer.from(await other.arrayBuffer()),
        plain.subarray(behind.plainOffset, behind.plainOffset + 100),
      );
      await counted(servers, { ended: 2, failed: 1 });
    });

    it('sends a source so many at once, and refuses more', async (t) => {
      const { http, segments, servers } = await serve(
        t,
        { p2p_websocket_trusted_source_cidrs: ['none'] },
        LARGE,
      );
      const path = pathOf(segments[0]);
      const readers = [];
      for (let count = 0; count < perSource; count++) {
        const reader = await raw(t, servers.port, path, 'Accept-Encoding: identity\r\n');
        await waitFor(() => reader.all().length > 0, { what: 'its beginning' });
        reader.pause();
        readers.push(reader);
      }
      const refused = await fetch(http + path);
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
      await counted(servers, { refused: 1 });
      readers[0]?.destroy();
      await counted(servers, { refused: 1, cut: 1 });
      await waitFor(
        async () => (await fetch(http + path, { headers: { range: 'bytes=0-1' } })).status === 206,
        {
          what: 'a slot given back',
        },
      );
    });

    it('is not for a token that some kinds are left out of', async (t) => {
      const file = join(temporaryDirectory(t), 'tokens');
      writeFileSync(
        file,
        `${[
          tokenLine({ name: 'all', hash: hashOfToken('everything'), replay: true }),
          tokenLine({ name: 'some', hash: hashOfToken('blocks'), replay: true, kinds: [block.id] }),
        ].join('\n')}\n`,
      );
      const { http } = await serve(t, {}, { tokens: file });
      const ask = (token: string) =>
        fetch(`${http}/api/v1/segments`, { headers: { authorization: `Bearer ${token}` } });
      assert.deepEqual(
        [(await ask('everything')).status, (await ask('blocks')).status, (await ask('nonsense')).status],
        [200, 403, 401],
      );
      const { segments } = (await (await ask('everything')).json()) as { segments: Listed[] };
      const one = await fetch(`${http}${segments[0]?.url}?token=everything`);
      assert.match(one.headers.get('cache-control') ?? '', /^private/);
      assert.equal((await fetch(`${http}${segments[0]?.url}?token=blocks`)).status, 403);
    });
  });
