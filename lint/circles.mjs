// Circles of imports, of types too. At each level of `src`, what a folder holds, its files and each of its folders as one, imports each other in one direction alone: so
// every room can be read after those that it stands on, and before those that stand on it.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from 'oxc-parser';

const root = fileURLToPath(new URL('../', import.meta.url));
const TOP = 'src';
/** Made by the build from `proto/`: it imports libraries alone. */
const GENERATED = 'src/shared/generated/';

/** Paths below the root of the files that a file imports, types included. */
function importsOf(file) {
  const text = readFileSync(join(root, file), 'utf8');
  const { module, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const named = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap((entry) => entry.moduleRequest?.value ?? []),
    ),
    // Of types and of what is loaded later: `import('./file.js')`.
    ...[...text.matchAll(/\bimport\('(\.[^']+)'\)/g)].map(([, path]) => path),
  ];
  return named
    .filter((path) => path.startsWith('.'))
    .map((path) => normalize(join(dirname(file), path)).replace(/\.js$/, '.ts'));
}

/** What `folder` holds that `file` is, or is in. */
const entryOf = (folder, file) => file.slice(folder.length + 1).split('/', 1)[0];

/** The first circle in a graph: its nodes in order, the first once more at the end. */
function circleIn(graph) {
  const done = new Set();
  const path = [];
  const visit = (node) => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    path.push(node);
    for (const next of graph.get(node)?.keys() ?? []) {
      const circle = visit(next);
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const circle = visit(node);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

const files = readdirSync(join(root, TOP), { recursive: true, encoding: 'utf8' })
  .map((name) => `${TOP}/${name.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.ts') && !file.startsWith(GENERATED));
const known = new Set(files);
const imports = files.flatMap((file) =>
  importsOf(file)
    .filter((target) => known.has(target))
    .map((target) => [file, target]),
);
const folders = new Set();
for (const file of files) for (let at = dirname(file); at !== '.'; at = dirname(at)) folders.add(at);

for (const folder of [...folders].sort()) {
  const inside = (file) => file.startsWith(`${folder}/`);
  /** Entry to the entries that it imports, each with a file and what that imports. */
  const graph = new Map();
  for (const [file, target] of imports) {
    if (!inside(file) || !inside(target)) continue;
    const [from, to] = [entryOf(folder, file), entryOf(folder, target)];
    if (from === to) continue;
    if (!graph.has(from)) graph.set(from, new Map());
    if (!graph.get(from).has(to)) graph.get(from).set(to, `${file} imports ${target}`);
  }
  const circle = circleIn(graph);
  if (circle === undefined) continue;
  process.exitCode = 1;
  console.error(`${folder}: a circle, ${circle.join(' → ')}`);
  for (const [index, from] of circle.slice(0, -1).entries())
    console.error(`  ${graph.get(from).get(circle[index + 1])}`);
}
