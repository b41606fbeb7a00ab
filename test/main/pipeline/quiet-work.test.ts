/** Quiet work stays at home: main checks what little comes by itself, and hands over all that is more, or could take long. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import type { IncomingMessage, Judgement } from '../../../src/main/node/types.js';
import { Pipeline } from '../../../src/main/pipeline/index.js';
import { createPipelineMetrics } from '../../../src/main/pipeline/metrics.js';
import { MESSAGE_KINDS } from '../../../src/shared/messages/index.js';
import type { MessageKind } from '../../../src/shared/messages/kind.js';
import { Judge } from '../../../src/shared/pipeline/judge.js';
import { asPeer } from '../../support/branded.js';
import { kindNamed } from '../../support/kinds.js';
import { keptLog } from '../../support/logger.js';
import { trap } from '../../support/made-up/trap.js';
import { sampleData } from '../../support/sample-messages.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { createSigner, forged } from '../../support/signed.js';
import { SharedByTests, temporaryDirectory } from '../../support/temporary.js';
import { checkerOf, TRAP, treeWith } from '../../support/tree-with.js';
import { waitFor } from '../../support/wait.js';

const SLOW = new URL('../../support/slow-checker.js', import.meta.url);
const shared = new SharedByTests();
/** The checkers' program with the trap in its table. */
let checkers: URL;
before(() => {
  checkers = checkerOf(treeWith(shared, TRAP));
});
after(() => shared.clean());
/** As checked at home as a kind can be. */
const HOME_TRAP: MessageKind<{ readonly spring: string }> = { ...trap, atHome: true };
const subtreeId = kindNamed('subtree').id;

async function quietPipeline(
  context: TestContext,
  changes: SettingChanges = {},
  options: { readonly checkerFile?: URL; readonly checkerTimeoutMs?: number } = {},
) {
  const settings = settingsOf({ p2p_checkers: 2, p2p_inline_checks: true, ...changes });
  const offences: string[] = [];
  const pipeline = new Pipeline(
    {
      settings,
      logger: keptLog().logger,
      metrics: createPipelineMetrics(new Registry()),
      bans: { isPeerBanned: () => false },
      reputation: { isLow: () => false },
      standingOf: () => 'stranger',
    },
    {
      publisher: {
        settings,
        journalPath: join(temporaryDirectory(context), 'journal'),
        frameSocketPath: '',
        brokerSocketPath: undefined,
        peerId: asPeer('me'),
        logLevel: 'info',
      },
      // Main's table has the trap at home: what keeps it out must be the message.
      kinds: [...MESSAGE_KINDS, HOME_TRAP],
      checkerFile: checkers,
      publisherFile: new URL('../../support/recording-publisher.js', import.meta.url),
      ...options,
    },
  );
  pipeline.on('offence', (author) => void offences.push(author));
  context.after(() => pipeline.stop());
  await pipeline.start();
  const judged = async (message: IncomingMessage): Promise<Judgement> => {
    const { signature, where } = await pipeline.check(message).judgement;
    return { signature, where };
  };
  return { pipeline, judged, offences };
}

const author = createSigner();
const hashOf = (n: number) => n.toString(16).padStart(64, '0');
const subtree = (n: number, by = author) =>
  by.sign(subtreeId, sampleData('subtree', { hash: hashOf(n) }, 'message-bus', by.id));
const wheres = (judgements: readonly Judgement[]) => [...new Set(judgements.map(({ where }) => where))];

describe('quiet work', () => {
  it('stays at home, goes to the pool when there is more of it, and comes back', async (context) => {
    const { judged } = await quietPipeline(context);
    for (let round = 0; round < 3; round++) {
      const few: Judgement[] = [];
      for (let n = 0; n < 20; n++) few.push(await judged(subtree(n)));
      assert.deepEqual(wheres(few), ['main']);
      assert.ok(few.every(({ signature }) => signature === 'holds'));
      assert.deepEqual(await judged(forged(subtree(1))), { signature: 'forged', where: 'main' });
      const many = await Promise.all(Array.from({ length: 50 }, (_, n) => judged(subtree(n))));
      // What the last batch has left may be little enough again.
      assert.ok(many.filter(({ where }) => where === 'thread').length >= 42);
      assert.ok(many.every(({ signature }) => signature === 'holds'));
    }
  });

  it('goes to the pool where p2p_inline_checks is off', async (context) => {
    const { judged } = await quietPipeline(context, { p2p_inline_checks: false });
    for (let n = 0; n < 5; n++) {
      assert.deepEqual(await judged(subtree(n)), { signature: 'holds', where: 'thread' });
    }
  });

  it('follows what is with the pool, so that the order holds across the change, both ways', async (context) => {
    const { judged } = await quietPipeline(context, {}, { checkerFile: SLOW });
    const answered: number[] = [];
    const places = new Map<number, string>();
    let sent = 0;
    const send = () => {
      const n = sent++;
      judged(subtree(n)).then(
        ({ where }) => {
          answered.push(n);
          places.set(n, where);
        },
        () => {},
      );
    };
    for (let round = 0; round < 12; round++) {
      for (let n = 0; n < 30; n++) send();
      // One each turn, while the thirty are with a checker, perhaps a slow one, and on until one is answered at home.
      const from = sent;
      await waitFor(
        async () => {
          send();
          await turn();
          for (let n = from; n < sent; n++) if (places.get(n) === 'main') return true;
          return false;
        },
        { what: 'work to come home', everyMs: 0 },
      );
    }
    await waitFor(() => answered.length === sent);
    assert.deepEqual(
      answered,
      Array.from({ length: sent }, (_, n) => n),
    );
    assert.deepEqual([...new Set(places.values())].sort(), ['main', 'thread']);
  });

  it('is of at most 2 KiB of plain texts: everything else goes to the pool, also when it is alone', async (context) => {
    const { judged } = await quietPipeline(context);
    const framed = (changes: Record<string, unknown>, framing: 'direct' | 'message-bus') =>
      author.sign(subtreeId, sampleData('subtree', changes, framing, author.id));
    const withText = (text: string) => {
      const json = JSON.stringify({
        Hash: hashOf(1),
        DataHubUrl: 'http://a.example.org/',
        PeerId: author.id,
      });
      return [
        json.replace('{', `{"x":"${text}",`),
        json.replace('{', `{"${text}":1,`),
        json.replace('a.example.org/', `a.example.org/${text}`),
      ].flatMap((one) => [
        author.sign(subtreeId, one),
        author.sign(subtreeId, JSON.stringify({ name: 'x', data: Buffer.from(one).toString('base64') })),
        author.sign(subtreeId, JSON.stringify({ name: 'x', DATA: Buffer.from(one).toString('base64') })),
      ]);
    };
    const plain = withText('abc');
    for (const message of plain) assert.equal((await judged(message)).where, 'main');
    const slow = [
      framed({ clientName: 'x'.repeat(1600) }, 'message-bus'),
      framed({ clientName: 'x'.repeat(2000) }, 'direct'),
      ...withText('\\u0061'),
      ...withText('\\n'),
      ...withText('é'),
      ...withText('\u{1F600}'),
    ];
    for (const message of slow) {
      assert.equal((await judged(message)).where, 'thread', Buffer.from(message.data).toString());
      assert.equal((await judged(subtree(1))).where, 'main', 'and the next stays at home again');
    }
  });

  it('goes to the pool behind what is not for main, in the same turn too', async (context) => {
    const { judged } = await quietPipeline(context);
    const large = author.sign(
      subtreeId,
      sampleData('subtree', { clientName: 'x'.repeat(2000) }, 'direct', author.id),
    );
    const answered: number[] = [];
    const judgements = await Promise.all(
      [subtree(1), large, subtree(2)].map(async (message, index) => {
        const { signature, where } = await judged(message);
        answered.push(index);
        return `${signature} ${where}`;
      }),
    );
    assert.deepEqual(judgements, ['holds main', 'holds thread', 'holds thread']);
    assert.deepEqual(answered, [0, 1, 2]);
  });

  it('is of kinds that say so: what would end or stall a checker, alone or not, is dropped there and scores nobody', async (context) => {
    const { pipeline, judged, offences } = await quietPipeline(context, {}, { checkerTimeoutMs: 2_000 });
    // The made-up trap does not say so: in main each of these would be the end of this test.
    const springs = ['exit', 'hang', 'memory'];
    const traps = springs.map((spring) =>
      // An escape, for this main's table has it at home: nothing but its text keeps it out.
      author.sign(
        trap.id,
        JSON.stringify({ spring }).replace(
          /"(\w)(\w+)"\}/,
          (_, first: string, rest: string) => `"\\u00${first.charCodeAt(0).toString(16)}${rest}"}`,
        ),
      ),
    );
    for (const message of traps) {
      assert.equal((await judged(subtree(1))).where, 'main');
      assert.deepEqual(await judged(message), { signature: 'poisonous', where: 'thread' });
    }
    const table = new Judge(settingsOf(), [...MESSAGE_KINDS, trap]);
    for (const spring of springs) {
      const message = author.sign(trap.id, JSON.stringify({ spring }));
      assert.equal(table.judgeAtHome({ ...message, receivedAt: 0, standing: 'stranger' }), undefined);
    }
    assert.deepEqual(offences, []);
    assert.equal(pipeline.failed, undefined);
    assert.equal((await judged(subtree(2))).signature, 'holds');
  });

  it('is as much as a millisecond a turn: the rest of a turn’s messages goes to the pool', async (context) => {
    const { judged } = await quietPipeline(context);
    const busy = (n: number) => author.sign(trap.id, JSON.stringify({ spring: 'busy', n }));
    const judgements = await Promise.all([0, 1, 2, 3].map((n) => judged(busy(n))));
    assert.deepEqual(
      judgements.map(({ where }) => where),
      ['main', 'thread', 'thread', 'thread'],
    );
  });
});
