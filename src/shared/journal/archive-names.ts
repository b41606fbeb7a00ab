/** Names of the files that an archive of the journal has of a segment (`shared/archive/`): they go with it. */

import { join } from 'node:path';
import type { Position } from './layout.js';

const FOLDER = 'archive';
const FRAMES = '.ndjson.gz';
const METADATA = '.json';

/** Where the archive of the journal in `directory` is. */
export const archiveFolder = (directory: string): string => join(directory, FOLDER);

const digits = (first: Position): string => String(first).padStart(16, '0');

/** Of the segment that begins at `first`: its frames. */
export const framesName = (first: Position): string => digits(first) + FRAMES;

/** What is said of them. */
export const metadataName = (first: Position): string => digits(first) + METADATA;
