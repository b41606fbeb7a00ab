/** Go nodes that score their peers and ours in one mesh, while members leave and return. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { meshOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import {
  chainOf,
  type Feed,
  openFeed,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { waitFor } from '../support/wait.js';
import { Neighbour } from './neighbour.js';
import { goTopic } from './params.js';
import { type GoMessage, GoPeer, type GoPeerScore } from './peers.js';

const SUBTREE = kindNamed('subtree');
const GO_HUB = 'http://127.0.0.1:9/api/v1';
/** As nodes have it. A message is passed on for five heartbeats: at a fifth of it, one that a busy machine checks for a second is lost. */
const HEARTBEAT_MS = 1_000;
/**
 * What Go's scores forgive. An honest node breaks no rule, or one when both ends graft at once; but where the machine stands still for
 * the three seconds in which a promised message has to come, each message that was just offered is one.
 */
const FORGIVEN = 6;
const ARRIVES = { timeoutMs: 20_000 };

/** A node of either kind in the ring. */
interface Member {
  readonly name: string;
  readonly id: string;
  readonly address: string;
  connect(address: string): Promise<unknown>;
  meshes(id: string): Promise<unknown>;
  /** Announces a subtree that nobody has announced; resolves with its hash. */
  announce(): Promise<string>;
  hears(hash: string): Promise<unknown>;
  /** Told the worst score so far of each peer. */
  worst(): Promise<ReadonlyMap<string, GoPeerScore>>;
  leave(): Promise<unknown>;
  /** The same node, started again. */
  again(): Promise<Member>;
}

/** The hash in what a Go node heard: JSON by itself, or in the message bus's envelope. */
function hashIn({ data }: GoMessage): unknown {
  const outer = JSON.parse(data) as { Hash?: string; data?: string };
  if (outer.data === undefined) return outer.Hash;
  return (JSON.parse(Buffer.from(outer.data, 'base64').toString()) as { Hash?: string }).Hash;
}

async function goMember(
  context: TestContext,
  name: string,
  topics: readonly string[],
  key: string,
): Promise<Member> {
  const go = await GoPeer.start(context, {
    key,
    topics,
    heartbeatMs: HEARTBEAT_MS,
    scored: true,
    peerExchange: true,
  });
  const [topic] = topics as [string];
  return {
    name,
    id: go.id,
    address: go.address,
    connect: (address) => go.connect(address),
    meshes: (id) => go.meshes(id, topic),
    async announce() {
      const hash = randomBytes(32).toString('hex');
      const said = { Hash: hash, DataHubURL: GO_HUB, PeerID: go.id, ClientName: name };
      const data = Buffer.from(JSON.stringify(said)).toString('base64');
      await go.publish(topic, { name, data });
      return hash;
    },
    hears: (hash) =>
      go.program.event<GoMessage>(
        'message',
        (message) => message.topic === topic && hashIn(message) === hash,
        `${hash} at ${name}`,
        ARRIVES.timeoutMs,
      ),
    worst: async () => new Map(Object.entries(await go.scores())),
    leave: () => go.stop(),
    again: () => goMember(context, name, topics, key),
  };
}

/** What GossipSub counts and its type does not show. */
interface ScoreStats {
  dumpPeerScoreStats(): Record<string, { readonly behaviourPenalty: number }>;
}

/** Looks at the scores of everybody that a server has ever been connected to. */
function watchScores(context: TestContext, { server }: TestServer): Map<string, GoPeerScore> {
  const worst = new Map<string, GoPeerScore>();
  const look = () => {
    const gossip = server.parts.node.inspect().host?.services.pubsub;
    for (const { id } of server.parts.node.peers()) worst.set(id, worst.get(id) ?? NEVER_SEEN);
    if (gossip === undefined) return;
    const stats = (gossip as unknown as ScoreStats).dumpPeerScoreStats();
    for (const [id, { lowest, mostPenalty, looks }] of worst) {
      worst.set(id, {
        lowest: Math.min(lowest, gossip.getScore(id)),
        mostPenalty: Math.max(mostPenalty, stats[id]?.behaviourPenalty ?? 0),
        looks: looks + 1,
      });
    }
  };
  const timer = setInterval(look, 50);
  context.after(() => clearInterval(timer));
  return worst;
}
const NEVER_SEEN: GoPeerScore = { lowest: 0, mostPenalty: 0, looks: 0 };

async function ourMember(context: TestContext, settings: ReturnType<typeof serverSettings>): Promise<Member> {
  const server = await startServer(context, settings);
  const feed: Feed = await openFeed(context, server.server);
  const worst = watchScores(context, server);
  const topic = goTopic('subtree');
  return {
    name: settings.clientName,
    id: server.server.peerId,
    address: server.address,
    connect: (address) => server.server.parts.node.connect(address),
    meshes: (id) =>
      waitFor(() => meshOf(server, topic).includes(id), { what: `${id} in our mesh`, ...ARRIVES }),
    announce: () => chainOf(server).makeSubtree(),
    hears: (hash) =>
      feed.next(
        (frame) => frame.type === 'subtree' && frame.hash === hash,
        `${hash} at ${settings.clientName}`,
        ARRIVES.timeoutMs,
      ),
    worst: async () => worst,
    leave: () => server.server.stop(),
    again: () => ourMember(context, settings),
  };
}

/** Connected, and each in the mesh of the other. */
async function link(left: Member, right: Member): Promise<void> {
  await left.connect(right.address);
  await Promise.all([left.meshes(right.id), right.meshes(left.id)]);
}

/** Every member announces `count` subtrees, one after the other, and every other one hears each. */
async function everyMessageArrives(members: readonly Member[], count: number): Promise<void> {
  const announced: { readonly by: Member; readonly hash: string }[] = [];
  for (let n = 0; n < count; n++) {
    for (const by of members) announced.push({ by, hash: await by.announce() });
  }
  const missed: string[] = [];
  await Promise.all(
    announced.flatMap(({ by, hash }, n) =>
      members
        .filter((member) => member !== by)
        .map((member) => member.hears(hash).catch(() => missed.push(`${n} ${by.name} to ${member.name}`))),
    ),
  );
  assert.deepEqual(missed, []);
}

test('every message reaches every node while Go nodes and ours leave and return, and no score goes below zero', async (context) => {
  const keys = new Neighbour(context, 'peer');
  const servers = ['a', 'b', 'c'].map((name) =>
    serverSettings(context, {
      clientName: `ours ${name}`,
      p2p_heartbeat_interval: HEARTBEAT_MS,
      p2p_checkers: 1,
      p2p_notification_servers: 1,
    }),
  );
  const topics = [SUBTREE, ...MESSAGE_KINDS.filter((kind) => kind !== SUBTREE)].map((kind) =>
    goTopic(kind.topic.default),
  );
  // In a ring, each between two of the other kind: what one says goes through both kinds.
  const ring: Member[] = [];
  for (const settings of servers) {
    const { long } = await keys.call<{ long: string }>('newKey');
    ring.push(await goMember(context, `go ${settings.clientName.at(-1)}`, topics, long));
    ring.push(await ourMember(context, settings));
  }
  const at = (index: number) => ring[(index + ring.length) % ring.length] as Member;
  for (const index of ring.keys()) await link(at(index), at(index + 1));
  await everyMessageArrives(ring, 3);

  /** `<who> of <whom>`. */
  const thought = new Map<string, GoPeerScore>();
  const note = async (member: Member) => {
    for (const [id, score] of await member.worst()) {
      const whom = ring.find((other) => other.id === id)?.name ?? id;
      thought.set(`${member.name} of ${whom}`, score);
      assert.ok(score.lowest >= 0, `${member.name} gives ${whom} ${score.lowest}`);
      assert.ok(score.mostPenalty <= FORGIVEN, `${member.name} counts ${score.mostPenalty} of ${whom}`);
    }
  };
  for (const index of [2, 3, 0, 5]) {
    const leaver = at(index);
    await note(leaver);
    const others = ring.filter((member) => member !== leaver);
    await Promise.all([leaver.leave(), everyMessageArrives(others, 3)]);
    ring[index] = await leaver.again();
    assert.equal(at(index).id, leaver.id);
    const returns = async () => {
      await link(at(index), at(index - 1));
      await link(at(index), at(index + 1));
    };
    await Promise.all([returns(), everyMessageArrives(others, 3)]);
    await everyMessageArrives(ring, 2);
  }
  for (const member of ring) await note(member);
  for (const index of ring.keys()) {
    for (const neighbour of [at(index - 1), at(index + 1)]) {
      const looked = thought.get(`${at(index).name} of ${neighbour.name}`)?.looks ?? 0;
      assert.ok(looked > 0, `${at(index).name} looked at ${neighbour.name}`);
    }
  }
});
