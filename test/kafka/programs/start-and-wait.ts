/** Starts a broker as a test would, tells its process and directory, and lives until it is killed. */

import { startKafka } from '../../support/kafka/index.js';

const cluster = await startKafka({ after: () => {} }, { own: true });
const { pid, directory } = cluster.broker(1);
console.log(JSON.stringify({ pid, directory }));
setInterval(() => {}, 1000);
