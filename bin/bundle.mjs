// Makes `dist/app` of what the compiler left in `dist/src`: the command line and each worker with the libraries they use, in some sixty files in
// place of 1,300. They load in two thirds of the time and memory. Run after the compiler; `dist/src` stays for types, tests and the client.
//
// A file of ours is held to be where it was, in `dist/app` in place of `dist/src`, so that what it finds beside itself, as workers and contracts, is there.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../', import.meta.url));
const source = join(root, 'dist', 'src');
const target = join(root, 'dist', 'app');

/** Processes and threads, and the server itself for who runs it within a process, as tests do. */
const ENTRIES = [
  'main/cli/index.js',
  'main/server/compose.js',
  'main/server/server.js',
  'main/node/index.js',
  ...readdirSync(join(source, 'workers'))
    .filter((name) => name.endsWith('.js'))
    .map((name) => `workers/${name}`),
];

/**
 * Left to be loaded from `node_modules`: native parts, what starts a file of its own, what is patched by its file's name, and what few need.
 * None of them brings a second copy of something that is bundled and matters.
 */
const EXTERNAL = [
  // Native. The last is installed by who wants it.
  'classic-level',
  'lz4-napi',
  'snappy',
  'sodium-native',
  'uWebSockets.js',
  'uwebsockets-compat',
  // A worker's file of its own.
  'piscina',
  // Patched by the names of its files.
  'kafkajs',
  // The cipher that it loads is looked for beside it.
  '@libp2p/pnet',
  // Where bans are in PostgreSQL.
  'pg',
  // `ws` tries these and does without.
  'bufferutil',
  'utf-8-validate',
];
/** Of these, what is not installed with the server. */
const TRIED = new Set(['uwebsockets-compat', 'bufferutil', 'utf-8-validate']);
/** Packages that read files beside themselves, and so must be installed as well; of `ws` the version is read that it serves with. */
const reading = new Set(['ws']);

/** Of a library's file: where it is in `node_modules`, told at run time, for those that read files beside themselves. */
function folderOf(path) {
  const inside = path
    .slice(path.lastIndexOf(`${sep}node_modules${sep}`) + '/node_modules/'.length)
    .split(sep);
  const name = inside.splice(0, inside[0].startsWith('@') ? 2 : 1).join('/');
  reading.add(name);
  const folder = dirname(inside.join('/'));
  return `(require("node:path").join(require("node:path").dirname(require.resolve("${name}/package.json")), "${folder}"))`;
}

const places = {
  name: 'places',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (path.startsWith(source + sep)) {
        if (!text.includes('import.meta.url')) return undefined;
        const own = relative(source, path).split(sep).join('/');
        return { contents: text.replaceAll('import.meta.url', `(appFolder + "${own}")`) };
      }
      if (!text.includes('__dirname')) return undefined;
      return { contents: text.replaceAll('__dirname', folderOf(path)) };
    });
  },
};

const bundle = async () =>
  build({
    absWorkingDir: source,
    entryPoints: ENTRIES,
    outbase: source,
    outdir: target,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    // Below: what was made before stays until all of it is there.
    write: false,
    metafile: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.12',
    external: EXTERNAL,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'silent',
    plugins: [places],
    banner: {
      // What CommonJS libraries expect, and where our own files are held to be.
      js: `import { createRequire as requireOf } from 'node:module';
const require = requireOf(import.meta.url);
const appFolder = import.meta.url.slice(0, import.meta.url.lastIndexOf('/app/') + '/app/'.length);`,
    },
  });
/** The consumers' library in one file, for the page. */
const libraryOfPage = async () =>
  build({
    entryPoints: [join(root, 'client', 'dist', 'index.js')],
    outfile: join(target, 'page', 'feed-library.js'),
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'silent',
  });
// Of a machine without esbuild's binary `build` throws at once.
const made = async () => [await bundle(), await libraryOfPage()];
const [{ warnings, outputFiles, metafile }, page] = await made().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
for (const name of [...EXTERNAL, ...reading]) {
  if (!(name in dependencies) && !TRIED.has(name)) {
    console.error(`${name} is loaded from node_modules and is no dependency in package.json`);
    process.exit(1);
  }
}
rmSync(target, { recursive: true, force: true });
for (const { path, contents } of [...outputFiles, ...page.outputFiles]) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}
// For the papers of a release: what the lockfile calls the packages of which something is in there.
const bundled = Object.values(metafile.outputs)
  .flatMap(({ inputs }) => Object.entries(inputs))
  .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  .flatMap(
    ([path]) =>
      // From the first on: the folder may be a link to another checkout's.
      /node_modules\/(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(
        relative(root, join(source, path)).split(sep).join('/'),
      ) ?? [],
  );
writeFileSync(join(root, 'dist', 'bundled.json'), JSON.stringify([...new Set(bundled)].sort(), null, 2));
// Of libraries that look for something optional: told, not fatal.
for (const { text, location } of warnings) {
  if (!/direct eval|require\.resolve/i.test(text)) console.error(`${location?.file}: ${text}`);
}
