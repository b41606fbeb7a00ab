/** A collector that takes OTLP in JSON over HTTP, and keeps the spans. */

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Of the protocol: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}
interface Attribute {
  readonly key: string;
  readonly value: AnyValue;
}
interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Attribute[];
  readonly events?: readonly { readonly name: string; readonly attributes?: readonly Attribute[] }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2: error. */
  readonly status?: { readonly code?: number; readonly message?: string };
}
interface Request {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes?: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: it is its trace's first. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer' | undefined;
  /** Unix ns. */
  readonly start: bigint;
  readonly end: bigint;
  readonly values: Values;
  readonly events: readonly { readonly name: string; readonly values: Values }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** Its message, or `true` where it has none. */
  readonly error: string | true | undefined;
  readonly resource: Values;
}

export interface Collector {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** Headers of each request. */
  readonly requests: IncomingHttpHeaders[];
  /** What each request carried, whatever its form; spans are those of JSON. */
  readonly bodies: Buffer[];
  /** What it does with a request, once it has read it; takes it unless told. */
  answer: (response: ServerResponse) => void;
  /** Variables with which a server sends it everything, at once. */
  readonly env: Readonly<Record<string, string>>;
}

const KINDS = [undefined, 'internal', 'server', 'client', 'producer', 'consumer'] as const;

function valuesOf(attributes: readonly Attribute[] = []): Values {
  return Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue)),
    ]),
  );
}

function spansOf({ resourceSpans }: Request): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        name: span.name,
        kind: KINDS[span.kind],
        start: BigInt(span.startTimeUnixNano),
        end: BigInt(span.endTimeUnixNano),
        values: valuesOf(span.attributes),
        events: (span.events ?? []).map((event) => ({
          name: event.name,
          values: valuesOf(event.attributes),
        })),
        links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
        error: span.status?.code === 2 ? (span.status.message ?? true) : undefined,
        resource: valuesOf(resource.attributes),
      })),
    ),
  );
}

/** Listens until the test ends. */
export async function startCollector(context: Pick<TestContext, 'after'>): Promise<Collector> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      collector.requests.push(request.headers);
      collector.bodies.push(body);
      if (request.url === '/v1/traces' && request.headers['content-type'] === 'application/json')
        collector.spans.push(...spansOf(JSON.parse(body.toString()) as Request));
      collector.answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const collector: Collector = {
    url,
    spans: [],
    requests: [],
    bodies: [],
    answer: (response) => {
      response.setHeader('content-type', 'application/json').end('{}');
    },
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
  };
  return collector;
}
