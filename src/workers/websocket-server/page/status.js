/** What the node says of itself at /api/status: height, peers, health. */

import { fieldsOf } from './details.js';
import { Peers } from './peers.js';
import { asText, clean, duration, element, number, short, timestamp } from './text.js';

const ANSWER_MS = 5000;
/** A living node makes its status anew every second or two, and at the latest after 8. */
const STANDSTILL_MS = 10_000;
/** The blockchain service's states, where two words are written as one. */
const STATES = { CATCHINGBLOCKS: 'catching blocks', LEGACYSYNCING: 'legacy syncing' };

export class Status {
  /** The last report; undefined before the first. */
  report;
  /** When the node last said something new; undefined before it. */
  changed;
  #parts;
  #peers;
  /** `waiting` for the first answer, `answered`, `starting`, `silent`. */
  #answer = 'waiting';
  /** On the clock of `performance.now()`: the last answer, and the last that said something new. */
  #answeredAt = 0;
  #changedAt = 0;
  #refreshing = false;
  /** What is on the page. */
  #shown = {};

  /** `parts`: the page's elements by their id; `details`: where all of it can be read. */
  constructor(parts, details) {
    this.#parts = parts;
    this.#peers = new Peers(parts.peers, details);
    for (const id of ['node-id', 'best-block']) {
      parts[id].addEventListener('click', () => {
        const { node = {} } = this.report ?? {};
        const { startedAt, ...rest } = node;
        details.show({
          title: 'This node',
          fields: [...fieldsOf(JSON.stringify(rest)), ['startedAt', timestamp(startedAt)]],
          json: JSON.stringify(node),
        });
      });
    }
  }

  /** `fresh`, `waiting`, `starting`, `silent` where no answer comes, or `still` where the answer stays the same: the node hangs. */
  get state() {
    if (this.#answer !== 'answered') return this.#answer;
    return this.#answeredAt - this.#changedAt > STANDSTILL_MS ? 'still' : 'fresh';
  }

  /** Asks the node. */
  async refresh() {
    if (this.#refreshing || document.hidden) return;
    this.#refreshing = true;
    // Nobody looked for a while: what was known then is not known to be so now.
    if (performance.now() - this.#answeredAt > STANDSTILL_MS && this.#answer === 'answered')
      this.#answer = 'waiting';
    try {
      const answer = await fetch('api/status', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
      if (answer.ok) this.#take(await answer.json());
      else this.#answer = (await isStarting(answer)) ? 'starting' : 'silent';
    } catch {
      this.#answer = 'silent';
    } finally {
      this.#refreshing = false;
    }
  }

  /** Puts the last report on the page; `current`: whether it is known to be so now. */
  show(current) {
    const { report } = this;
    const parts = this.#parts;
    if (report === this.#shown.report && current === this.#shown.current) return;
    this.#shown = { report, current };
    if (report !== undefined) this.#show(report, current);
    const good = Number(report?.health?.status) === 200;
    parts['health-state'].dataset.state = current ? (good ? 'live' : 'lost') : 'unknown';
    parts['health-state'].textContent = current ? (good ? 'ready' : 'not ready') : 'unknown';
    parts['health-hint'].hidden = !current || good;
    const peers = report?.peers?.length ?? 0;
    parts['peers-table'].hidden = peers === 0;
    parts['peers-empty'].hidden = peers > 0;
    parts['peers-empty'].textContent = current ? 'No peers connected.' : 'Not known.';
  }

  #take(report) {
    // Compared with itself alone: the node's clock may be another than this machine's.
    this.#answeredAt = performance.now();
    if (report.at !== this.report?.at) {
      this.#changedAt = this.#answeredAt;
      // biome-ignore lint/plugin: the time of day is what the page shows.
      this.changed = new Date();
    }
    this.#answer = 'answered';
    this.report = report;
  }

  #show({ node, peers, sync, health, counters, at }, current) {
    const parts = this.#parts;
    if (asText(node?.name) !== '') parts['node-name'].textContent = clean(asText(node.name));
    if (asText(node?.id) !== '') parts['node-id'].textContent = asText(node.id);
    parts['node-id'].disabled = false;
    parts['best-block'].hidden = asText(node?.bestBlock) === '';
    parts.height.textContent = node?.height > 0 ? number(node.height) : '–';
    parts['best-block'].textContent = short(asText(node?.bestBlock));
    parts['best-block'].title = asText(node?.bestBlock);
    parts.uptime.textContent = Number.isFinite(node?.uptime) ? duration(node.uptime) : '–';
    parts.version.textContent = node?.version ? `version ${asText(node.version)}` : '';
    parts.fsm.textContent = STATES[node?.fsmState] ?? (asText(node?.fsmState).toLowerCase() || '–');
    parts.mode.textContent = [asText(node?.network), asText(node?.listenMode).replace('_', ' ')]
      .filter(Boolean)
      .join(' · ');
    const all = Array.isArray(peers) ? peers : [];
    this.#showSync(sync, at);
    const inbound = all.filter((peer) => peer.inbound).length;
    parts['peer-count'].textContent = number(all.length);
    parts['peer-split'].textContent = `${inbound} in, ${all.length - inbound} out`;
    this.#peers.show(all);
    parts.health.replaceChildren(
      ...(health?.dependencies ?? []).map((dependency) => dependencyRow(dependency, current)),
    );
    parts.counters.replaceChildren(
      ...Object.entries(counters ?? {}).flatMap(([name, value]) => [
        element('dt', 'muted', name),
        element('dd', 'mono', number(value)),
      ]),
    );
  }

  /** The peer from which the node catches up, while it does; `at`: the node's own time, for this machine's may be another. */
  #showSync(sync, at) {
    const { sync: part } = this.#parts;
    const id = asText(sync?.id);
    part.hidden = id === '';
    if (id === '') return;
    const height = sync.height > 0 ? ` to ${number(sync.height)}` : '';
    const since = Number.isFinite(at - sync.since) ? Math.floor((at - sync.since) / 1000) : 0;
    const name = clean(asText(sync.name)) || short(id);
    part.textContent = `catching up from ${name}${height}${since > 0 ? `, for ${duration(since)}` : ''}`;
    part.title = id;
  }
}

async function isStarting(answer) {
  return answer.status === 503 && (await answer.json())?.starting === true;
}

function dependencyRow(dependency, current) {
  const row = element('li');
  const good = Number(dependency.status) === 200;
  if (current) row.dataset.state = good ? 'good' : 'bad';
  row.append(
    element('span', 'dot'),
    element('span', 'resource', clean(asText(dependency.resource))),
    element('span', 'muted', `${current ? '' : 'was '}${good ? 'ready' : 'not ready'}`),
  );
  return row;
}
