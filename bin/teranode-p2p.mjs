#!/usr/bin/env node
// The command `teranode-p2p`. In a checkout that has not been built it makes itself ready first.
import { checkNodeVersion } from './node-version.mjs';

checkNodeVersion(process.versions.node);

const { existsSync } = await import('node:fs');
const { fileURLToPath } = await import('node:url');

const program = new URL('../dist/app/main/cli/index.js', import.meta.url);
const source = new URL('../src/main/cli/index.ts', import.meta.url);
const modules = new URL('../node_modules/', import.meta.url);
if (existsSync(source) && !(existsSync(program) && existsSync(modules))) {
  const { PrepareError, prepare } = await import('./prepare.mjs');
  try {
    await prepare(fileURLToPath(new URL('../', import.meta.url)));
  } catch (error) {
    console.error(error instanceof PrepareError ? `\n${error.message}` : error);
    process.exit(1);
  }
}
await import(program.href);
