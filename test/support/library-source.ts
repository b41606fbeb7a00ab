/** Where a library's files are, for tests that run a part of it by itself. */

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of a package's main file. */
export const libraryFolder = (name: string): string => dirname(fileURLToPath(import.meta.resolve(name)));
