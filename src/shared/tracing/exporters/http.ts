// By itself: a bundled CommonJS library that is imported dynamically shows no names.
export { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
