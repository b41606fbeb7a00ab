/** Rates by kind over the last minute, one small bar chart each, drawn as SVG by hand. */

const SVG = 'http://www.w3.org/2000/svg';
const SECONDS = 60;
const WIDTH = 240;
const HEIGHT = 44;
/** Seconds that the figure beside the chart is an average of. */
const AVERAGE = 10;

function node(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** Messages counted a second, for a minute. */
export class RateChart {
  #counts = new Array(SECONDS).fill(0);
  #bars = [];
  #figure;
  #svg;
  #label;

  /** Appends itself to `parent`; `kind` is shown and chooses the colour. */
  constructor(parent, kind) {
    this.#label = kind;
    const box = document.createElement('figure');
    box.className = 'chart';
    box.dataset.kind = kind;
    const caption = document.createElement('figcaption');
    const name = document.createElement('span');
    name.textContent = kind;
    this.#figure = document.createElement('strong');
    caption.append(name, this.#figure);
    this.#svg = node('svg', {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      role: 'img',
    });
    this.#svg.append(node('line', { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5, class: 'axis' }));
    const step = WIDTH / SECONDS;
    for (let second = 0; second < SECONDS; second++) {
      const bar = node('rect', { x: second * step + 0.5, width: step - 1, y: HEIGHT, height: 0, rx: 0.8 });
      this.#bars.push(bar);
      this.#svg.append(bar);
    }
    box.append(caption, this.#svg);
    parent.append(box);
    this.draw();
  }

  count() {
    this.#counts[SECONDS - 1]++;
  }

  /** Messages a second over the last ten. */
  get rate() {
    return this.#counts.slice(-AVERAGE - 1, -1).reduce((sum, count) => sum + count, 0) / AVERAGE;
  }

  /** A second has passed. */
  tick() {
    this.#counts.shift();
    this.#counts.push(0);
  }

  draw() {
    const highest = Math.max(4, ...this.#counts);
    this.#counts.forEach((count, second) => {
      const height = (count / highest) * (HEIGHT - 2);
      this.#bars[second].setAttribute('y', String(HEIGHT - height));
      this.#bars[second].setAttribute('height', String(height));
    });
    const rate = formatRate(this.rate);
    this.#figure.textContent = `${rate}/s`;
    this.#svg.setAttribute('aria-label', `${this.#label}: ${rate} a second`);
  }
}

/** A rate in the fewest characters that tell it. */
export function formatRate(rate) {
  if (rate >= 100) return Math.round(rate).toLocaleString('en');
  return rate >= 10 || rate === 0 ? rate.toFixed(0) : rate.toFixed(1);
}
