/**
 * The page's one program. It is fed by the WebSocket and by /api/status, and by nothing else. Whatever comes from the network
 * is put on the page as text.
 */

import { formatRate } from './charts.js';
import { Feed } from './feed.js';
import { asText, duration, element, number, short } from './text.js';

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
const STATUS_MS = 2000;

const parts = Object.fromEntries(
  [...document.querySelectorAll('[id]')].map((element) => [element.id, element]),
);
const feed = new Feed(parts);

function hear(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return;
  }
  if (message === null || typeof message !== 'object' || message.type === 'PING') return;
  if (!greeted) greet(message);
  feed.hear(message);
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
  for (const peer of all) feed.name(asText(peer.id), asText(peer.name));
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

document.addEventListener('visibilitychange', refresh);
setInterval(() => {
  feed.tick();
  parts.rate.textContent = formatRate(feed.rate);
  parts.total.textContent = `${number(feed.total)} in all`;
}, 1000);
setInterval(refresh, STATUS_MS);
void refresh();
connect();
