/** Results as docs/performance.md has them: tables in Markdown, made of a results' file. */

import { numeral } from './report.js';
import type { BenchmarkResult, Figure } from './result.js';

/** Columns of P0: heading, and the figure of a subject at a rate. */
const WHOLE_SERVER: readonly (readonly [string, RegExp])[] = [
  ['lost to Kafka, %', /^lost on the way to Kafka$/],
  ['lost to the client, %', /^lost on the way to the client$/],
  ['CPU µs/message', /^CPU$/],
  ['Kafka’s own', /^Kafka’s own CPU$/],
  ['to the client p50, ms', /^to the client, p50$/],
  ['p99', /^to the client, p99$/],
  ['into Kafka p50, ms', /^into Kafka, p50$/],
  ['p99', /^into Kafka, p99$/],
  ['MiB', /^memory after/],
];
/** The same of the ratios: `1000/s, CPU: this server to Go reference`. */
const COMPARED = /^(\d+)\/s, (.+): this server to (.+)$/;
const MEASURED = /^(\d+)\/s, (.+?): (.+)$/;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);

const withSpread = ({ median, min, max }: Figure): string => {
  const [middle, least, most] = [median, min, max].map(numeral);
  return least === most ? String(middle) : `${middle} (${least} – ${most})`;
};

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
const rateOf = (text: string): string => Number(text).toLocaleString('en-US');

/** P0's figures, a row for each rate and subject, and the ratios to each of the others. */
function wholeServer({ figures }: BenchmarkResult): string[] {
  const compared = figures.flatMap((figure) => {
    const [, rate = '', what = '', to = ''] = COMPARED.exec(figure.name) ?? [];
    return to === '' ? [] : [{ rate, what, to, figure }];
  });
  const measured = figures.flatMap((figure) => {
    const [, rate = '', subject = '', what = ''] = MEASURED.exec(figure.name) ?? [];
    return what === '' || COMPARED.test(figure.name) ? [] : [{ rate, subject, what, figure }];
  });
  const rates = unique(measured.map(({ rate }) => rate));
  const rows = rates.flatMap((rate) => {
    const ofRate = measured.filter((each) => each.rate === rate);
    return unique(ofRate.map(({ subject }) => subject)).map((subject) => {
      const cells = WHOLE_SERVER.map(([, name]) => {
        const found = ofRate.find((each) => each.subject === subject && name.test(each.what));
        return found === undefined ? '' : withSpread(found.figure);
      });
      return [rateOf(rate), subject, ...cells];
    });
  });
  const columns = unique(compared.map(({ what }) => what));
  const ratios = rates.flatMap((rate) => {
    const ofRate = compared.filter((each) => each.rate === rate);
    return unique(ofRate.map(({ to }) => to)).map((to) => {
      const cells = columns.map((what) => {
        const found = ofRate.find((each) => each.to === to && each.what === what);
        return found === undefined ? '' : withSpread(found.figure);
      });
      return [rateOf(rate), to, ...cells];
    });
  });
  return [
    ...table(['messages/s', '', ...WHOLE_SERVER.map(([heading]) => heading)], rows),
    ...(ratios.length === 0 ? [] : ['', ...table(['messages/s', 'this server to', ...columns], ratios)]),
  ];
}

/** Figures of one benchmark: a row for each that has a name of its own, a column for each unit. */
function byUnit({ id, figures }: BenchmarkResult): string[] {
  const units = unique(figures.map(({ unit }) => unit));
  const rows = unique(figures.map(({ name }) => name)).map((name) => [
    name,
    ...units.map((unit) => {
      const found = figures.find((each) => each.name === name && each.unit === unit);
      return found === undefined ? '' : withSpread(found);
    }),
  ]);
  return table([id, ...units], rows);
}

/** Those whose figures say more than their ratios: the feed's. */
const SHOWN_WHOLE = ['P11', 'P12', 'P13', 'P14', 'P15'];

/** P0's figures and those of the feed, then what is aimed at by all of them, and how it came out. */
export function markdownOf(results: readonly BenchmarkResult[]): string[] {
  const aims = results.flatMap(({ id, ratios, notRun = [] }) => [
    ...notRun.map((what) => [id, what.split(':', 1)[0] ?? '', '', '', '**not run**']),
    // P0's others are in its own table.
    ...ratios
      .filter(({ aim }) => id !== 'P0' || aim !== undefined)
      .map(({ name, value, aim = '–', met }) => [
        id,
        name,
        numeral(value),
        aim,
        met === undefined ? '' : met ? 'met' : '**not met**',
      ]),
  ]);
  const first = results.find(({ id }) => id === 'P0');
  return [
    ...(first === undefined || first.figures.length === 0 ? [] : [...wholeServer(first), '']),
    ...results
      .filter(({ id, figures }) => SHOWN_WHOLE.includes(id) && figures.length > 0)
      .flatMap((result) => [...byUnit(result), '']),
    ...table(['id', 'what', 'measured', 'aim', ''], aims),
  ];
}
