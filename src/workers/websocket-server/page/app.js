/**
 * The page's one program. It is fed by the WebSocket and by /api/status, and by nothing else. Whatever comes from the network
 * is put on the page as text, and what is not known to be so now looks like it.
 */

import { Access, tokenWord } from './access.js';
import { formatRate } from './charts.js';
import { Connection } from './connection.js';
import { Details } from './details.js';
import { Feed } from './feed.js';
import { kindsOf } from './kinds.js';
import { Status } from './status.js';
import { asText, clean, number, timeOfDay } from './text.js';
import { Token } from './token.js';

const STATUS_MS = 2000;

const parts = Object.fromEntries(
  [...document.querySelectorAll('[id]')].map((element) => [element.id, element]),
);
const details = new Details(parts);
const feed = new Feed(parts, details);
const status = new Status(parts, details);
const token = new Token();
const access = new Access(parts, token, askAnew);
let greeted = false;

const connection = new Connection(token, {
  opened(node) {
    if (!greeted && node !== undefined) greet(node);
    void refresh();
  },
  frame(message, text) {
    feed.hear(message, text);
  },
  notice(event) {
    feed.note(event);
  },
  lost() {
    void refresh();
  },
});

function askAnew() {
  connection.askAnew();
  show();
}

/** The feed begins with the node's own status: it is there before /api/status is read. */
function greet(message) {
  greeted = true;
  feed.hear(message, JSON.stringify(message));
  if (status.report !== undefined) return;
  if (asText(message.client_name) !== '') parts['node-name'].textContent = clean(asText(message.client_name));
  parts['node-id'].textContent = clean(asText(message.peer_id));
  if (Number.isFinite(message.best_height)) parts.height.textContent = number(message.best_height);
}

async function refresh() {
  show();
  await status.refresh();
  if (status.state === 'silent') connection.doubt();
  for (const { id, name } of status.report?.peers ?? []) feed.name(asText(id), asText(name));
  show();
}

/** How it stands with feed and figures, in one word and, where something is amiss, a sentence. */
function standing() {
  const { live } = connection;
  const figures = status.state;
  const at = (time) => (time === undefined ? '' : ` since ${timeOfDay(time)}`);
  if (!live && connection.asking) return ['connecting', 'connecting'];
  if (!live) {
    const seconds = connection.retrySeconds;
    const word = seconds > 0 ? `reconnecting in ${seconds} s` : 'reconnecting';
    // What there is to say and do stands beside the field for it.
    if (connection.problem !== undefined && figures !== 'silent')
      return ['warn', tokenWord(connection.problem) ?? word];
    if (connection.refused !== undefined)
      return ['lost', word, `The node gives no feed: ${clean(connection.refused)}.`];
    if (connection.heard === undefined && figures === 'fresh')
      return ['lost', word, 'The node answers, and its feed cannot be reached. Trying again.'];
    if (connection.heard === undefined) return ['lost', word, 'The node cannot be reached. Trying again.'];
    if (figures === 'fresh')
      return ['lost', word, `No feed${at(connection.heard)}: its messages are from before. Trying again.`];
    return [
      'lost',
      word,
      `No connection${at(connection.heard)}: all that is shown is from before. Trying again.`,
    ];
  }
  switch (figures) {
    case 'fresh':
      return ['live', 'live'];
    case 'waiting':
      return ['connecting', 'connecting'];
    case 'starting':
      return ['warn', 'starting', 'The node is starting: it hears, and says nothing of itself yet.'];
    case 'still':
      return [
        'lost',
        'standing still',
        `The node has said nothing new${at(status.changed)}: it may hang. Its figures are from then.`,
      ];
    default:
      return [
        'lost',
        'not answering',
        `The node does not answer${at(status.changed)}: its figures are from then.`,
      ];
  }
}

/** The node's kinds of which messages are to be had. */
function kindsHere() {
  const { kinds: allowed } = connection;
  return kindsOf(status.report).filter(({ name }) => allowed === undefined || allowed.includes(name));
}

function show() {
  if (status.report !== undefined) feed.describe(kindsHere());
  access.show(
    connection,
    kindsOf(status.report).map(({ name }) => name),
  );
  const [state, word, sentence = ''] = standing();
  parts.connection.dataset.state = state;
  parts.connection.textContent = word;
  parts.banner.hidden = sentence === '';
  // Set only when it differs: it is read out.
  if (parts.banner.textContent !== sentence) parts.banner.textContent = sentence;
  const current = status.state === 'fresh';
  status.show(current);
  feed.live = connection.live;
  const name = parts['node-name'].textContent;
  document.title = state === 'live' ? name : `(${word.replace(/ in .*/, '')}) ${name}`;
  markStale('feed', connection.live || connection.heard === undefined ? undefined : connection.heard);
  markStale('figures', current ? undefined : status.changed);
}

/** Greys what shows `kind` and says of when it is, where that is not now. */
function markStale(kind, since) {
  for (const part of document.querySelectorAll(`[data-shows=${kind}]`)) {
    part.toggleAttribute('data-stale', since !== undefined);
    const asOf = part.querySelector('.as-of');
    if (asOf !== null) asOf.textContent = since === undefined ? '' : `as of ${timeOfDay(since)}`;
  }
}

function comeBack() {
  if (document.hidden) return;
  connection.check();
  connection.hurry();
  void refresh();
}

document.addEventListener('visibilitychange', comeBack);
window.addEventListener('online', comeBack);
window.addEventListener('hashchange', () => {
  if (token.takeFromAddress()) askAnew();
});
setInterval(() => {
  connection.check();
  feed.tick();
  parts.rate.textContent = connection.live ? formatRate(feed.rate) : '–';
  parts.total.textContent = `${number(feed.total)} in all`;
  if (!document.hidden) show();
}, 1000);
setInterval(refresh, STATUS_MS);
token.takeFromAddress();
void refresh();
connection.open();
