/**
 * A server that lives many lives on one data directory, under traffic: its threads and processes are killed at moments that a seed draws, in each life until it is
 * itself killed or stopped, and after each the oracle judges what is there.
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Settings } from '../../../src/shared/settings/table.js';
import type { AnnouncedRecord } from '../announced-records.js';
import { Dashboard } from '../dashboard.js';
import { samplesOf, sumOf } from '../gossip.js';
import { randomNumbers } from '../random.js';
import { serverSettings } from '../server.js';
import type { SettingChanges } from '../settings.js';
import { waitFor } from '../wait.js';
import { type FiledJournal, readJournalFiles } from './journal-files.js';
import { MortalServer, VICTIMS, type Victim } from './mortal-server.js';
import {
  judgeFeed,
  judgeJournal,
  judgeRecords,
  KINDS,
  type Kind,
  NOTHING_STORED,
  type Stored,
} from './oracle.js';
import { Traffic, type Word } from './traffic.js';

export interface RandomDeaths {
  /** Of the chance that decides; `SEED` or the time unless told. */
  readonly seed?: number;
  /** How often the server is started. */
  readonly lives: number;
  /** Where the topics are. */
  readonly settings: SettingChanges;
  /** Everything in the topic of a kind. */
  readonly records: (kind: Kind) => Promise<readonly AnnouncedRecord[]>;
  /** Whether that is cheap enough to be asked for after each life. */
  readonly looksOften: boolean;
  /** Nothing dies, and each server hands over to the next under load. */
  readonly rolling?: boolean;
  /** A broker that can stand still for a while, or be gone. One that is there may be told to resume. */
  readonly broker?: { pause(): void; resume(): void };
  /** Listens to the feed too. */
  readonly audience?: (context: Pick<TestContext, 'after'>, options: AudienceOptions) => Audience;
  /** Bytes that the URLs of what is announced are longer by. */
  readonly padding?: number;
  /** Announcements that are made without a pause in the first life that comes to rest, and more until who does not read is taken off the live feed. */
  readonly flood?: number;
}

/** Where the feed is, in which of the server's lives. */
export interface Served {
  readonly life: number;
  readonly port: number;
}

export interface AudienceOptions {
  /** Its own chance. */
  readonly random: () => number;
  /** Of all that is announced, base58. */
  readonly authors: readonly string[];
  /** Asked at every attempt to connect; undefined: there is nobody to connect to. */
  readonly where: () => Served | undefined;
}

/** Somebody who listens to the feed, behaves as it likes, and judges what it heard. */
export interface Audience {
  /** Segments of the journal as they were, in place of those that are there. */
  readonly pristine: ReadonlyMap<string, Buffer>;
  /** All of it. */
  readonly connected: boolean;
  /** None of it is connected. */
  readonly parted: boolean;
  /** So far: while it stays, nobody was cut. */
  readonly connections: number;
  /** Between two bursts. */
  act(): void;
  /** From now on it only listens. */
  calm(): void;
  /** Those of it who stall in a flood connect anew: whoever has read much is sent more ahead. */
  beforeStall(): void;
  /** Whether they have had these words since, and so are on the live feed. */
  readyToStall(words: readonly string[]): boolean;
  /** They stop reading; gives how many they are. */
  stall(): number;
  /** They go on. */
  goOn(): void;
  /** Whether it has had those of `words` that it asked for. */
  haveHad(words: readonly string[]): boolean;
  /** The server is at rest: it must have had everything up to the last of `words`. */
  rest(words: readonly string[]): void;
  /** Nobody is connected any more. Throws where it heard anything else than what it was to hear. */
  judge(journal: FiledJournal): void;
  /** Does harm to a journal in which everything is old news, before life `life`; tells what. */
  harm(directory: string, life: number): string;
  /** Nothing more comes. Throws where something is amiss. */
  finish?(): Promise<void>;
  shown(words?: readonly string[]): readonly string[];
  sum(): string;
}

const DASHBOARDS = 3;
const BURSTS = 24;
const MOST_WORDS = 40;
const MOST_PAUSE_MS = 40;
/** Said at once in a flood. */
const FLOOD_BURST = 100;
/** Of a flood, some 2 KB each: more than any system takes for somebody who does not read (Linux up to 4 MiB at the one end and 32 at the other), and what the server keeps for them. */
const MOST_FLOOD = 20_000;
/** Of a server that dies while it starts. */
const LONGEST_START_MS = 3_000;
/** From a burst to the death in the midst of it. */
const LONGEST_FLIGHT_MS = 60;
/** Said at once, and between, while one server hands over to the next. */
const HAND_OVER_WORDS = 10;
const HAND_OVER_PAUSE_MS = 10;

/** Metrics of those who do not keep up, and of those who are served from the journal. */
const DEMOTIONS = 'teranode_p2p_websocket_slow_demotions_total';
const REPLAYING = 'teranode_p2p_websocket_replaying_clients';

/** How a life ends; in turns, so that a short run has each. */
const ENDS = ['killed', 'stopped', 'killed at start', 'killed', 'killed at rest', 'handed over'] as const;
/** The same where there are few lives. After a stop harm is done to the journal. */
const FEW_ENDS: readonly (typeof ENDS)[number][] = [
  'stopped',
  'killed',
  'stopped',
  'handed over',
  'killed at rest',
  'killed at start',
];

interface Burst {
  readonly words: readonly Word[];
  /** What else is said, without a pause. */
  readonly flood: readonly (readonly Word[])[];
  readonly pauseMs: number;
  readonly victim: Victim | undefined;
  readonly nth: number;
  readonly broker: 'pause' | 'resume' | undefined;
}

interface Life {
  readonly inlineChecks: boolean;
  readonly fsync: boolean;
  readonly bursts: readonly Burst[];
  readonly end: (typeof ENDS)[number];
  /** Of 1: when in the last burst, or in the start, it is killed. */
  readonly moment: number;
}

const comesToRest = (end: Life['end']): boolean => end !== 'killed' && end !== 'killed at start';

const floodOf = (drawn: (below: number) => number): Word[] =>
  Array.from({ length: FLOOD_BURST }, () => ({ stream: drawn(1_000), what: 'new' }));

/** The same for the same numbers, whatever becomes of it. */
function drawLives(
  random: () => number,
  { lives, rolling = false, flood = 0 }: Pick<RandomDeaths, 'lives' | 'rolling' | 'flood'>,
): Life[] {
  const drawn = (below: number): number => Math.floor(random() * below);
  const word = (): Word => {
    const chance = random();
    const what = chance < 0.9 ? 'new' : chance < 0.97 ? 'again' : 'forged';
    return { stream: drawn(1_000), what };
  };
  const first = drawn(4);
  // Few lives begin anywhere in the turns.
  const ends = flood === 0 ? ENDS : FEW_ENDS;
  const turn = flood === 0 ? 0 : drawn(ends.length);
  const endOf = (index: number): Life['end'] => {
    if (index === lives - 1) return 'stopped';
    return rolling ? 'handed over' : (ends[(turn + index) % ends.length] ?? 'killed');
  };
  const flooded =
    flood === 0 ? -1 : Array.from({ length: lives }, (_, index) => endOf(index)).findIndex(comesToRest);
  return Array.from({ length: lives }, (_, index) => {
    const always = drawn(BURSTS);
    const pauses = drawn(BURSTS);
    const bursts = Array.from({ length: BURSTS }, (_, at): Burst => {
      const sure = at === always ? VICTIMS[(first + index) % VICTIMS.length] : undefined;
      const chosen = VICTIMS[drawn(VICTIMS.length)];
      const victim = random() < 0.08 ? chosen : undefined;
      return {
        words: Array.from({ length: 1 + drawn(MOST_WORDS) }, word),
        flood: [],
        pauseMs: drawn(MOST_PAUSE_MS),
        victim: rolling ? undefined : (sure ?? victim),
        nth: drawn(100),
        broker: at === pauses ? (flood > 0 || index % 3 === 1 ? 'pause' : 'resume') : undefined,
      };
    });
    if (index === flooded) {
      const said = Array.from({ length: flood / FLOOD_BURST }, () => floodOf(drawn));
      bursts.splice(drawn(BURSTS), 0, {
        words: [],
        flood: said,
        pauseMs: 0,
        victim: undefined,
        nth: 0,
        broker: undefined,
      });
    }
    return {
      inlineChecks: ((first + index) & 1) === 0,
      fsync: ((first + index) & 2) === 0,
      bursts,
      end: endOf(index),
      moment: random(),
    };
  });
}

class Run {
  readonly story: string[] = [];
  readonly #context: Pick<TestContext, 'after'>;
  readonly #options: RandomDeaths;
  readonly #settings: Settings;
  readonly #traffic: Traffic;
  readonly #dashboards: readonly Dashboard[];
  readonly #audience: Audience | undefined;
  #served: Served | undefined;
  /** Lives so far. */
  #lives = 0;
  /** The server of the next life, where it has taken over from this one's. */
  #heir: MortalServer | undefined;
  #stored: Stored = NOTHING_STORED;
  /** After which records may come again. */
  #deaths = 0;
  readonly #died = new Map<string, number>();
  #heardByClients = 0;
  /** Messages that this life's server was sent before checkers of it were killed last. */
  #sentBefore = 0;
  /** Times that somebody was taken off the live feed, and was back on it when the server came to rest. */
  #demotions = 0;

  private constructor(
    context: Pick<TestContext, 'after'>,
    options: RandomDeaths,
    { traffic, seed }: { readonly traffic: Traffic; readonly seed: number },
  ) {
    this.#context = context;
    this.#options = options;
    this.#traffic = traffic;
    this.#settings = serverSettings(context, {
      p2p_node_status_interval: 3_600_000,
      // GossipSub forwards nothing whose verdict takes more than five heartbeats.
      p2p_heartbeat_interval: 4_000,
      p2p_max_announcers_per_hash: 0,
      p2p_connection_messages_per_second: 1_000_000,
      p2p_connection_bytes_per_second: 1_000_000_000,
      p2p_datadir_wait: 120_000,
      ...options.settings,
    });
    const where = () => this.#served;
    const url = () => this.#served && `ws://127.0.0.1:${this.#served.port}/p2p-ws`;
    this.#dashboards = Array.from({ length: DASHBOARDS }, () => new Dashboard(context, url));
    const { authors } = traffic;
    // So that the server dies as it would without an audience.
    this.#audience = options.audience?.(context, { random: randomNumbers(~seed), authors, where });
  }

  static async create(
    context: Pick<TestContext, 'after'>,
    options: RandomDeaths,
    seed: number,
  ): Promise<Run> {
    return new Run(context, options, { traffic: await Traffic.create(context, options.padding), seed });
  }

  #start({ inlineChecks, fsync }: Life): MortalServer {
    return new MortalServer(this.#context, {
      ...this.#settings,
      p2p_inline_checks: inlineChecks,
      p2p_outbox_fsync: fsync,
    });
  }

  async live(life: Life, next: Life | undefined): Promise<void> {
    const { inlineChecks, fsync, end } = life;
    const server = this.#heir ?? this.#start(life);
    this.#heir = undefined;
    this.#tell(`a life: inline checks ${inlineChecks}, fsync ${fsync}, ${end}`);
    try {
      if (end === 'killed at start') await delay(life.moment * LONGEST_START_MS);
      else await this.#talk(server, life, next === undefined);
      if (end === 'handed over' && next !== undefined) await this.#handOver(life, next);
    } catch (error) {
      const audience = this.#audience?.shown() ?? [];
      this.story.push(...server.lines, this.#clients(), ...audience, ...(await figuresOf(server)));
      const heir = this.#heir as MortalServer | undefined;
      await Promise.all([server.kill(), heir?.kill()]);
      throw this.#explained(error);
    }
    if (!this.#options.rolling) this.#deaths++;
    this.#count(end);
    // As the controller of a rolling update does it: the old one ends once the new one is ready.
    if (end === 'stopped' || end === 'handed over') await server.stop();
    else await server.kill();
    await this.#judge(end);
  }

  /** What was waited for in vain may be told by what the audience has heard so far. */
  #explained(error: unknown): unknown {
    const audience = this.#audience;
    try {
      audience?.judge(readJournalFiles(join(this.#settings.DATADIR, 'journal'), audience.pristine));
    } catch (cause) {
      if (error instanceof Error && cause instanceof Error) error.message += `, for ${cause.message}`;
    }
    return error;
  }

  async #talk(server: MortalServer, { bursts, end, moment }: Life, isLast: boolean): Promise<void> {
    const ready = await server.ready();
    this.#served = { life: this.#lives, port: ready.http };
    this.#sentBefore = 0;
    await this.#traffic.join(server, ready, this.#stored);
    await this.#traffic.sayAgain();
    for (const { words, flood, pauseMs, victim, nth, broker } of bursts) {
      if (broker !== undefined && this.#options.broker !== undefined) {
        this.#tell(`the broker: ${broker}`);
        this.#options.broker[broker]();
      }
      await this.#traffic.say(words);
      this.#audience?.act();
      if (flood.length > 0) await this.#flood(server, flood);
      if (victim !== undefined) await this.#kill(server, victim, nth);
      await delay(pauseMs);
    }
    if (end === 'killed') {
      const last = bursts.flatMap(({ words }) => words).slice(0, 4 * MOST_WORDS);
      const flight = this.#traffic.say(last);
      await delay(moment * LONGEST_FLIGHT_MS);
      await server.kill();
      await flight;
      return;
    }
    // What waits for it is all to come.
    if (isLast || this.#audience !== undefined) this.#options.broker?.resume();
    await this.#rest(server);
    if (this.#audience !== undefined) await this.#allLive(server);
    if (isLast || this.#audience !== undefined) await this.#drain(server);
  }

  /** Until those who do not read meanwhile are taken off the live feed: what came goes to them from the journal. */
  async #flood(server: MortalServer, flood: readonly (readonly Word[])[]): Promise<void> {
    const audience = this.#audience;
    assert.ok(audience !== undefined, 'a flood without an audience');
    const figure = async (name: string) => sumOf(await server.scrape(), name);
    audience.beforeStall();
    const said = await this.#traffic.sayOneEach();
    await waitFor(() => audience.readyToStall(said), { what: 'those who are to stall to be live' });
    const before = await figure(DEMOTIONS);
    const stalling = audience.stall();
    for (let words = 0; (await figure(DEMOTIONS)) - before < stalling; words += FLOOD_BURST * flood.length) {
      if (words > MOST_FLOOD) {
        // Who was not live any more when it stopped reading is not taken off the live feed.
        const replaying = await figure(REPLAYING);
        assert.ok(replaying >= stalling, `${stalling} do not read, and ${replaying} are off the live feed`);
        break;
      }
      for (const burst of flood) {
        await this.#traffic.say(burst);
        audience.act();
      }
      await this.#judged(server, this.#traffic.sendings);
    }
    audience.goOn();
  }

  /** The next server comes, under load, and has taken over when it is ready. What is said meanwhile may reach nobody, and is said again. */
  async #handOver(life: Life, next: Life): Promise<void> {
    const words = life.bursts.flatMap((burst) => burst.words);
    let over = false;
    const talk = (async () => {
      for (let at = 0; !over; at += HAND_OVER_WORDS) {
        await this.#traffic.say(words.slice(at % words.length).slice(0, HAND_OVER_WORDS));
        await delay(HAND_OVER_PAUSE_MS);
      }
    })();
    this.#served = undefined;
    this.#heir = this.#start(next);
    try {
      await this.#heir.ready();
    } finally {
      over = true;
      await talk;
    }
  }

  async #kill(server: MortalServer, victim: Victim, nth: number): Promise<void> {
    if (victim.startsWith('checker')) {
      // A message that is alone with its checker when that dies, after another had died of its batch, is dropped as poisonous.
      await this.#judged(server, this.#sentBefore);
      this.#sentBefore = this.#traffic.sendings;
    }
    const killed = Number(await server.ask({ op: 'kill', victim, nth }));
    this.#tell(`${killed} killed: ${victim}`);
    if (killed > 0) this.#count(victim);
    if (victim === 'publisher' && killed > 0) this.#deaths++;
  }

  /** Until everything sent has had its verdict and is where it belongs: what was accepted is just what was new. */
  async #rest(server: MortalServer): Promise<void> {
    await this.#tellClients();
    const told = await this.#judged(server, this.#traffic.sendings);
    const expected = this.#traffic.expected();
    for (const kind of KINDS) {
      const became = { ok: 0, repeat: 0, ...told[kind] };
      assert.deepEqual(became, expected[kind], `what became of each ${kind}: ${JSON.stringify(became)}`);
    }
    // Passed on, by this server or an earlier one: what was stored then is not passed on again.
    const stored = new Set(this.#stored.words);
    const owed = this.#traffic.sent.filter((word) => !stored.has(word));
    await waitFor(
      () => {
        const passedOn = this.#traffic.passedOn();
        return owed.every((word) => passedOn.has(word));
      },
      { what: 'everything accepted to be passed on', timeoutMs: 60_000 },
    );
  }

  /** Until everybody in the audience is served what comes, and nobody what there was. */
  async #allLive(server: MortalServer): Promise<void> {
    const isLive = async () => {
      const scrape = await server.scrape();
      return sumOf(scrape, REPLAYING) === 0 ? { demotions: sumOf(scrape, DEMOTIONS) } : undefined;
    };
    const { demotions } = await waitFor(isLive, { what: 'everybody to be live', everyMs: 100 });
    this.#demotions += demotions;
  }

  /** What became of what was sent, once so much of it has its verdict. */
  async #judged(server: MortalServer, count: number): Promise<Record<Kind, Record<string, number>>> {
    const look = async () => {
      const samples = samplesOf(await server.scrape(), 'teranode_p2p_messages_total').filter(
        ({ labels, value }) => labels.outcome !== 'forged' && value > 0,
      );
      const of = (kind: Kind) =>
        Object.fromEntries(
          samples
            .filter(({ labels }) => labels.kind === kind)
            .map(({ labels, value }) => [labels.outcome ?? '', value]),
        );
      return { block: of('block'), subtree: of('subtree') };
    };
    return waitFor(
      async () => {
        const told = await look();
        const all = KINDS.flatMap((kind) => Object.values(told[kind]));
        return all.reduce((sum, value) => sum + value, 0) >= count ? told : undefined;
      },
      { what: `${count} verdicts`, timeoutMs: 60_000, everyMs: 50 },
    );
  }

  /** Until every client, connected throughout, has heard one more announcement of each kind and author. */
  async #tellClients(): Promise<void> {
    const audience = this.#audience;
    audience?.calm();
    for (;;) {
      await waitFor(() => this.#dashboards.every(({ open }) => open) && (audience?.connected ?? true), {
        what: 'every client to be back',
      });
      const connections = audience?.connections;
      const lives = this.#dashboards.map(({ life }) => life);
      const changed = () =>
        audience?.connections !== connections ||
        this.#dashboards.some(({ life }, index) => life !== lives[index]);
      const counts = this.#dashboards.map(({ lives: all }) => all.at(-1)?.length ?? 0);
      const said = await this.#traffic.sayOneEach();
      const heard = () =>
        this.#dashboards.every(({ lives: all }, index) => {
          const since = (all.at(-1) ?? []).slice(counts[index]);
          const words = new Set(
            since.map(({ type, hash, peer_id }) => `${type} ${peer_id} ${Number.parseInt(hash, 16) - 1}`),
          );
          return said.every((word) => words.has(word));
        });
      this.#tell(this.#clients());
      await waitFor(() => changed() || (heard() && (audience?.haveHad(said) ?? true)), {
        what: 'the last announcements at every client',
        timeoutMs: 60_000,
      });
      if (changed()) continue;
      audience?.rest(said);
      return;
    }
  }

  #clients(): string {
    const told = this.#dashboards.map(
      ({ open, life, lives }) =>
        `${open ? 'served' : 'cut'}, ${life} connections, ${lives.at(-1)?.length} frames`,
    );
    return `clients: ${told.join('; ')}`;
  }

  async #drain(server: MortalServer): Promise<void> {
    await waitFor(
      async () => {
        const scrape = await server.scrape();
        return /teranode_p2p_outbox_depth/.test(scrape) && sumOf(scrape, 'teranode_p2p_outbox_depth') === 0;
      },
      { what: 'an empty outbox', timeoutMs: 120_000, everyMs: 100 },
    );
  }

  /** What is there after a life, while nothing runs, or the next server has nothing to do. */
  async #judge(end: Life['end']): Promise<void> {
    this.#served = undefined;
    await this.#traffic.parted();
    const audience = this.#audience;
    // Who does not read does not see the end either.
    audience?.calm();
    await waitFor(() => this.#dashboards.every(({ open }) => !open) && (audience?.parted ?? true), {
      what: 'the clients to be cut',
    });
    const directory = join(this.#settings.DATADIR, 'journal');
    const journal = readJournalFiles(directory, audience?.pristine);
    if (end === 'stopped') assert.equal(journal.torn, 0, 'a stop leaves no half batch');
    this.#stored = judgeJournal(journal, this.#stored);
    const stored = new Set(this.#stored.words);
    for (const word of this.#traffic.passedOn())
      assert.ok(stored.has(word), `${word} was accepted and is not stored`);
    for (const { lives } of this.#dashboards) {
      for (const frames of lives) {
        judgeFeed(frames, this.#stored);
        this.#heardByClients += frames.splice(0).length;
      }
    }
    audience?.judge(journal);
    this.#lives++;
    if (end === 'stopped' && audience !== undefined) this.#tell(audience.harm(directory, this.#lives));
    if (this.#options.looksOften) await this.#judgeTopics(false);
    const torn = journal.torn === 0 ? '' : `, ${journal.torn} bytes of half a batch`;
    this.#tell(`${this.#stored.words.length} of ${this.#traffic.said} stored${torn}`);
  }

  async #judgeTopics(whole: boolean): Promise<number> {
    let again = 0;
    for (const kind of KINDS) {
      const records = await this.#options.records(kind);
      again += judgeRecords(records, kind, this.#stored, { deaths: this.#deaths, whole }).again;
    }
    return again;
  }

  /** At the end of all lives, when everything has had its time. */
  async finish(): Promise<string> {
    assert.equal(this.#stored.words.length, this.#traffic.said, 'everything that was announced is stored');
    const again = await this.#judgeTopics(true);
    await this.#audience?.finish?.();
    const died = [...this.#died].map(([what, times]) => `${what} ${times}`).join(', ');
    const audience =
      this.#audience === undefined
        ? ''
        : `; ${this.#demotions} times somebody slow taken off the live feed, and back; ${this.#audience.sum()}`;
    return (
      `${this.#traffic.said} announcements, ${this.#traffic.passedOn().size} seen to be passed on, ` +
      `${this.#heardByClients} frames at clients, ${again} records again; ${died}${audience}`
    );
  }

  #count(what: string): void {
    this.#died.set(what, (this.#died.get(what) ?? 0) + 1);
  }

  #tell(line: string): void {
    this.story.push(line);
  }
}

/** What tells where frames and verdicts stand; nothing where it does not answer. */
async function figuresOf(server: MortalServer): Promise<string[]> {
  const scrape = await server.scrape().catch(() => '');
  return scrape
    .split('\n')
    .filter((line) =>
      /^teranode_p2p_(frame|websocket|notification|messages_total|publisher|outbox)/.test(line),
    )
    .filter((line) => !/_bucket|_sum/.test(line) && !line.endsWith(' 0'));
}

/** Runs it. Says its seed, with which `SEED=…` makes the same deaths again; a failure tells what came before it. */
export async function dieAtRandom(context: TestContext, options: RandomDeaths): Promise<void> {
  const seed = Number(process.env.SEED ?? options.seed ?? Math.floor(performance.timeOrigin) % 1_000_000);
  context.diagnostic(`SEED=${seed}`);
  const run = await Run.create(context, options, seed);
  const lives = drawLives(randomNumbers(seed), options);
  try {
    for (const [index, life] of lives.entries()) await run.live(life, lives[index + 1]);
    context.diagnostic(await run.finish());
  } catch (error) {
    for (const line of run.story.slice(-300)) context.diagnostic(line);
    if (error instanceof Error) error.message = `SEED=${seed}: ${error.message}`;
    throw error;
  }
}
