/**
 * A peer that sends so much, as fast as it is told, in a process of its own. Arguments: server multiaddr, its peer ID, topic, local
 * address, messages, messages a second, and what it sends: `signed` or `forged` junk, or messages as large as they may be and as
 * `costly` to read as it knows how. Prints one JSON line when it begins and one when it ends.
 */

import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createPeer, type RawMessage } from '../../support/peer.js';

const [address = '', peerId = '', topic = '', localAddress = '', count = '', rate = '', how = ''] =
  process.argv.slice(2);
const total = Number(count);
const perSecond = Number(rate);
const TICK_MS = 20;

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const peer = await createPeer({ topics: [topic], localAddress });
/** As junk is: some cut short, some noise, some nearly good. */
const junk = (n: number): string =>
  ['{"Hash":"', `{"name":"x","data":"${'A'.repeat(n % 700)}"}`, `${n}`.repeat(40), `{"Hash":${n}}`][n % 4] ??
  '';
/** What no kind has, but JSON, near the 32 KiB that a block may have: nobody is scored for it. */
const costly = (n: number): string => `{"n":${1e15 + n}1,"x":[${'1,'.repeat(16_000)}1]}`;
const messages: RawMessage[] = [];
const real = await peer.sign(topic, junk(0));
for (let n = 0; n < total; n++) {
  if (how === 'costly') messages.push(await peer.sign(topic, costly(n)));
  else if (how === 'signed') messages.push(await peer.sign(topic, junk(n)));
  else {
    const seqno = Buffer.alloc(8);
    seqno.writeBigUInt64BE(BigInt(n + 1));
    messages.push({ ...real, data: Buffer.from(junk(n)), seqno, signature: randomBytes(64) });
  }
}
await peer.dial(address);
await peer.sees(peerId, topic);
say({ begun: messages.length });

const began = performance.now();
let sent = 0;
let refused = 0;
while (sent + refused < total) {
  const due = Math.min(total, Math.ceil(((performance.now() - began) / 1000) * perSecond));
  const batch = messages.slice(sent + refused, due);
  for (let at = 0; at < batch.length; at += 20) {
    const part = batch.slice(at, at + 20);
    try {
      peer.send(peerId, part);
      sent += part.length;
    } catch {
      refused += part.length;
    }
  }
  await delay(TICK_MS);
}
say({ sent, refused, ms: performance.now() - began });
await peer.stop();
