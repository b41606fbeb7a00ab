/** Two hundred seeds of what the feed promises its readers while everything dies. */

import { test } from 'node:test';
import { readThroughDeaths, seedsToRead } from '../support/feed-readers/run.js';

/** Every so many seeds have gateways too. */
const WITH_GATEWAYS = 3;

for (const seed of seedsToRead(200))
  test(`whatever dies when, each reader has all that it asked for, once, in order, or is told what is lost (${seed})`, (context) =>
    readThroughDeaths(context, seed, { gateways: seed % WITH_GATEWAYS === 0 }));
