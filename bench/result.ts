/** What a benchmark reports: the same shape for every one, so that the harness prints one table. */

/** How a benchmark is run; what is not given is its own choice. */
export interface BenchmarkOptions {
  /** Runs of each contestant; the median and the spread are over these. */
  readonly runs?: number;
  /** Seconds of each run, where it is run by time. */
  readonly seconds?: number;
  /** Messages a second, where a benchmark takes several rates. */
  readonly rates?: readonly number[];
  /** Folder of another built checkout, measured in turns with this one, where a benchmark can. */
  readonly against?: string;
  /** Path of a program with the Go reference's flags, measured in turns with the others, where a benchmark can. */
  readonly beside?: string;
  /** Told what is being done, a line at a time. */
  progress(text: string): void;
}

export interface Benchmark {
  run(options: BenchmarkOptions): Promise<BenchmarkResult>;
}

export interface Figure {
  name: string;
  unit: string;
  median: number;
  min: number;
  max: number;
}

export interface Ratio {
  name: string;
  value: number;
  /** Absent where nothing is aimed at: told beside its reference, not judged. */
  aim?: string;
  met?: boolean;
}

export interface BenchmarkResult {
  id: string;
  title: string;
  figures: Figure[];
  ratios: Ratio[];
  /** What was lost on the way; a benchmark that dropped anything fails. */
  dropped: number;
  /** Parts that this machine lacks something for, and what. */
  notRun?: string[];
  notes: string[];
}

/** Median and spread of `samples`. Throws RangeError on none. */
export function figureOf(name: string, unit: string, samples: readonly number[]): Figure {
  const sorted = [...samples].sort((one, other) => one - other);
  const [min, max] = [sorted[0], sorted[sorted.length - 1]];
  if (min === undefined || max === undefined) throw new RangeError(`no samples of ${name}`);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? max;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? min) + upper) / 2;
  return { name, unit, median, min, max };
}
