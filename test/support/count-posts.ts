/**
 * Loaded into every thread of a process (`--import`): writes a line to the file POSTS for each message that its thread posts to another,
 * over whatever port: the process's id, and whether it was the main thread.
 */

import { appendFileSync } from 'node:fs';
import { isMainThread, MessagePort } from 'node:worker_threads';

const file = process.env.POSTS;
const line = `${process.pid} ${isMainThread ? 'main' : 'thread'}\n`;
const { postMessage } = MessagePort.prototype;

if (file !== undefined) {
  // A worker and a thread's own way back are ports too.
  MessagePort.prototype.postMessage = function counted(this: MessagePort, ...values: unknown[]): void {
    appendFileSync(file, line);
    Reflect.apply(postMessage, this, values);
  };
}
