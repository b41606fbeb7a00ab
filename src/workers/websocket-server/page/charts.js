/** Rates by kind over the last minute, one small bar chart each, drawn as SVG by hand. */

import { clean } from './text.js';

const SVG = 'http://www.w3.org/2000/svg';
const SECONDS = 60;
const WIDTH = 240;
const HEIGHT = 44;
const STEP = WIDTH / SECONDS;
/** Seconds that the figure beside the chart is an average of. */
const AVERAGE = 10;

function node(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** Messages counted a second, for a minute. */
export class RateChart {
  /** By second; undefined for one in which nobody listened. */
  #counts = new Array(SECONDS).fill(undefined);
  #live = false;
  #bars = [];
  #figure;
  #svg;
  #label;
  #box;

  /** Appends itself to `parent`; `kind` is shown. */
  constructor(parent, kind) {
    this.#label = clean(kind);
    const box = document.createElement('figure');
    this.#box = box;
    box.className = 'chart';
    box.dataset.kind = kind;
    const caption = document.createElement('figcaption');
    const name = document.createElement('span');
    name.textContent = this.#label;
    this.#figure = document.createElement('strong');
    caption.append(name, this.#figure);
    this.#svg = node('svg', {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      role: 'img',
    });
    this.#svg.append(node('line', { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5, class: 'axis' }));
    for (let second = 0; second < SECONDS; second++) {
      const bar = node('rect', {});
      this.#bars.push(bar);
      this.#svg.append(bar);
    }
    box.append(caption, this.#svg);
    parent.append(box);
    this.draw();
  }

  set colour(name) {
    this.#box.dataset.colour = name;
  }

  /** Moves behind what `parent` has. */
  appendTo(parent) {
    parent.append(this.#box);
  }

  remove() {
    this.#box.remove();
  }

  /** Whether messages would be counted now, were there any. */
  set live(live) {
    this.#live = live;
    this.#counts[SECONDS - 1] ??= live ? 0 : undefined;
    this.draw();
  }

  count() {
    this.#counts[SECONDS - 1] = (this.#counts[SECONDS - 1] ?? 0) + 1;
  }

  /** Messages a second over the last ten; undefined while it is not known. */
  get rate() {
    const known = this.#counts.slice(-AVERAGE - 1, -1).filter((count) => count !== undefined);
    if (!this.#live || known.length === 0) return undefined;
    return known.reduce((sum, count) => sum + count, 0) / known.length;
  }

  /** A second has passed. */
  tick() {
    this.#counts.shift();
    this.#counts.push(this.#live ? 0 : undefined);
  }

  draw() {
    const highest = Math.max(4, ...this.#counts.map((count) => count ?? 0));
    this.#counts.forEach((count, second) => {
      const unknown = count === undefined;
      const height = unknown ? HEIGHT : (count / highest) * (HEIGHT - 2);
      // What is not known is one grey area, what is known bars beside each other.
      const gap = unknown ? 0 : 1;
      const bar = this.#bars[second];
      bar.classList.toggle('unknown', unknown);
      bar.setAttribute('x', String(second * STEP + gap / 2));
      bar.setAttribute('width', String(STEP - gap));
      bar.setAttribute('y', String(HEIGHT - height));
      bar.setAttribute('height', String(height));
    });
    const rate = formatRate(this.rate);
    this.#figure.textContent = `${rate}/s`;
    this.#svg.setAttribute('aria-label', `${this.#label}: ${rate} a second`);
  }
}

/** A rate in the fewest characters that tell it; a dash for undefined. */
export function formatRate(rate) {
  if (rate === undefined) return '–';
  if (rate >= 100) return Math.round(rate).toLocaleString('en');
  return rate >= 10 || rate === 0 ? rate.toFixed(0) : rate.toFixed(1);
}
