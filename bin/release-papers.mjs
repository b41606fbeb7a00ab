// Writes what goes out with a release into `dist/release`: the licences of all packages that the server is made of, bundled or beside it, and a bill
// of materials (CycloneDX). Both are of the lockfile, with every system's native parts, whichever are installed here. Needs `dist/app`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const target = join(root, 'dist', 'release');
const read = (...path) => readFileSync(join(root, ...path), 'utf8');
const lock = JSON.parse(read('package-lock.json'));
const bundled = new Set(JSON.parse(read('dist', 'bundled.json')));
for (const path of bundled)
  if (!(path in lock.packages)) throw new Error(`${path} is bundled, and the lockfile does not have it`);

/** Texts for packages that bring none: SPDX identifier to text. */
const STANDARD = {
  'Apache-2.0': read('node_modules', '@grpc', 'grpc-js', 'LICENSE'),
  'BSD-3-Clause': read('bin', 'licences', 'BSD-3-Clause.txt'),
  MIT: read('bin', 'licences', 'MIT.txt'),
};

/** What the package's own files say, in the order of their names. */
function textsOf(path) {
  let names = [];
  try {
    names = readdirSync(join(root, path));
  } catch {
    // Another system's native part: what it is made from is installed, and has the text.
  }
  return names
    .filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))
    .sort()
    .map((name) => read(path, name).trim());
}

const parts = Object.entries(lock.packages)
  .filter(([path, { dev, link }]) => path !== '' && !link && (!dev || bundled.has(path)))
  .map(([path, { name, version, license }]) => ({
    name: name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    version,
    license,
    texts: textsOf(path),
  }))
  .map((part) => ({ ...part, title: `${part.name} ${part.version}` }))
  .sort((a, b) => (a.title < b.title ? -1 : 1));

const used = new Set();
const sections = parts.map(({ title, license, texts }) => {
  if (license === undefined) throw new Error(`${title} names no licence`);
  if (texts.length > 0) return `${title}\n${license}\n\n${texts.join('\n\n')}`;
  for (const id of license.split(/[()\s]+|OR|AND/).filter((each) => each !== '')) {
    if (!(id in STANDARD)) throw new Error(`${title} brings no text of ${id}`);
    used.add(id);
  }
  return `${title}\n${license}: the package brings no text of its own; it is at the end`;
});
const standard = [...used].sort().map((id) => `${id}\n\n${STANDARD[id].trim()}`);
const line = `\n\n${'-'.repeat(100)}\n\n`;
const head = `teranode-p2p ${lock.version} is made of these packages, some in its files, some beside them. Each is under its own licence.`;

mkdirSync(target, { recursive: true });
writeFileSync(
  join(target, 'THIRD-PARTY-NOTICES.txt'),
  `${[head, ...new Set(sections), ...standard].join(line)}\n`,
);
// `--omit=dev` leaves out what development needs as well, so all is asked for and the tools are taken out here.
const sbom = JSON.parse(
  execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  }),
);
const wanted = new Set(parts.map(({ name, version }) => `pkg:npm/${name.replace('@', '%40')}@${version}`));
sbom.components = sbom.components.filter(({ purl }) => wanted.has(purl));
if (sbom.components.length !== wanted.size) throw new Error('npm sbom leaves packages of the lockfile out');
// npm takes the folder's name for the package's.
sbom.metadata.component.name = lock.name;
const refs = new Set([sbom.metadata.component, ...sbom.components].map((component) => component['bom-ref']));
sbom.dependencies = sbom.dependencies
  .filter(({ ref }) => refs.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)) }));
writeFileSync(join(target, 'sbom.cdx.json'), `${JSON.stringify(sbom, null, 2)}\n`);
console.log(`${wanted.size} packages: dist/release/THIRD-PARTY-NOTICES.txt, dist/release/sbom.cdx.json`);
