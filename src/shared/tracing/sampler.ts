/** Which traces are recorded. */

import { type Context, createContextKey } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SamplingResult,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { TracingConfig } from './config.js';

/** In a context: that this trace is sampled is settled. */
export const SETTLED = createContextKey('teranode-p2p sampled');
const SAMPLED: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED };

/** Of messages it was decided when they came, and of what is below a span with that span. */
class SettledOrSampled implements Sampler {
  constructor(private readonly others: Sampler) {}

  shouldSample(context: Context, ...what: Tail<Parameters<Sampler['shouldSample']>>): SamplingResult {
    return context.getValue(SETTLED) === true ? SAMPLED : this.others.shouldSample(context, ...what);
  }

  toString(): string {
    return this.others.toString();
  }
}

type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;

export function samplerOf({ parentBased, ratio }: TracingConfig): Sampler {
  const root =
    ratio === 0
      ? new AlwaysOffSampler()
      : ratio === 1
        ? new AlwaysOnSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return new SettledOrSampled(parentBased ? new ParentBasedSampler({ root }) : root);
}
