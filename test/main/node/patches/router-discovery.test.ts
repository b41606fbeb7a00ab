import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { type EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import ssdp from '@achingbrain/ssdp';
import { guardDiscovery } from '../../../../src/main/node/patches/router-discovery.js';
import { waitFor } from '../../../support/wait.js';

const answer = (location: string, more = 'CACHE-CONTROL: max-age=60\r\n'): string =>
  `HTTP/1.1 200 OK\r\n${more}ST: upnp:rootdevice\r\nUSN: uuid:1\r\nLOCATION: ${location}\r\n\r\n`;

test('strangers’ packets neither end the process nor make it fetch anything; a router’s own answer comes in', async (context) => {
  await guardDiscovery();
  const socket = { type: 'udp4', bind: { address: '127.0.0.1', port: 0 } } as const;
  const bus = await ssdp({ cache: false, sockets: [socket] });
  context.after(() => bus.stop());
  const heard: string[] = [];
  // The library's own listener would fetch.
  (bus as unknown as EventEmitter).removeAllListeners('ssdp:search-response');
  bus.on('ssdp:search-response', ({ LOCATION }) => heard.push(LOCATION));
  bus.on('ssdp:notify', () => heard.push('notify'));
  const port = bus.sockets[0]?.address().port;
  assert.ok(port);

  const sender = createSocket('udp4');
  context.after(() => sender.close());
  sender.bind(0, '127.0.0.1');
  await once(sender, 'listening');
  const send = (text: string) =>
    new Promise<void>((resolve, reject) => {
      sender.send(text, port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error)));
    });
  for (const packet of [
    'FOO * HTTP/1.1\r\n\r\n',
    '',
    answer('http://127.0.0.1:9/', ''),
    answer('http://192.0.2.1/inside'),
    answer('no URL'),
    'NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\nLOCATION: http://127.0.0.1:9/\r\n\r\n',
    'M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n',
  ]) {
    await send(packet);
  }
  await send(answer('http://127.0.0.1:9/router.xml'));
  await waitFor(() => heard.length > 0, { what: 'the router’s answer' });
  assert.deepEqual(heard, ['http://127.0.0.1:9/router.xml']);
  assert.equal(bus.emit('error', new Error('a port that is taken')), false);
});
