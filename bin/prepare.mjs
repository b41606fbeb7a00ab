// Makes a checkout ready to run: packages installed as the lockfile says, `dist/` built from what is there. Plain Node,
// because it runs before anything else is there.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { step } from './progress.mjs';

const INSTALL_STAMP = 'node_modules/.teranode-p2p-installed';
const BUILD_STAMP = 'dist/.built-from';
/** There while a run installs or builds; its process id is in it. */
const LOCK = '.preparing';
const LOCK_LOOK_MS = 200;
/** What `dist/` is made of. */
const SOURCES = [
  'client/package.json',
  'client/tsconfig.json',
  'client/src',
  'proto',
  'src',
  'test',
  'bench',
  'tsconfig.json',
  'package.json',
  'package-lock.json',
  'bin',
];
/** What makes `dist/app` and `dist/client` of what the compiler leaves. */
const MAKERS = ['bin/bundle.mjs', 'bin/client-package.mjs'];
/** Lines of a failed command that are worth showing. */
const SHOWN_LINES = 40;

/** What went wrong, for a person; no stack wanted. */
export class PrepareError extends Error {}

/** Installs and builds what is missing or stale under `root`; quick when nothing is. */
export async function prepare(root) {
  if (isInstallDue(root) || isBuildDue(root)) {
    await alone(root, async () => {
      await install(root);
      await build(root);
    });
  }
}

/** Runs `work` while no other run works on this checkout: two installations at once leave half of each. */
async function alone(root, work) {
  const lock = join(root, LOCK);
  let told = false;
  while (!take(lock)) {
    const holder = Number(readIfThere(lock));
    if (holder > 0 && !isAlive(holder)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!told) console.error(`Waiting for another run that makes this checkout ready (${lock}) …`);
    told = true;
    await delay(LOCK_LOOK_MS);
  }
  try {
    return await work();
  } finally {
    if (Number(readIfThere(lock)) === process.pid) rmSync(lock, { force: true });
  }
}

function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    // Where nothing can be written there is nothing to guard; what follows says what is wrong.
    return error.code !== 'EEXIST';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** A linked folder is somebody else's: `npm ci` would empty it. */
function isInstallDue(root) {
  if (isLink(join(root, 'node_modules'))) return false;
  const lockfile = readIfThere(join(root, 'package-lock.json'));
  return lockfile === undefined || readIfThere(join(root, INSTALL_STAMP)) !== digest(lockfile);
}

function isBuildDue(root) {
  return readIfThere(join(root, BUILD_STAMP)) !== sourceDigest(root);
}

async function install(root) {
  if (!isInstallDue(root)) return;
  const lock = join(root, 'package-lock.json');
  if (!existsSync(lock)) throw new PrepareError(`${lock} is missing: is this a whole checkout?`);
  if (!isInstalled(join(root, 'node_modules'), lock)) {
    await step('Installing packages', (line) =>
      run(...npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']), root, line),
    ).catch((error) => {
      throw new PrepareError(
        `npm ci failed.\n\n${error.message}\n\nCheck that the npm registry can be reached (npm ping), that the disk has ` +
          'a gigabyte free and that package-lock.json is unchanged; then run the command again.',
      );
    });
  }
  writeStamp(join(root, INSTALL_STAMP), digest(readFileSync(lock, 'utf8')));
}

/** Whether every package of the lockfile is there in its version, whoever installed it. */
function isInstalled(modules, lock) {
  const installed = parse(readIfThere(join(modules, '.package-lock.json')));
  const wanted = parse(readIfThere(lock));
  if (installed === undefined || wanted === undefined) return false;
  return Object.entries(wanted.packages).every(
    ([path, { version, optional, link }]) =>
      path === '' || optional || link || installed.packages?.[path]?.version === version,
  );
}

async function build(root) {
  if (!isBuildDue(root)) return;
  const stamp = join(root, BUILD_STAMP);
  const wanted = sourceDigest(root);
  const local = (...path) => join(root, 'node_modules', ...path);
  const buf = local('@bufbuild', 'buf', 'bin', 'buf');
  const tsc = local('typescript', 'bin', 'tsc');
  for (const tool of [buf, tsc]) {
    if (!existsSync(tool)) {
      throw new PrepareError(
        `${tool} is missing: development packages are not installed. Delete node_modules and try again.`,
      );
    }
  }
  // A build that is cut short must not pass for the one before it.
  removeStamp(stamp);
  await step('Building', async (line) => {
    await run(process.execPath, [buf, 'generate', '--template', 'proto/buf.gen.yaml'], root, line);
    // What the others import as `#feed` is there before them.
    for (const project of ['client', '.']) await run(process.execPath, [tsc, '-p', project], root, line);
    for (const maker of MAKERS) await run(process.execPath, [join(root, maker)], root, line);
  }).catch((error) => {
    throw new PrepareError(`The build failed.\n\n${error.message}`);
  });
  writeStamp(stamp, wanted);
}

function sourceDigest(root) {
  const hash = createHash('sha256').update(process.version);
  const visit = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (lstatSync(full).isDirectory()) {
      if (path === join('src', 'shared', 'generated')) return;
      for (const name of readdirSync(full).sort()) visit(join(path, name));
    } else if (/\.(?:ts|proto|json|yaml|mjs)$/.test(path)) {
      hash.update(`${path}\0`).update(readFileSync(full));
    }
  };
  for (const source of SOURCES) visit(source);
  return hash.digest('hex');
}

/** npm as the one that runs this, or as the path has it. */
function npm(args) {
  const path = process.env.npm_execpath;
  return path?.endsWith('.js') || path?.endsWith('.cjs')
    ? [process.execPath, [path, ...args]]
    : [process.platform === 'win32' ? 'npm.cmd' : 'npm', args];
}

/** Resolves when the command ended well; rejects with the end of its output. */
function run(command, args, cwd, onLine) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let lines = [];
    let open = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        const parts = (open + text).split(/\r?\n/);
        open = parts.pop();
        for (const part of parts) if (part.trim() !== '') onLine(part);
        // npm says why first and how to call it last.
        lines = [...lines, ...parts];
        if (lines.length > SHOWN_LINES) lines.splice(SHOWN_LINES / 2, lines.length - SHOWN_LINES);
      });
    }
    child.once('error', (error) =>
      reject(error.code === 'ENOENT' ? new Error(`${command} is not on the path.`) : error),
    );
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(new Error([...lines, open].join('\n').trim() || `${command} ended with ${signal ?? code}.`));
    });
  });
}

function isLink(path) {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Without a stamp the next run checks again: no reason to fail on a read-only disk. */
function writeStamp(path, text) {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } catch {}
}

function removeStamp(path) {
  try {
    rmSync(path, { force: true });
  } catch {}
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function digest(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
