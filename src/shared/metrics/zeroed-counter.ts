/** Counters whose series are all there before their first event. */

import { Counter, type Registry } from 'prom-client';

/** The values that each label of a counter can have. */
export type LabelTable = Readonly<Record<string, readonly string[]>>;

type LabelsOf<Table extends LabelTable> = { readonly [Label in keyof Table]: Table[Label][number] };

/** Counts only under the values of its table. */
export type ZeroedCounter<Table extends LabelTable> = Omit<Counter<Extract<keyof Table, string>>, 'inc'> & {
  inc(labels: LabelsOf<Table>, value?: number): void;
};

export interface ZeroedCounterOptions<Table extends LabelTable> {
  readonly name: string;
  readonly help: string;
  readonly labels: Table;
  readonly registers: Registry[];
}

/**
 * A counter that starts at 0 for every combination of its labels' values. A series that is born with its first event shows no increase: an
 * alert for what happens once would never fire.
 */
export function zeroedCounter<const Table extends LabelTable>({
  labels,
  ...options
}: ZeroedCounterOptions<Table>): ZeroedCounter<Table> {
  const counter = new Counter<string>({ ...options, labelNames: Object.keys(labels) });
  startAtZero(counter, labels);
  return counter as unknown as ZeroedCounter<Table>;
}

/** For values that are known only after the counter is made. */
export function startAtZero<Label extends string>(
  counter: Pick<Counter<Label>, 'inc'>,
  labels: Readonly<Record<Label, readonly string[]>>,
): void {
  let combinations: Partial<Record<Label, string>>[] = [{}];
  for (const label of Object.keys(labels) as Label[]) {
    combinations = combinations.flatMap((one) => labels[label].map((value) => ({ ...one, [label]: value })));
  }
  for (const combination of combinations) counter.inc(combination, 0);
}
