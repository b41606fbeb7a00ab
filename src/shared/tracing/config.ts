/**
 * What the standard `OTEL_*` variables and Teranode's `tracing_*` settings ask for. Nothing of OpenTelemetry is loaded for it.
 *
 * What only its packages need to know (endpoints, headers, timeouts, certificates, batches, limits) they read from the environment themselves. As the
 * specification has it, a value that is not known is told and ignored.
 */

import { REDACTED, withoutSecrets } from '../redaction.js';
import type { Settings } from '../settings/table.js';

const EXPORTERS = ['otlp', 'console'] as const;
const PROTOCOLS = ['grpc', 'http/protobuf', 'http/json'] as const;

/** Plain data: it is sent to other threads and processes. */
export interface TracingConfig {
  readonly exporters: readonly (typeof EXPORTERS)[number][];
  readonly protocol: (typeof PROTOCOLS)[number];
  /** Where spans go as `tracing_collector_url` says; undefined: as the environment does. */
  readonly url: string | undefined;
  /** A caller's decision whether its trace is sampled holds. */
  readonly parentBased: boolean;
  /** Of what begins here, 0 to 1. */
  readonly ratio: number;
  /** Whether a trace's context goes out with calls, and is taken from those that come. */
  readonly propagates: boolean;
  /** Whether it goes with Kafka's records too. */
  readonly kafkaContext: boolean;
  /** Spans of one thread or process that wait for their export at the most. */
  readonly maxQueue: number;
  /** Of these, those that go out with one request; no more than may wait, whatever it says. */
  readonly maxBatch: number;
}

export type TracingSettings = Pick<
  Settings,
  'tracing_enabled' | 'tracing_SampleRate' | 'tracing_collector_url' | 'p2p_kafka_trace_context'
>;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface FoundTracing {
  /** Undefined: off. */
  readonly config: TracingConfig | undefined;
  /** Values that were ignored, each line beginning with its variable. */
  readonly warnings: readonly string[];
}

/** The specification's default of OTEL_BSP_MAX_QUEUE_SIZE. */
const MAX_QUEUE = 2048;
/** That of OTEL_BSP_MAX_EXPORT_BATCH_SIZE. The package takes 0 for one, and then sends nothing without end. */
const MAX_BATCH = 512;
const DEFAULT_SAMPLER = 'parentbased_always_on';

/** An empty variable is as good as none. */
function variable(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

/** Off unless OTEL_TRACES_EXPORTER names one, an OTLP endpoint is set, or `tracing_enabled`. */
export function tracingConfig(settings: TracingSettings, env: Environment): FoundTracing {
  const warnings: string[] = [];
  const of = (name: string) => variable(env, name);
  const exporters = exportersOf(settings, of, warnings);
  if (exporters.length === 0) return { config: undefined, warnings };
  const ofSettings = settings.tracing_enabled && !hasEndpoint(of);
  return {
    config: {
      exporters,
      protocol: protocolOf(of, warnings),
      url: ofSettings ? tracesUrl(settings.tracing_collector_url, warnings) : undefined,
      ...samplerOf(settings, of, warnings),
      propagates: propagates(of, warnings),
      kafkaContext: settings.p2p_kafka_trace_context,
      maxQueue: countOf('OTEL_BSP_MAX_QUEUE_SIZE', MAX_QUEUE, of, warnings),
      maxBatch: countOf('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', MAX_BATCH, of, warnings),
    },
    warnings,
  };
}

type Lookup = (name: string) => string | undefined;

const hasEndpoint = (of: Lookup): boolean =>
  (of('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? of('OTEL_EXPORTER_OTLP_ENDPOINT')) !== undefined;

const listed = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function exportersOf(
  { tracing_enabled }: TracingSettings,
  of: Lookup,
  warnings: string[],
): TracingConfig['exporters'] {
  if (of('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return [];
  const named = of('OTEL_TRACES_EXPORTER');
  if (named === undefined) return tracing_enabled || hasEndpoint(of) ? ['otlp'] : [];
  const names = listed(named);
  if (names.includes('none')) return [];
  for (const name of names) {
    if (!isOneOf(EXPORTERS, name))
      warnings.push(`OTEL_TRACES_EXPORTER: ${JSON.stringify(name)} is none of ${EXPORTERS.join(', ')}, none`);
  }
  return EXPORTERS.filter((name) => names.includes(name));
}

const isOneOf = <T extends string>(known: readonly T[], text: string): text is T =>
  (known as readonly string[]).includes(text);

function protocolOf(of: Lookup, warnings: string[]): TracingConfig['protocol'] {
  for (const name of ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL']) {
    const value = of(name);
    if (value === undefined) continue;
    if (isOneOf(PROTOCOLS, value)) return value;
    warnings.push(`${name}: ${JSON.stringify(value)} is none of ${PROTOCOLS.join(', ')}`);
  }
  return 'http/protobuf';
}

/** Teranode has `host:port` of a collector that takes OTLP over HTTP, or its URL. */
function tracesUrl(collector: string, warnings: string[]): string | undefined {
  const text = collector.trim();
  try {
    const url = new URL(/^https?:\/\//.test(text) ? text : `http://${text}`);
    if (url.pathname === '/') url.pathname = '/v1/traces';
    return url.href;
  } catch {
    warnings.push(
      `tracing_collector_url: ${JSON.stringify(withoutSecrets(text))} is no URL and no host:port`,
    );
    return undefined;
  }
}

function samplerOf(
  settings: TracingSettings,
  of: Lookup,
  warnings: string[],
): Pick<TracingConfig, 'parentBased' | 'ratio'> {
  const named = of('OTEL_TRACES_SAMPLER');
  if (named === undefined && settings.tracing_enabled)
    return { parentBased: true, ratio: settings.tracing_SampleRate };
  const [, parent, sampler] =
    /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(named ?? DEFAULT_SAMPLER) ?? [];
  const parentBased = parent !== undefined;
  switch (sampler) {
    case 'always_on':
      return { parentBased, ratio: 1 };
    case 'always_off':
      return { parentBased, ratio: 0 };
    case 'traceidratio':
      return { parentBased, ratio: ratioOf(of, warnings) };
    default:
      warnings.push(
        `OTEL_TRACES_SAMPLER: ${JSON.stringify(named)} is not known here, so everything is sampled: always_on, always_off, traceidratio, each with parentbased_ before it or not`,
      );
      return { parentBased: true, ratio: 1 };
  }
}

function ratioOf(of: Lookup, warnings: string[]): number {
  const text = of('OTEL_TRACES_SAMPLER_ARG');
  const ratio = Number(text);
  if (text !== undefined && ratio >= 0 && ratio <= 1) return ratio;
  warnings.push(
    `OTEL_TRACES_SAMPLER_ARG: ${text === undefined ? 'is missing' : `${JSON.stringify(text)} is no number from 0 to 1`}, so everything is sampled`,
  );
  return 1;
}

/** Baggage is allowed, and there is never any. */
function propagates(of: Lookup, warnings: string[]): boolean {
  const names = listed(of('OTEL_PROPAGATORS') ?? 'tracecontext,baggage');
  for (const name of names) {
    if (name !== 'tracecontext' && name !== 'baggage' && name !== 'none')
      warnings.push(
        `OTEL_PROPAGATORS: ${JSON.stringify(name)} is not known here: tracecontext, baggage, none`,
      );
  }
  return names.includes('tracecontext') && !names.includes('none');
}

function countOf(name: string, fallback: number, of: Lookup, warnings: string[]): number {
  const text = of(name);
  if (text === undefined) return fallback;
  const size = Number(text);
  if (Number.isSafeInteger(size) && size > 0) return size;
  warnings.push(`${name}: ${JSON.stringify(text)} is no whole number above 0`);
  return fallback;
}

/** The `OTEL_*` variables of `env` for a person's eyes, by name; headers are secrets. */
export function shownVariables(
  env: Environment,
): readonly { readonly name: string; readonly value: string }[] {
  return Object.entries(env)
    .filter(([name, value]) => name.startsWith('OTEL_') && value !== undefined && value !== '')
    .map(([name, value = '']) => ({
      name,
      value: /_HEADERS$/.test(name) ? REDACTED : withoutSecrets(value),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
