// Leaves of the native parts in node_modules those that the image's machine loads, says which they are, and fails where one is missing or another
// machine's: packages carry builds for every system, and the WebSocket ones 227 MB of them. Usage: native-parts.mjs <node_modules> <x64|arm64>
import { closeSync, existsSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';

/** What the server loads, by its package. */
const NEEDED = [
  'classic-level',
  'sodium-native',
  'uWebSockets.js',
  '@napi-rs/snappy-linux-CPU-gnu',
  '@antoniomuso/lz4-napi-linux-CPU-gnu',
];
/** `e_machine` in the head of an ELF file. */
const MACHINES = { x64: 62, arm64: 183 };

const [modules, cpu] = process.argv.slice(2);
if (modules === undefined || !existsSync(modules) || !(cpu in MACHINES)) {
  console.error('usage: native-parts.mjs <node_modules> <x64|arm64>');
  process.exit(2);
}

const built = readdirSync(modules, { recursive: true })
  .filter((path) => /\.(?:node|bare)$/.test(path) && statSync(join(modules, path)).isFile())
  .sort();
const kept = built.filter((path) => {
  const [, build] = /[\\/]prebuilds[\\/]([^\\/]+)[\\/]/.exec(path) ?? [];
  const [, system, abi] = /uws_([^_]+_[^_]+)_(\d+)\.node$/.exec(path) ?? [];
  const stays =
    (build === undefined || (build === `linux-${cpu}` && !/\.musl\.|\.bare$/.test(path))) &&
    (system === undefined || (system === `linux_${cpu}` && abi === process.versions.modules));
  if (!stays) rmSync(join(modules, path));
  return stays;
});
for (const path of readdirSync(modules, { recursive: true }).filter((each) =>
  /prebuilds[\\/][^\\/]+$/.test(each),
)) {
  if (readdirSync(join(modules, path)).length === 0) rmSync(join(modules, path), { recursive: true });
}

const faults = NEEDED.map((name) => name.replace('CPU', cpu).split('/').join(sep))
  .filter((name) => !kept.some((path) => path.startsWith(name + sep)))
  .map((name) => `${name} has no native part for linux ${cpu}, Node ${process.versions.node}`);
for (const path of kept) {
  const head = Buffer.alloc(20);
  const file = openSync(join(modules, path), 'r');
  readSync(file, head, 0, head.length, 0);
  closeSync(file);
  const machine = head.readUInt32BE(0) === 0x7f454c46 ? head.readUInt16LE(18) : undefined;
  if (machine !== MACHINES[cpu]) faults.push(`${path} is not for linux ${cpu}`);
  console.log(`${(statSync(join(modules, path)).size / 1e6).toFixed(1).padStart(6)} MB  ${path}`);
}
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
