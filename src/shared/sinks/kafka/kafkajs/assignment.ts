/**
 * Whether a group reads every partition of a topic. Its leader deals out the partitions that it sees when the group
 * is joined. One that is added later, or that the leader could not see then, has no reader until somebody joins anew, and
 * nothing in Kafka calls for that: a member that joins again as it was gets the same partitions as before.
 */

import type { Admin } from 'kafkajs';
import { Backoff } from '../../../async/backoff.js';
import type { Logger } from '../../../logging/logger.js';
import { kafkajs } from './library.js';
import type { KafkaTopic } from './topic.js';

export interface AssignmentComponents {
  readonly topic: KafkaTopic;
  readonly logger: Logger;
}

export interface AssignmentOptions {
  readonly group: string;
  readonly topic: string;
  /**
   * Milliseconds between two looks while all is well.
   * @default 30_000
   */
  readonly everyMs?: number;
  /**
   * Milliseconds from a join, or from a look that found partitions without a reader, to the next look.
   * @default 3_000
   */
  readonly soonMs?: number;
  /** Called when joining anew may help: ever more rarely while it does not. */
  readonly onUnread: (partitions: readonly number[]) => void;
}

const EVERY_MS = 30_000;
const SOON_MS = 3000;
/** Every member of the group waits while it is dealt out anew. */
const MAX_REJOIN_MS = 300_000;

export class Assignment {
  readonly #topic: KafkaTopic;
  readonly #logger: Logger;
  readonly #options: AssignmentOptions;
  readonly #everyMs: number;
  readonly #soonMs: number;
  #timer: NodeJS.Timeout | undefined;
  #unread: readonly number[] = [];
  readonly #rejoins: Backoff;
  #rejoinAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor({ topic, logger }: AssignmentComponents, options: AssignmentOptions) {
    this.#topic = topic;
    this.#logger = logger;
    this.#options = options;
    this.#everyMs = options.everyMs ?? EVERY_MS;
    this.#soonMs = options.soonMs ?? SOON_MS;
    this.#rejoins = new Backoff({ firstMs: this.#soonMs, maxMs: MAX_REJOIN_MS });
  }

  /** What readiness says; empty while every partition has a reader, as far as is known. */
  get problem(): string {
    const { group, topic } = this.#options;
    return this.#unread.length === 0
      ? ''
      : `nobody in the group ${group} reads ${partitionsOf(this.#unread)} of ${topic}`;
  }

  /** The group was dealt out anew. */
  joined(): void {
    this.#lookIn(this.#soonMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), ms).unref();
  }

  async #look(): Promise<void> {
    const { group, topic } = this.#options;
    this.#lookIn(this.#everyMs);
    try {
      const unread = await this.#topic.administer(`the readers of ${topic} are not known`, (admin) =>
        unreadPartitions(admin, group, topic),
      );
      if (this.#stopped) return;
      // While the group is being dealt out nothing is to be said of it.
      if (unread === undefined) this.#lookIn(this.#soonMs);
      else this.#found(unread);
    } catch (error) {
      // Readiness tells of a broker or a topic that does not answer.
      this.#logger.debug({ err: error, topic }, 'the readers of a topic are not known');
    }
  }

  #found(unread: readonly number[]): void {
    const { group, topic, onUnread } = this.#options;
    const before = this.#unread;
    this.#unread = unread;
    if (unread.length === 0) {
      this.#rejoins.reset();
      if (before.length > 0) this.#logger.info({ topic, group }, 'every partition has a reader again');
      return;
    }
    const bindings = { topic, group, partitions: unread };
    if (before.length === 0) this.#logger.warn(bindings, 'partitions have no reader: joining the group anew');
    this.#lookIn(this.#soonMs);
    const now = performance.now();
    if (now < this.#rejoinAt) return;
    this.#rejoinAt = now + this.#rejoins.next();
    onUnread(unread);
  }
}

/** Partitions that no member of the group has; undefined while the group is being dealt out. */
async function unreadPartitions(
  admin: Admin,
  group: string,
  topic: string,
): Promise<readonly number[] | undefined> {
  const { MemberAssignment } = kafkajs().AssignerProtocol;
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const { groups } = await admin.describeGroups([group]);
  const [described] = groups;
  if (described?.state !== 'Stable') return undefined;
  const read = new Set(
    described.members.flatMap(
      ({ memberAssignment }) => MemberAssignment.decode(memberAssignment)?.assignment[topic] ?? [],
    ),
  );
  const partitions = topics[0]?.partitions.map(({ partitionId }) => partitionId) ?? [];
  return partitions.filter((partition) => !read.has(partition)).sort((a, b) => a - b);
}

function partitionsOf(partitions: readonly number[]): string {
  return partitions.length === 1 ? `partition ${partitions[0]}` : `partitions ${partitions.join(', ')}`;
}
