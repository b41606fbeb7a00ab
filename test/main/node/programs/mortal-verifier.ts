/** A verifier that dies at its third batch and of any message that says `poison`, and is struck dumb by `silence`. */

import { parentPort } from 'node:worker_threads';
import { decodeSignatures, type VerifyRequest } from '../../../../src/shared/signature-batch.js';

let batches = 0;
const on = parentPort!.on.bind(parentPort) as unknown as (
  event: string,
  listener: (request: VerifyRequest) => void,
) => never;

parentPort!.on = (event: string, listener: (request: never) => void) =>
  on(event, (request) => {
    const says = (word: string) =>
      decodeSignatures(request.batch).some(({ bytes }) => Buffer.from(bytes).includes(word));
    if (++batches === 3 || says('poison')) process.exit(1);
    if (!says('silence')) listener(request as never);
  });

await import('../../../../src/workers/verifier.js');
