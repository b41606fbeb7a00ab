/** What turns tracing on, by the variables of OpenTelemetry's specification and by Teranode's settings. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Environment,
  shownVariables,
  type TracingConfig,
  tracingConfig,
} from '../../../src/shared/tracing/config.js';
import { settingsOf } from '../../support/settings.js';

const found = (env: Environment, settings = {}) => tracingConfig(settingsOf(settings), env);

/** The configuration, of which nothing was ignored. */
function config(env: Environment, settings = {}): TracingConfig {
  const { config: on, warnings } = found(env, settings);
  assert.deepEqual(warnings, []);
  assert.ok(on !== undefined);
  return on;
}

test('it is off unless an exporter, an endpoint or Teranode’s setting asks for it', () => {
  for (const env of [
    {},
    { OTEL_SERVICE_NAME: 'a', OTEL_TRACES_SAMPLER: 'always_on', OTEL_EXPORTER_OTLP_HEADERS: 'a=b' },
    { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' },
    { OTEL_TRACES_EXPORTER: '', OTEL_EXPORTER_OTLP_ENDPOINT: ' ' },
    { OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_EXPORTER: 'otlp' },
  ]) {
    assert.deepEqual(found(env), { config: undefined, warnings: [] });
  }
  for (const off of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }])
    assert.equal(found(off, { tracing_enabled: true }).config, undefined);
  assert.deepEqual(config({ OTEL_TRACES_EXPORTER: 'otlp' }), {
    exporters: ['otlp'],
    protocol: 'http/protobuf',
    url: undefined,
    parentBased: true,
    ratio: 1,
    propagates: true,
    kafkaContext: false,
    maxQueue: 2048,
    maxBatch: 512,
  });
  assert.deepEqual(config({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }).exporters, ['otlp']);
  assert.deepEqual(config({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318' }).exporters, ['otlp']);
  assert.deepEqual(config({ OTEL_TRACES_EXPORTER: ' console, otlp' }).exporters, ['otlp', 'console']);
  assert.equal(found({ OTEL_SDK_DISABLED: 'yes', OTEL_TRACES_EXPORTER: 'otlp' }).config?.ratio, 1);
});

test('the variables of traces go before those of all signals', () => {
  const OTEL_TRACES_EXPORTER = 'otlp';
  const protocols = { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };
  assert.equal(config({ OTEL_TRACES_EXPORTER, ...protocols }).protocol, 'grpc');
  assert.equal(
    config({ OTEL_TRACES_EXPORTER, ...protocols, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: '' }).protocol,
    'http/json',
  );
});

test('samplers', () => {
  const sampler = (OTEL_TRACES_SAMPLER: string, OTEL_TRACES_SAMPLER_ARG?: string) => {
    const env = { OTEL_TRACES_EXPORTER: 'otlp', OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG };
    const { parentBased, ratio } = config(env);
    return [parentBased, ratio];
  };
  assert.deepEqual(sampler('always_on'), [false, 1]);
  assert.deepEqual(sampler('always_off'), [false, 0]);
  assert.deepEqual(sampler('traceidratio', '0.25'), [false, 0.25]);
  assert.deepEqual(sampler('parentbased_always_on'), [true, 1]);
  assert.deepEqual(sampler('parentbased_always_off'), [true, 0]);
  assert.deepEqual(sampler('parentbased_traceidratio', '0'), [true, 0]);
});

test('Teranode’s settings say where to and how much, unless the environment does', () => {
  const on = { tracing_enabled: true, tracing_SampleRate: 0.1, tracing_collector_url: 'jaeger:4318' };
  const { url, ratio, parentBased, exporters } = config({}, on);
  assert.deepEqual(
    { url, ratio, parentBased, exporters },
    { url: 'http://jaeger:4318/v1/traces', ratio: 0.1, parentBased: true, exporters: ['otlp'] },
  );
  assert.equal(
    config({}, { ...on, tracing_collector_url: 'https://c.example:4318/otlp/traces' }).url,
    'https://c.example:4318/otlp/traces',
  );
  assert.equal(config({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, on).url, undefined);
  assert.equal(config({ OTEL_TRACES_SAMPLER: 'always_off' }, on).ratio, 0);
  assert.equal(config({ OTEL_TRACES_EXPORTER: 'otlp' }, { tracing_SampleRate: 0.1 }).ratio, 1);
});

test('a value that is not known is told and ignored', () => {
  const { config: on, warnings } = found({
    OTEL_TRACES_EXPORTER: 'zipkin,otlp',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/xml',
    OTEL_TRACES_SAMPLER: 'jaeger_remote',
    OTEL_PROPAGATORS: 'tracecontext,b3',
    OTEL_BSP_MAX_QUEUE_SIZE: '-1',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '0',
  });
  assert.deepEqual(
    [on?.exporters, on?.protocol, on?.ratio, on?.propagates, on?.maxQueue, on?.maxBatch],
    [['otlp'], 'http/protobuf', 1, true, 2048, 512],
  );
  assert.deepEqual(
    warnings.map((line) => line.split(':', 1)[0]),
    [
      'OTEL_TRACES_EXPORTER',
      'OTEL_EXPORTER_OTLP_PROTOCOL',
      'OTEL_TRACES_SAMPLER',
      'OTEL_PROPAGATORS',
      'OTEL_BSP_MAX_QUEUE_SIZE',
      'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
    ],
  );
  for (const OTEL_TRACES_SAMPLER_ARG of [undefined, '', '1.5', '-0.1', 'half', 'NaN']) {
    const half = found({
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG,
    });
    assert.equal(half.config?.ratio, 1);
    assert.match(half.warnings.join(), /^OTEL_TRACES_SAMPLER_ARG: /);
  }
  assert.equal(found({ OTEL_TRACES_EXPORTER: 'zipkin' }).config, undefined);
  const noUrl = found({}, { tracing_enabled: true, tracing_collector_url: 'http://user:secret@' });
  assert.match(noUrl.warnings.join(), /^tracing_collector_url: /);
  assert.doesNotMatch(noUrl.warnings.join(), /secret@/);
});

test('a context is not passed on where the propagators do not have it', () => {
  for (const [OTEL_PROPAGATORS, propagates] of [
    ['none', false],
    ['baggage', false],
    ['tracecontext', true],
    ['', true],
  ] as const)
    assert.equal(config({ OTEL_TRACES_EXPORTER: 'otlp', OTEL_PROPAGATORS }).propagates, propagates);
});

test('variables are shown without headers and without what URLs carry in the way of secrets', () => {
  const shown = shownVariables({
    PATH: '/bin',
    OTEL_SERVICE_NAME: 'node-1',
    OTEL_TRACES_SAMPLER: '',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer abc',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-api-key=abc',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://user:abc@collector:4318/?token=abc',
  });
  assert.deepEqual(shown, [
    { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'https://user:[secret]@collector:4318/?token=[secret]' },
    { name: 'OTEL_EXPORTER_OTLP_HEADERS', value: '[secret]' },
    { name: 'OTEL_EXPORTER_OTLP_TRACES_HEADERS', value: '[secret]' },
    { name: 'OTEL_SERVICE_NAME', value: 'node-1' },
  ]);
});
