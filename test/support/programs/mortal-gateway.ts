/**
 * A whole gateway in a process of its own. Arguments: its settings as JSON, and the socket of the embedded broker that has the topic, empty where Kafka has it. Tells
 * its port, and ends with its parent.
 */

import '../../../src/shared/process/polyfill.js';

import { gatewayDependencies } from '../../../src/main/gateway/dependencies.js';
import { Gateway } from '../../../src/main/gateway/gateway.js';
import { createLogger } from '../../../src/shared/logging/logger.js';
import type { Settings } from '../../../src/shared/settings/table.js';
import { EmbeddedBrokerClient } from '../../../src/shared/sinks/kafka/embedded/client.js';
import { EmbeddedTopicReader } from '../../../src/shared/sinks/kafka/embedded/topic-reader.js';

const [, , told = '', socketPath = ''] = process.argv;
const settings = JSON.parse(told) as Settings;
const topic = settings.kafka_notificationsConfig?.topic ?? '';
const dependencies = gatewayDependencies(settings, createLogger({ level: settings.logLevel }));
const embedded = () => new EmbeddedTopicReader(new EmbeddedBrokerClient({ socketPath }), topic);
const gateway = Gateway.create(socketPath === '' ? dependencies : { ...dependencies, reader: embedded() });

process.on('disconnect', () => process.exit(1));
await gateway.init();
await gateway.start();
process.send?.(gateway.ports.http);
