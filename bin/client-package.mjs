// Makes `dist/client`: the client of PeerService as a package of its own, `teranode-p2p-client`, for programs that want neither server nor what
// that is made of. Run after the compiler; what it takes is the client's module and its types, each with
// all that it imports.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const target = join(root, 'dist', 'client');
const ENTRY = join('src', 'shared', 'client');

const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const dependencies = new Set();
const taken = new Set();

/** Takes a module, or the types of one, with all that it imports. `path` is below `dist`. */
function take(path, ending) {
  if (taken.has(path + ending)) return;
  taken.add(path + ending);
  const source = join(root, 'dist', path + ending);
  mkdirSync(dirname(join(target, path)), { recursive: true });
  copyFileSync(source, join(target, path + ending));
  for (const [, name] of readFileSync(source, 'utf8').matchAll(/\b(?:from|import\()\s*['"]([^'"]+)['"]/g)) {
    if (name.startsWith('.')) {
      take(relative(join(root, 'dist'), join(dirname(source), name)).replace(/\.js$/, ''), ending);
    } else if (!name.startsWith('node:')) dependencies.add(/^(?:@[^/]+\/)?[^/]+/.exec(name)[0]);
  }
}

rmSync(target, { recursive: true, force: true });
for (const ending of ['.js', '.d.ts']) take(ENTRY, ending);
const file = `./${ENTRY.replaceAll('\\', '/')}`;
const { version, license, homepage, bugs, repository, engines } = own;
writeFileSync(
  join(target, 'package.json'),
  `${JSON.stringify(
    {
      name: 'teranode-p2p-client',
      version,
      description: 'Client of PeerService, the gRPC service of a Bitcoin SV Teranode’s P2P server.',
      keywords: ['bitcoin-sv', 'teranode', 'p2p', 'grpc'],
      homepage,
      bugs,
      repository,
      license,
      type: 'module',
      main: `${file}.js`,
      types: `${file}.d.ts`,
      exports: { '.': { types: `${file}.d.ts`, default: `${file}.js` }, './package.json': './package.json' },
      files: ['src'],
      engines,
      dependencies: Object.fromEntries(
        [...dependencies].sort().map((name) => {
          if (!(name in own.dependencies))
            throw new Error(`the client imports ${name}, which is no dependency`);
          return [name, own.dependencies[name]];
        }),
      ),
    },
    null,
    2,
  )}\n`,
);
for (const [source, name] of [
  ['bin/client-readme.md', 'README.md'],
  ['LICENSE', 'LICENSE'],
])
  copyFileSync(join(root, source), join(target, name));
