/**
 * The live feed: what was heard, newest first, of the kinds that are switched on.
 *
 * What was heard is kept by kind, the newest of each, and the list is made of that: thousands of subtrees do not push out the blocks, whoever
 * switches off a kind sees the others as far back as they are kept, and switching it on again brings it back.
 */

import { RateChart } from './charts.js';
import { copy, fieldsOf } from './details.js';
import { detailOf, NOTE, PLAIN } from './kinds.js';
import { asText, clean, element, parseExactly, short, timeOfDay } from './text.js';

/** Kinds at the most: whoever sends other frames than the node says that it has adds no more. */
const MOST_KINDS = 12;
/** Rows of the list, and messages kept of each kind. */
const MOST_ROWS = 200;
const MOST_NAMES = 1000;
/** Rows that a page up or down of the keyboard goes. */
const PAGE_ROWS = 10;

/** When the node heard it, by its own clock, which a message that was missed and caught up tells; else now. */
function receivedAt({ received_at: told }) {
  const at = new Date(asText(told));
  // biome-ignore lint/plugin: the time of day is what the row shows.
  return Number.isNaN(at.getTime()) ? new Date() : at;
}

export class Feed {
  /** Messages heard since the page was opened. */
  total = 0;
  /** Number of the newest row. */
  #last = 0;
  /** What is to be known of the messages: in the list whatever is switched off. */
  #notes = [];
  #parts;
  #details;
  /** What each row shows, by its button. */
  #heard = new WeakMap();
  /** The button that Tab reaches: one of them, not two hundred. */
  #stop;
  /** While a button is held down the list holds still, or what is released is another row. */
  #held = false;
  /** By kind: its chart, whether its rows are on, how they are shown, and its newest messages, oldest first. */
  #kinds = new Map();
  /** What was last described, as text. */
  #described = '';
  /** What peers call themselves. */
  #names = new Map();
  /** Number of the last message that has been drawn. */
  #drawn = 0;
  #clearedAt = 0;
  #paused = false;
  #live = false;
  #drawScheduled = false;

  /** `parts`: the page's elements by their id; `details`: where a message can be read in full. */
  constructor(parts, details) {
    this.#parts = parts;
    this.#details = details;
    parts.pause.addEventListener('click', () => this.#pause(!this.#paused));
    parts.clear.addEventListener('click', () => this.#clear());
    parts['show-all'].addEventListener('click', () => {
      for (const each of this.#kinds.values()) this.#switch(each, true);
      this.#redraw();
      parts.filters.querySelector('button').focus();
    });
    parts.feed.addEventListener('click', (event) => this.#open(event.target.closest('button')));
    parts.feed.addEventListener('keydown', (event) => this.#key(event));
    parts.feed.addEventListener('focusin', (event) => this.#setStop(event.target));
    parts.feed.addEventListener('pointerdown', () => {
      this.#held = true;
    });
    for (const end of ['pointerup', 'pointercancel', 'blur']) {
      window.addEventListener(end, () => {
        // A click comes after its pointer, and is of the row that is still there.
        setTimeout(() => {
          this.#held = false;
          this.#scheduleDraw();
        });
      });
    }
  }

  /** Messages a second over all kinds; undefined while it is not known. */
  get rate() {
    const rates = [...this.#kinds.values()].map(({ chart }) => chart.rate);
    return rates.every((rate) => rate === undefined)
      ? undefined
      : rates.reduce((sum, rate) => sum + (rate ?? 0), 0);
  }

  /** Whether messages would come now, were there any. */
  set live(live) {
    if (live === this.#live) return;
    this.#live = live;
    for (const { chart } of this.#kinds.values()) chart.live = live;
    this.#showEmpty();
  }

  name(peer, name) {
    if (peer === '' || name === '') return;
    if (this.#names.size > MOST_NAMES) this.#names.clear();
    this.#names.set(peer, name);
  }

  /** The kinds that are to be had, as the node has them (`kindsOf`): they come first, in this order, whether any of them was heard or not; others where they were. */
  describe(kinds) {
    const text = JSON.stringify(kinds);
    if (text === this.#described) return;
    this.#described = text;
    const named = kinds.map(({ name, shown }) => {
      const kind = this.#kindOf(name);
      kind.shown = shown;
      kind.button.dataset.colour = shown.colour;
      kind.chart.colour = shown.colour;
      return kind;
    });
    const unnamed = [...this.#kinds.values()].filter((kind) => !named.includes(kind));
    const others = unnamed.filter(({ kept }) => kept.length > 0);
    for (const { button, chart } of unnamed) {
      button.remove();
      chart.remove();
    }
    this.#kinds = new Map([...named, ...others].map((kind) => [kind.name, kind]));
    for (const { button, chart } of this.#kinds.values()) {
      this.#parts.filters.append(button);
      chart.appendTo(this.#parts.charts);
    }
    this.#redraw();
  }

  /** A message came: `json`, parsed. */
  hear(message, json) {
    const named = asText(message.type).slice(0, 32) || 'unknown';
    const known = this.#kinds.has(named) || this.#kinds.size < MOST_KINDS;
    const kind = this.#kindOf(known ? named : 'other');
    kind.chart.count();
    this.total++;
    this.#last++;
    this.name(asText(message.peer_id), asText(message.client_name));
    this.#keep(kind.kept, { kind: kind.name, json, at: receivedAt(message) });
  }

  /** Messages are missing, or went on otherwise: `event` says so. */
  note(event) {
    this.#last++;
    this.#keep(this.#notes, {
      kind: event.type.replace('_', ' '),
      json: JSON.stringify(event),
      at: receivedAt({}),
    });
  }

  #keep(kept, heard) {
    kept.push({ number: this.#last, ...heard });
    if (kept.length > MOST_ROWS) kept.shift();
    this.#scheduleDraw();
  }

  /** A second has passed. */
  tick() {
    for (const { chart } of this.#kinds.values()) {
      chart.tick();
      chart.draw();
    }
  }

  #kindOf(name) {
    let kind = this.#kinds.get(name);
    if (kind === undefined) {
      const button = element('button', 'chip', clean(name));
      kind = {
        name,
        chart: new RateChart(this.#parts.charts, name),
        on: true,
        shown: PLAIN,
        kept: [],
        button,
      };
      button.type = 'button';
      button.dataset.kind = name;
      this.#switch(kind, true);
      button.addEventListener('click', () => {
        this.#switch(kind, !kind.on);
        this.#redraw();
      });
      this.#parts.filters.append(button);
      kind.chart.live = this.#live;
      this.#kinds.set(name, kind);
    }
    return kind;
  }

  #switch(kind, on) {
    kind.on = on;
    kind.button.setAttribute('aria-pressed', String(on));
  }

  #pause(paused) {
    this.#paused = paused;
    if (paused) this.#showPause();
    else this.#draw();
  }

  #clear() {
    this.#clearedAt = this.#last;
    this.#drawn = this.#last;
    this.#notes = [];
    for (const kind of this.#kinds.values()) kind.kept = [];
    this.#parts.feed.replaceChildren();
    this.#showEmpty();
    this.#showPause();
  }

  /** The newest messages of the kinds that are on, of those numbered `from` to `to`: newest first, as many as the list has room for. */
  #newest(from, to = this.#last) {
    const found = [];
    for (const { on, kept } of [...this.#kinds.values(), { on: true, kept: this.#notes }]) {
      if (on) found.push(...kept.filter(({ number }) => number >= from && number <= to));
    }
    return found.sort((a, b) => b.number - a.number).slice(0, MOST_ROWS);
  }

  #scheduleDraw() {
    if (this.#drawScheduled) return;
    this.#drawScheduled = true;
    // A hidden tab gets no frames: what it hears meanwhile is bounded by what is kept.
    requestAnimationFrame(() => {
      this.#drawScheduled = false;
      if (this.#paused) this.#showPause();
      else if (!this.#held) this.#draw();
    });
  }

  /** Adds what has come since. */
  #draw() {
    const { feed } = this.#parts;
    feed.prepend(...this.#newest(this.#drawn + 1).map((heard) => this.#row(heard)));
    this.#drawn = this.#last;
    let focusFell = false;
    while (feed.children.length > MOST_ROWS) {
      focusFell ||= feed.lastElementChild.contains(document.activeElement);
      feed.lastElementChild.remove();
    }
    if (focusFell) feed.lastElementChild.firstElementChild.focus();
    if (!feed.contains(document.activeElement)) this.#setStop(feed.firstElementChild?.firstElementChild);
    this.#showEmpty();
    this.#showPause();
  }

  /** Makes the list anew, after a kind was switched; what came during a pause stays out of it. */
  #redraw() {
    const { feed } = this.#parts;
    feed.replaceChildren(...this.#newest(0, this.#drawn).map((heard) => this.#row(heard)));
    this.#setStop(feed.firstElementChild?.firstElementChild);
    this.#showEmpty();
    this.#showPause();
  }

  #row(heard) {
    const { kind, at } = heard;
    const { shown } = this.#kinds.get(kind) ?? { shown: NOTE };
    const message = parseExactly(heard.json);
    const row = element('li', 'row');
    row.dataset.kind = kind;
    row.dataset.colour = shown.colour;
    const open = element('button', 'open');
    open.type = 'button';
    open.tabIndex = -1;
    open.setAttribute('aria-haspopup', 'dialog');
    const hash = asText(message[shown.hash]);
    const peer = asText(message.peer_id);
    const time = element('time', 'mono muted', timeOfDay(at));
    time.dateTime = at.toISOString();
    const code = element('code', 'hash', short(hash));
    code.title = hash;
    const from = element('span', 'from', clean(this.#names.get(peer) ?? '') || short(peer));
    from.title = peer;
    const detail = element('span', 'detail', detailOf(message, shown));
    open.append(time, element('span', 'kind', kind), code, detail, from);
    this.#heard.set(open, { ...heard, hash });
    row.append(open);
    return row;
  }

  #open(button) {
    const heard = this.#heard.get(button);
    if (heard === undefined) return;
    this.#details.show({
      title: heard.kind,
      about: `heard at ${timeOfDay(heard.at)}`,
      fields: fieldsOf(heard.json),
      json: heard.json,
    });
  }

  #setStop(button) {
    if (button === this.#stop) return;
    if (this.#stop !== undefined) this.#stop.tabIndex = -1;
    if (button !== undefined) button.tabIndex = 0;
    this.#stop = button;
  }

  #key(event) {
    const row = event.target.closest('.row');
    if (row === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...this.#parts.feed.children];
    const at = rows.indexOf(row);
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + PAGE_ROWS,
      PageUp: at - PAGE_ROWS,
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      rows[Math.max(0, Math.min(rows.length - 1, to))].firstElementChild.focus();
    } else if (event.key === 'c') {
      void this.#copyHash(this.#heard.get(event.target)?.hash ?? '');
    }
  }

  async #copyHash(hash) {
    const said = this.#parts['feed-said'];
    if (hash === '') said.textContent = 'This message has no hash.';
    else
      said.textContent = (await copy(hash))
        ? `Copied ${short(hash)}.`
        : 'This browser does not let a page copy.';
  }

  #showEmpty() {
    const { feed, 'feed-empty': empty, 'feed-empty-text': text, 'show-all': showAll } = this.#parts;
    const none = feed.children.length === 0;
    const off = [...this.#kinds.values()].filter(({ on, kept }) => !on && kept.length > 0);
    feed.hidden = none;
    this.#parts['feed-keys'].hidden = none;
    empty.hidden = !none;
    showAll.hidden = off.length === 0;
    text.textContent =
      off.length > 0
        ? `Nothing but what is switched off: ${off.map(({ name }) => name).join(', ')}.`
        : !this.#live
          ? 'Nothing can be heard: the feed is not connected.'
          : this.#clearedAt > 0
            ? 'Nothing heard since the list was cleared.'
            : 'Nothing heard yet. A quiet network is a healthy one, too.';
  }

  /** Counts what waits and would be seen. */
  #showPause() {
    const { pause } = this.#parts;
    const waiting = this.#paused ? this.#newest(this.#drawn + 1).length : 0;
    const held = waiting >= MOST_ROWS ? `${MOST_ROWS}+` : waiting;
    pause.textContent = this.#paused ? (waiting > 0 ? `Resume (${held} new)` : 'Resume') : 'Pause';
    pause.setAttribute('aria-pressed', String(this.#paused));
  }
}
