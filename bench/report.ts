/** Results as a person reads them. */

import type { Machine } from './machine.js';
import type { BenchmarkResult, Ratio } from './result.js';

/** Three significant digits, thousands apart. */
export function numeral(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(3)).toString();
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, index) => Math.max(cell.length, all[index] ?? 0)),
    [],
  );
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function machineLine({ cores, cpu, memoryGiB, platform, node, commit, loadBefore }: Machine): string {
  return `${cores} cores (${cpu}), ${memoryGiB} GiB, ${platform}, Node ${node}, commit ${commit || 'unknown'}, load before ${loadBefore}`;
}

const verdict = ({ met }: Pick<Ratio, 'met'>): string => (met === undefined ? '' : met ? 'met' : 'NOT MET');

/** One benchmark: figures with their spread, ratios against their aims, what was dropped, notes. */
export function resultLines(result: BenchmarkResult): string[] {
  const figures = result.figures.map(({ name, unit, median, min, max }) => [
    `  ${name}`,
    numeral(median),
    unit,
    `(${numeral(min)} – ${numeral(max)})`,
  ]);
  const ratios = result.ratios.map(({ name, value, aim, met }) => [
    `  ${name}`,
    numeral(value),
    aim === undefined ? '' : `aim ${aim}`,
    verdict({ met }),
  ]);
  return [
    `${result.id}  ${result.title}`,
    ...columns(figures),
    ...columns(ratios),
    result.dropped === 0 ? '  dropped nothing' : `  DROPPED ${numeral(result.dropped)}: this benchmark fails`,
    ...(result.notRun ?? []).map((what) => `  NOT RUN: ${what}`),
    ...result.notes.map((note) => `  · ${note}`),
  ];
}

/** Every aim of every benchmark, a line each. */
export function summaryLines(results: readonly BenchmarkResult[]): string[] {
  return columns([
    ['id', 'what', 'measured', 'aim', ''],
    ...results.flatMap(({ id, ratios, notRun = [] }) => [
      // Why stands with the benchmark.
      ...notRun.map((what) => [id, what.split(':', 1)[0] ?? '', '', '', 'NOT RUN']),
      ...ratios.map(({ name, value, aim = '', met }) => [id, name, numeral(value), aim, verdict({ met })]),
    ]),
  ]);
}
