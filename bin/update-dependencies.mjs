// Updates dependencies, and tells what changed below the patches: `npm run update -- <package>@<version> …` as `npm install` takes them, none
// for what package.json leaves open. Then, or after any other update:
//   --check   fails where a text of a library that a patch leans on is not the one that was read (a part of `npm run lint`)
//   --accept  writes down the texts as they are now. First read what is new, see whether each patch is still needed and still
//             holds, and run its tests.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  accepted,
  changesIn,
  digestsOf,
  loadPatches,
  misplaced,
  textsOf,
  writeAccepted,
} from './library-texts.mjs';

/** The difference of two texts as git shows it; empty where it cannot. */
function difference(before, after) {
  const folder = mkdtempSync(join(tmpdir(), 'library-texts-'));
  try {
    writeFileSync(join(folder, 'before'), before);
    writeFileSync(join(folder, 'after'), after);
    const run = spawnSync('git', ['diff', '--no-index', '--no-color', 'before', 'after'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return (run.stdout ?? '').split('\n').slice(4).join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Says what changed, patch by patch. `before`: the texts of before, where they are at hand. */
function tell(changes, before, now) {
  for (const { patch, tests, texts } of changes) {
    console.error(`\n${patch} (src/main/node/patches/): tests ${tests.join(' ')}`);
    for (const { library, file, method, was, is } of texts) {
      const where = `${library}/${file}${method === '' ? '' : `, ${method}…)`}`;
      console.error(
        `  ${where} ${is === undefined ? 'is gone' : 'has changed'}, ${was} → ${now[library]?.version ?? 'not installed'}`,
      );
      const [old, young] = [before, now].map((from) => from?.[library]?.texts[file]?.[method]);
      if (old !== undefined && young !== undefined) console.error(difference(old, young));
      else
        console.error(
          `  npm diff --diff=${library}@${was} --diff=${library}@${now[library]?.version} ${file}`,
        );
    }
  }
  console.error('\nRead it; where each patch is still needed and still holds: npm run update -- --accept');
}

const root = process.cwd();
const patches = await loadPatches(root);
const args = process.argv.slice(2);

if (args[0] === '--accept') {
  writeAccepted(root, digestsOf(textsOf(root, patches)));
} else {
  const isCheck = args[0] === '--check';
  const before = isCheck ? undefined : textsOf(root, patches);
  if (!isCheck) {
    const install = args.length === 0 ? ['update'] : ['install', '--save-exact', ...args];
    const { status } = spawnSync('npm', install, { cwd: root, stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
  }
  const problems = misplaced(root, patches);
  for (const problem of problems) console.error(problem);
  const now = textsOf(root, patches);
  const changes = changesIn(patches, accepted(root), digestsOf(now));
  if (changes.length > 0) tell(changes, before, now);
  if (changes.length + problems.length > 0) process.exitCode = 1;
}
