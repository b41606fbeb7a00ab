/** Two hundred seeds of what the feed promises its readers while everything dies. */

import { test } from 'node:test';
import { readThroughDeaths, seedsToRead } from '../support/feed-readers/run.js';

for (const seed of seedsToRead(200))
  test(`whatever dies when, each reader has all that it asked for, once, in order, or is told what is lost (${seed})`, (context) =>
    readThroughDeaths(context, seed, { gateways: true }));
