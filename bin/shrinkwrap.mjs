// Writes npm-shrinkwrap.json, the lockfile that npm publishes: package-lock.json without what development needs, which npm would install with the
// package, for every system. Only there while npm packs: beside the other, npm would take it for the checkout's. `shrinkwrap.mjs remove` removes it.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const target = file('npm-shrinkwrap.json');

if (process.argv[2] === 'remove') rmSync(target, { force: true });
else {
  const lock = JSON.parse(readFileSync(file('package-lock.json'), 'utf8'));
  const { devDependencies: _, ...root } = lock.packages[''];
  const installed = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev);
  lock.packages = { '': root, ...Object.fromEntries(installed) };
  writeFileSync(target, `${JSON.stringify(lock, null, 2)}\n`);
}
