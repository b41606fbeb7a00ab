/**
 * A process with a publisher, for tests that kill it or take its disk away. Told on its command line where to live, and on
 * standard input the names to announce, one batch a line, or a command; answers each line with a line of JSON. What semicolons part in a line is asked in
 * one turn, and answered in one array.
 */

import { createInterface } from 'node:readline';
import { announcement, PublisherUnderTest, publisherConfig } from './publisher.js';

const [directory = '', brokerSocketPath = '', padding = '0'] = process.argv.slice(2);
const publisher = new PublisherUnderTest(publisherConfig(directory, brokerSocketPath));

async function answer(line: string): Promise<unknown> {
  if (line === '!health') return publisher.run('health', {});
  if (line === '!close') return publisher.close();
  const messages = line.split(',').map((name) => announcement(name, { padding: Number(padding) }));
  return publisher.outcomes(messages);
}

for await (const line of createInterface({ input: process.stdin })) {
  const results = await Promise.all(
    line.split(';').map((each) => answer(each).catch((error: Error) => ({ error: error.message }))),
  );
  process.stdout.write(`${JSON.stringify(results.length === 1 ? results[0] : results)}\n`);
}
