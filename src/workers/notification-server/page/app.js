/**
 * The page's one program. It is fed by the WebSocket and by /api/status, and by nothing else. Whatever comes from the network
 * is put on the page as text.
 */

import { formatRate, RateChart } from './charts.js';

const KINDS = ['block', 'subtree', 'mining_on', 'rejected_tx', 'node_status'];
/** Kinds that a stranger may add to the page. */
const MOST_KINDS = 12;
const MOST_ROWS = 200;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
const STATUS_MS = 2000;

const byId = (id) => document.getElementById(id);
const parts = Object.fromEntries(
  [...document.querySelectorAll('[id]')].map((element) => [element.id, element]),
);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const asText = (value) => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');
const number = (value) => (Number.isFinite(value) ? Number(value).toLocaleString('en') : '');
const short = (id) => (id.length > 20 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id);

function bytes(size) {
  if (!Number.isFinite(size)) return '';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3));
  return `${(size / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function duration(seconds) {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first === -1) return '0s';
  return units
    .slice(first, first + 2)
    .map(([unit, size], index) => {
      const within = index === 0 ? seconds : seconds % units[first][1];
      return `${Math.floor(within / size)}${unit}`;
    })
    .join(' ');
}

// ── Feed ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const charts = new Map();
const hidden = new Set();
const names = new Map();
let waiting = [];
let paused = false;
let total = 0;
let drawScheduled = false;

function kindOf(message) {
  const kind = asText(message.type).slice(0, 32) || 'unknown';
  return charts.has(kind) || charts.size < MOST_KINDS ? kind : 'other';
}

function chartOf(kind) {
  let chart = charts.get(kind);
  if (chart === undefined) {
    chart = new RateChart(parts.charts, kind);
    charts.set(kind, chart);
    addFilter(kind);
  }
  return chart;
}

function addFilter(kind) {
  const button = element('button', 'chip', kind);
  button.type = 'button';
  button.dataset.kind = kind;
  button.setAttribute('aria-pressed', 'true');
  button.addEventListener('click', () => {
    if (hidden.has(kind)) hidden.delete(kind);
    else hidden.add(kind);
    button.setAttribute('aria-pressed', String(!hidden.has(kind)));
    for (const row of parts.feed.children) row.hidden = hidden.has(row.dataset.kind);
    showEmpty();
  });
  parts.filters.append(button);
}

function detailOf(message) {
  const facts = [];
  const fact = (label, value) => {
    if (value !== '') facts.push(`${label}${value}`);
  };
  fact('height ', number(message.height ?? (message.best_height || undefined)));
  fact('', Number.isFinite(message.tx_count) ? `${number(message.tx_count)} tx` : '');
  fact('', bytes(message.size_in_bytes));
  fact('by ', asText(message.miner ?? message.miner_name));
  fact('', asText(message.reason));
  fact('', asText(message.fsm_state));
  fact('', asText(message.base_url));
  return facts.join(' · ');
}

function rowOf({ message, kind, at }) {
  const row = element('li', 'row');
  row.dataset.kind = kind;
  row.hidden = hidden.has(kind);
  const hash = asText(message.hash ?? message.best_block_hash);
  const peer = asText(message.peer_id);
  const time = element('time', 'mono muted', at.toTimeString().slice(0, 8));
  time.dateTime = at.toISOString();
  const code = element('code', 'hash', short(hash));
  code.title = hash;
  const from = element('span', 'from', names.get(peer) || short(peer));
  from.title = peer;
  row.append(time, element('span', 'kind', kind), code, element('span', 'detail', detailOf(message)), from);
  return row;
}

function showEmpty() {
  parts['feed-empty'].hidden = [...parts.feed.children].some((row) => !row.hidden);
}

function showPause() {
  const held = waiting.length >= MOST_ROWS ? `${MOST_ROWS}+` : waiting.length;
  parts.pause.textContent = paused ? (waiting.length > 0 ? `Resume (${held} new)` : 'Resume') : 'Pause';
  parts.pause.setAttribute('aria-pressed', String(paused));
}

function draw() {
  drawScheduled = false;
  showPause();
  if (paused) return;
  // However many came in this frame of the screen, only what fits the list is made.
  parts.feed.prepend(...waiting.map(rowOf).reverse());
  waiting = [];
  while (parts.feed.children.length > MOST_ROWS) parts.feed.lastElementChild.remove();
  showEmpty();
}

function scheduleDraw() {
  if (drawScheduled) return;
  drawScheduled = true;
  // A hidden tab gets no animation frames, and must not gather messages without end either: `waiting` is cut below.
  requestAnimationFrame(draw);
}

function hear(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return;
  }
  if (message === null || typeof message !== 'object' || message.type === 'PING') return;
  const kind = kindOf(message);
  chartOf(kind).count();
  total++;
  const peer = asText(message.peer_id);
  if (peer !== '' && asText(message.client_name) !== '') {
    if (names.size > 1000) names.clear();
    names.set(peer, asText(message.client_name));
  }
  if (!greeted) greet(message);
  // biome-ignore lint/plugin: the time of day is what the row shows.
  waiting.push({ message, kind, at: new Date() });
  if (waiting.length > MOST_ROWS) waiting.shift();
  scheduleDraw();
}

// ── Connection ──────────────────────────────────────────────────────────────────────────────────────────────────────

let greeted = false;
let retryMs = FIRST_RETRY_MS;

/** The first frame is the node's own status. */
function greet(message) {
  greeted = true;
  if (message.type !== 'node_status') return;
  if (asText(message.client_name) !== '') parts['node-name'].textContent = asText(message.client_name);
  parts['node-id'].textContent = asText(message.peer_id);
  if (Number.isFinite(message.best_height)) parts.height.textContent = number(message.best_height);
}

function showConnection(state, text) {
  parts.connection.dataset.state = state;
  parts.connection.textContent = text;
}

function connect() {
  showConnection('connecting', 'connecting');
  const url = new URL('p2p-ws', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url);
  socket.addEventListener('open', () => {
    retryMs = FIRST_RETRY_MS;
    greeted = false;
    showConnection('live', 'live');
    void refresh();
  });
  socket.addEventListener('message', (event) => hear(event.data));
  socket.addEventListener('close', () => {
    const delay = retryMs * (0.75 + Math.random() / 2);
    showConnection('lost', `reconnecting in ${Math.max(1, Math.round(delay / 1000))} s`);
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    setTimeout(connect, delay);
  });
}

// ── Status ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function peerRow(peer) {
  const row = element('tr');
  const who = element('td');
  const name = element('span', 'peer-name', asText(peer.name) || short(asText(peer.id)));
  const id = element('span', 'peer-id mono muted', `${peer.inbound ? '← ' : '→ '}${short(asText(peer.id))}`);
  id.title = `${peer.inbound ? 'inbound' : 'outbound'} ${asText(peer.id)}`;
  who.append(name, id);
  const score = element('td', 'number');
  const badge = element('span', 'score', number(peer.banScore));
  badge.dataset.level = peer.banScore >= 50 ? 'high' : peer.banScore > 0 ? 'some' : 'none';
  score.append(badge);
  row.append(
    who,
    element('td', 'number', peer.height > 0 ? number(peer.height) : '–'),
    score,
    element('td', 'number', Number.isFinite(peer.pingMs) ? `${Math.round(peer.pingMs)} ms` : '–'),
  );
  return row;
}

function dependencyRow(dependency) {
  const row = element('li');
  const good = Number(dependency.status) === 200;
  row.dataset.state = good ? 'good' : 'bad';
  row.append(
    element('span', 'dot'),
    element('span', 'resource', asText(dependency.resource)),
    element('span', 'muted', good ? 'ready' : 'not ready'),
  );
  return row;
}

function showStatus({ node, peers, sync, health, counters, at }) {
  if (asText(node?.name) !== '') parts['node-name'].textContent = asText(node.name);
  if (asText(node?.id) !== '') parts['node-id'].textContent = asText(node.id);
  parts.height.textContent = node?.height > 0 ? number(node.height) : '–';
  parts['best-block'].textContent = short(asText(node?.bestBlock));
  parts['best-block'].title = asText(node?.bestBlock);
  parts.uptime.textContent = Number.isFinite(node?.uptime) ? duration(node.uptime) : '–';
  parts.version.textContent = node?.version ? `version ${asText(node.version)}` : '';
  parts.fsm.textContent = asText(node?.fsmState).toLowerCase() || '–';
  parts.mode.textContent = [asText(node?.network), asText(node?.listenMode).replace('_', ' ')]
    .filter(Boolean)
    .join(' · ');
  const all = Array.isArray(peers) ? peers : [];
  for (const peer of all) if (asText(peer.name) !== '') names.set(asText(peer.id), asText(peer.name));
  showSync(sync, at);
  const inbound = all.filter((peer) => peer.inbound).length;
  parts['peer-count'].textContent = number(all.length);
  parts['peer-split'].textContent = `${inbound} in, ${all.length - inbound} out`;
  parts.peers.replaceChildren(...all.slice(0, 500).map(peerRow));
  parts['peers-empty'].hidden = all.length > 0;
  const good = Number(health?.status) === 200;
  parts['health-hint'].hidden = good;
  parts['health-state'].dataset.state = good ? 'live' : 'lost';
  parts['health-state'].textContent = good ? 'ready' : 'not ready';
  parts.health.replaceChildren(...(health?.dependencies ?? []).map(dependencyRow));
  parts.counters.replaceChildren(
    ...Object.entries(counters ?? {}).flatMap(([name, value]) => [
      element('dt', 'muted', name),
      element('dd', 'mono', number(value)),
    ]),
  );
}

/** The peer from which the node catches up, while it does; `at`: the node's own time, for this machine's may be another. */
function showSync(sync, at) {
  const id = asText(sync?.id);
  parts.sync.hidden = id === '';
  if (id === '') return;
  const height = sync.height > 0 ? ` to ${number(sync.height)}` : '';
  const since = Number.isFinite(at - sync.since) ? Math.floor((at - sync.since) / 1000) : 0;
  const name = asText(sync.name) || short(id);
  parts.sync.textContent = `catching up from ${name}${height}${since > 0 ? `, for ${duration(since)}` : ''}`;
  parts.sync.title = id;
}

function showStale() {
  parts['health-state'].dataset.state = 'unknown';
  parts['health-state'].textContent = 'unknown';
}

let refreshing = false;

async function refresh() {
  if (refreshing || document.hidden) return;
  refreshing = true;
  try {
    const answer = await fetch('api/status', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (answer.ok) showStatus(await answer.json());
    else showStale();
  } catch {
    showStale();
  } finally {
    refreshing = false;
  }
}

// ── Start ───────────────────────────────────────────────────────────────────────────────────────────────────────────

for (const kind of KINDS) chartOf(kind);
byId('pause').addEventListener('click', () => {
  paused = !paused;
  scheduleDraw();
});
byId('clear').addEventListener('click', () => {
  waiting = [];
  parts.feed.replaceChildren();
  showEmpty();
  showPause();
});
document.addEventListener('visibilitychange', refresh);
setInterval(() => {
  let rate = 0;
  for (const chart of charts.values()) {
    chart.tick();
    chart.draw();
    rate += chart.rate;
  }
  parts.rate.textContent = formatRate(rate);
  parts.total.textContent = `${number(total)} in all`;
}, 1000);
setInterval(refresh, STATUS_MS);
void refresh();
connect();
