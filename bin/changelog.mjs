// For `npm version`: what CHANGELOG.md has under "Unreleased" becomes the section of the version in package.json, dated today (UTC), and whatever names the version names that one.
// `changelog.mjs show` prints that version's section instead, for a release's notes.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What names the version, as chart, image or package. */
const NAMING = [
  'client/package.json',
  'deploy/helm/teranode-p2p/Chart.yaml',
  'deploy/kubernetes/base/deployment.yaml',
  'deploy/kubernetes/operator/peer.yaml',
  'docs/operators/kubernetes.md',
  'docs/operators/machine.md',
  'docs/operators/swap.md',
  'docs/operators/upgrade.md',
];

const file = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const { version } = JSON.parse(readFileSync(file('package.json'), 'utf8'));
const text = readFileSync(file('CHANGELOG.md'), 'utf8');

/** From a section's heading to the next: where what is below it begins and ends. Throws where there is no such heading, or nothing below it. */
function section(heading) {
  const start = text.indexOf(`\n## [${heading}]`);
  if (start < 0) throw new Error(`CHANGELOG.md has no section [${heading}]`);
  const from = text.indexOf('\n', start + 1) + 1;
  const next = text.indexOf('\n## [', from);
  const to = next < 0 ? text.length : next + 1;
  if (text.slice(from, to).trim() === '') throw new Error(`CHANGELOG.md says nothing under [${heading}]`);
  return { start: start + 1, from, to };
}

if (process.argv[2] === 'show') {
  const { from, to } = section(version);
  process.stdout.write(`${text.slice(from, to).trim()}\n`);
} else {
  if (text.includes(`\n## [${version}]`)) throw new Error(`CHANGELOG.md has a section [${version}] already`);
  const { start, from } = section('Unreleased');
  const day = new Intl.DateTimeFormat('sv', { timeZone: 'UTC' }).format();
  writeFileSync(
    file('CHANGELOG.md'),
    `${text.slice(0, start)}## [Unreleased]\n\n## [${version}] - ${day}\n${text.slice(from)}`,
  );
  for (const name of NAMING.filter((each) => existsSync(file(each)))) {
    const named = readFileSync(file(name), 'utf8').replace(
      /^(version: |appVersion: )\S+$|(teranode-p2p[:-]|^ {2}"version": ")\d+\.\d+\.\d+/gm,
      (_, chart, image) => `${chart ?? image}${version}`,
    );
    writeFileSync(file(name), named);
  }
}
