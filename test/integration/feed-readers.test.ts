/** What the feed promises its readers, held against what was accepted while everything dies. */

import { test } from 'node:test';
import { readThroughDeaths, seedsToRead } from '../support/feed-readers/run.js';

/** This one has gateways too. */
const WITH_GATEWAYS = 3;

for (const seed of seedsToRead(10))
  test(`whatever dies when, each reader has all that it asked for, once, in order, or is told what is lost (${seed})`, (context) =>
    readThroughDeaths(context, seed, { gateways: seed === WITH_GATEWAYS }));
