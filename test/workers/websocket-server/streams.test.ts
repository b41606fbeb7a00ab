/** Answers that go on, on both transports: RFC 9110 and 9112 say what a client may rely on. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { HttpRequest, ResponseStream } from '../../../src/workers/websocket-server/transport/index.js';
import { makeCertificate } from '../../support/certificates.js';
import { TRANSPORTS } from '../../support/notifications.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { get, openTransport, streaming, whole } from '../../support/transport.js';
import { waitFor } from '../../support/wait.js';

const text = (value: string) => Buffer.from(value);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const PART = 64 * 1024;
/** What may wait for a client that does not keep up, here. */
const BOUND = 4 * PART;

/** Writes `body` as fast as it is taken; returns the most that waited. */
function pour(out: ResponseStream, body: Buffer): { most: number } {
  const seen = { most: 0 };
  let at = 0;
  const more = () => {
    while (at < body.length && out.bufferedBytes() < BOUND) {
      out.write(body.subarray(at, at + PART));
      at += PART;
      seen.most = Math.max(seen.most, out.bufferedBytes());
    }
    if (at >= body.length) out.end();
    // It took all at once, and tells of no drain.
    else if (out.bufferedBytes() < PART) setImmediate(more);
  };
  out.onDrain(more);
  more();
  return seen;
}

async function rawRequest(port: number, head: string): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(head);
  return { socket, text: () => Buffer.concat(chunks).toString('latin1') };
}

for (const transport of TRANSPORTS)
  describe(`answers that go on, on ${transport}`, () => {
    it('come as they are written, in chunks, and end with their end', async (t) => {
      const streams: ResponseStream[] = [];
      const over: string[] = [];
      const opened = await openTransport(t, transport, {
        request: streaming(() => ({
          stream: (out) => {
            streams.push(out);
            out.onClose(() => over.push('over'));
            out.write(text('one\n'));
          },
        })),
      });
      const got = await get(t, opened);
      const { headers, statusCode } = got.response;
      assert.deepEqual(
        [statusCode, headers['content-type'], headers['transfer-encoding'], headers.connection],
        [200, 'text/plain', 'chunked', 'close'],
      );
      assert.equal(headers['content-length'], undefined);
      await waitFor(() => got.body().equals(text('one\n')), { what: 'the first' });
      const [out] = streams;
      for (const line of ['two\n', '', 'three\n']) out?.write(text(line));
      await waitFor(() => got.body().length === 14, { what: 'more' });
      assert.equal(got.complete, false);
      assert.deepEqual(over, []);
      out?.write(text('four'));
      out?.end();
      out?.write(text('never'));
      out?.end();
      assert.equal(String(await whole(got)), 'one\ntwo\nthree\nfour');
      assert.deepEqual(over, ['over']);
      assert.equal(out?.bufferedBytes(), 0);
    });

    it('have the length that was told, and no byte more', async (t) => {
      const lengths = [0, 1, 10, 100_000];
      const opened = await openTransport(t, transport, {
        request: streaming(({ query }) => ({
          status: 206,
          length: Number(query),
          stream: (out) => {
            const body = Buffer.alloc(Number(query) + 50, 'x');
            for (let at = 0; at < body.length; at += 7000) out.write(body.subarray(at, at + 7000));
          },
        })),
      });
      for (const length of lengths) {
        const got = await get(t, opened, { path: `/stream?${length}` });
        const { headers, statusCode } = got.response;
        assert.deepEqual([statusCode, headers['content-length']], [206, String(length)]);
        assert.equal(headers['transfer-encoding'], undefined);
        assert.equal((await whole(got)).length, length);
      }
    });

    for (const told of [true, false])
      it(`wait for a client that reads slowly, and lose nothing: ${told ? 'with a length' : 'in chunks'}`, async (t) => {
        const body = randomBytes(24 * 1024 * 1024);
        const poured: { most: number }[] = [];
        const opened = await openTransport(t, transport, {
          request: streaming(() => ({
            ...(told ? { length: body.length } : {}),
            stream: (out) => poured.push(pour(out, body)),
          })),
        });
        const got = await get(t, opened);
        for (let stop = 0; stop < 20; stop++) {
          got.response.pause();
          await turn();
          await turn();
          got.response.resume();
          const before = got.body().length;
          await waitFor(() => got.complete || got.body().length > before, { what: 'more', everyMs: 1 });
        }
        const read = await whole(got);
        const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
        assert.equal(digest(read), digest(body));
        assert.ok(Number(poured[0]?.most) <= BOUND + 2 * PART, `${poured[0]?.most} bytes waited`);
      });

    it('that end before their length are seen to be cut', async (t) => {
      const opened = await openTransport(t, transport, {
        request: streaming(() => ({
          length: 1000,
          stream: (out) => {
            out.write(text('some'));
            setImmediate(() => out.end());
          },
        })),
      });
      const got = await get(t, opened);
      await waitFor(() => got.gone, { what: 'the end of the connection' });
      assert.equal(got.complete, false);
    });

    it('are answered to HEAD with the same head, and never begun', async (t) => {
      let begun = 0;
      const opened = await openTransport(t, transport, {
        request: streaming(({ query }) => ({
          ...(query === '' ? {} : { length: Number(query) }),
          headers: [['etag', '"one"']],
          stream: () => begun++,
        })),
      });
      const head = await get(t, opened, { method: 'HEAD', path: '/stream?1000' });
      assert.deepEqual(
        [head.response.statusCode, head.response.headers.etag, head.response.headers['content-length']],
        [200, '"one"', '1000'],
      );
      assert.equal((await whole(head)).length, 0);
      const endless = await get(t, opened, { method: 'HEAD' });
      assert.deepEqual(
        [endless.response.statusCode, endless.response.headers['content-length']],
        [200, undefined],
      );
      assert.equal((await whole(endless)).length, 0);
      assert.equal(begun, 0);
    });

    it('see query and headers of the request as they were sent', async (t) => {
      const seen: HttpRequest[] = [];
      const opened = await openTransport(t, transport, {
        request: streaming((request) => {
          seen.push(request);
          return { length: 2, stream: (out) => out.write(text('ok')) };
        }),
      });
      const headers = { Range: 'bytes=5-9', 'If-None-Match': '"one", W/"two"', 'Last-Event-ID': 'a.1' };
      await whole(await get(t, opened, { path: '/stream?kinds=block,subtree&cursor=a%2E1&x=%20', headers }));
      const [request] = seen;
      assert.equal(request?.path, '/stream');
      assert.equal(request?.query, 'kinds=block,subtree&cursor=a%2E1&x=%20');
      const named = new Map(request?.headers);
      assert.deepEqual(
        ['range', 'if-none-match', 'last-event-id'].map((name) => named.get(name)),
        Object.values(headers),
      );
    });

    it('are told once when their client is gone, when they are closed, and when the server stops', async (t) => {
      const streams: ResponseStream[] = [];
      const over: string[] = [];
      const opened = await openTransport(t, transport, {
        request: streaming(({ query }) => ({
          stream: (out) => {
            streams.push(out);
            out.onClose(() => over.push(query));
            out.write(text('hello'));
          },
        })),
      });
      const gone = await get(t, opened, { path: '/stream?gone' });
      gone.response.destroy();
      await waitFor(() => over.includes('gone'), { what: 'the end of who is gone' });
      streams[0]?.write(text('to nobody'));
      streams[0]?.close();
      const closed = await get(t, opened, { path: '/stream?closed' });
      streams[1]?.close();
      await waitFor(() => closed.gone, { what: 'the end of what was closed' });
      assert.equal(closed.complete, false);
      const stopped = await get(t, opened, { path: '/stream?stopped' });
      opened.listener.close();
      await waitFor(() => stopped.gone, { what: 'the end with the server' });
      await waitFor(() => over.length === 3, { what: 'all to be told' });
      await turn();
      assert.deepEqual(over, ['gone', 'closed', 'stopped']);
    });

    it('may be closed or ended in the very turn in which they begin', async (t) => {
      const over: string[] = [];
      const opened = await openTransport(t, transport, {
        request: streaming(({ query }) => ({
          stream: (out) => {
            out.onClose(() => over.push(query));
            if (query === 'end') out.write(text('all'));
            if (query === 'close') out.close();
            else out.end();
          },
        })),
      });
      assert.equal(String(await whole(await get(t, opened, { path: '/stream?end' }))), 'all');
      assert.equal((await whole(await get(t, opened, { path: '/stream?empty' }))).length, 0);
      // The head may have been on its way.
      const closed = await get(t, opened, { path: '/stream?close' }).catch(() => undefined);
      await waitFor(() => closed?.gone !== false, { what: 'the end of what was closed' });
      assert.ok(closed?.complete !== true);
      assert.deepEqual(over, ['end', 'empty', 'close']);
    });

    it('go on when the certificate is renewed and when nobody more is accepted', async (t) => {
      const directory = temporaryDirectory(t);
      const { certificateFile, keyFile } = await makeCertificate(directory, 'server');
      const streams: ResponseStream[] = [];
      const opened = await openTransport(t, transport, {
        tls: { certFile: certificateFile, keyFile },
        request: streaming(() => ({
          stream: (out) => {
            streams.push(out);
            out.write(text('hello'));
          },
        })),
      });
      const socket = connectTls({ port: opened.port, host: '127.0.0.1', rejectUnauthorized: false });
      t.after(() => socket.destroy());
      await once(socket, 'secureConnect');
      let read = '';
      socket.on('data', (chunk) => (read += chunk));
      socket.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
      await waitFor(() => read.includes('hello'), { what: 'the beginning' });
      for (let time = 0; time < 3; time++) {
        await makeCertificate(directory, 'server');
        await opened.listener.renew();
        streams[0]?.write(text(`renewed ${time}`));
        await waitFor(() => read.includes(`renewed ${time}`), { what: 'more after a renewal' });
      }
      opened.listener.pause();
      streams[0]?.write(text('paused'));
      await waitFor(() => read.includes('paused'), { what: 'more while nobody is accepted' });
      await opened.listener.resume();
      streams[0]?.end();
      await waitFor(() => read.endsWith('0\r\n\r\n'), { what: 'the end' });
    });
  });

describe('answers that go on, on ws', () => {
  it('are no connection that speaks HTTP any more, once', async (t) => {
    const counts = { connected: 0, disconnected: 0 };
    const streams: ResponseStream[] = [];
    const opened = await openTransport(t, 'ws', {
      connected: () => ++counts.connected > 0,
      disconnected: () => counts.disconnected++,
      request: streaming(() => ({ stream: (out) => streams.push(out) })),
    });
    const got = await get(t, opened);
    assert.deepEqual(counts, { connected: 1, disconnected: 1 });
    streams[0]?.end();
    await waitFor(() => got.gone, { what: 'the end' });
    const { statusCode } = (await get(t, opened)).response;
    assert.equal(statusCode, 200);
    assert.deepEqual(counts, { connected: 2, disconnected: 2 });
  });

  it('come to HTTP/1.0 without chunks, and to who offers another protocol', async (t) => {
    const opened = await openTransport(t, 'ws', {
      request: streaming(() => ({
        stream: (out) => {
          out.write(text('one '));
          out.write(text('two'));
          setImmediate(() => out.end());
        },
      })),
    });
    const old = await rawRequest(opened.port, 'GET /stream HTTP/1.0\r\n\r\n');
    await waitFor(() => old.socket.readableEnded, { what: 'the end to HTTP/1.0' });
    assert.match(old.text(), /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(old.text(), /transfer-encoding/i);
    assert.match(old.text(), /\r\n\r\none two$/);
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n';
    const other = await rawRequest(opened.port, `GET /stream HTTP/1.1\r\nHost: x\r\n${offer}\r\n`);
    await waitFor(() => other.socket.readableEnded, { what: 'the end to who offers HTTP/2' });
    assert.match(other.text(), /\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n$/);
  });

  it('are sent whole to who has closed its side, where they have a length', async (t) => {
    const opened = await openTransport(t, 'ws', {
      request: streaming(() => ({
        length: 10,
        stream: (out) => {
          out.write(text('begin'));
          setTimeout(() => out.write(text('s end')), 50);
        },
      })),
    });
    const { socket, text: read } = await rawRequest(opened.port, 'GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.end();
    await waitFor(() => socket.readableEnded, { what: 'the end' });
    assert.match(read(), /\r\n\r\nbegins end$/);
  });

  it('are of no use to who sends without end', async (t) => {
    let over = false;
    const opened = await openTransport(t, 'ws', {
      request: streaming(() => ({ stream: (out) => out.onClose(() => (over = true)) })),
    });
    const { socket } = await rawRequest(opened.port, 'GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
    const more = Buffer.alloc(65_536);
    const send = () => socket.write(more, (error) => error ?? send());
    send();
    await waitFor(() => over, { what: 'the end' });
    await waitFor(() => socket.closed, { what: 'the end of its connection' });
  });
});
