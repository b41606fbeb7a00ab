// What the patches of src/main/node/patches lean on, read from node_modules: texts of libraries, and their digests in digests.json.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';

const FOLDER = 'src/main/node/patches';
const DIGESTS = `${FOLDER}/digests.json`;

/** The table of patches, as its source has it: it imports nothing. */
export async function loadPatches(root) {
  const source = readFileSync(join(root, FOLDER, 'index.ts'), 'utf8');
  const { code } = transformSync(source, { loader: 'ts', format: 'esm' });
  const { PATCHES } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  return PATCHES;
}

/** A method from its name, as it stands at the beginning of a class member, to its closing brace; undefined where it is not there. */
function methodIn(text, method) {
  const from = text.indexOf(`\n    ${method}`);
  return from === -1 ? undefined : text.slice(from + 5, text.indexOf('\n    }\n', from));
}

/** `{ [library]: { version, texts: { [file]: { [method]: text } } } }`; the method '' stands for the whole file. What is not there is left out. */
export function textsOf(root, patches) {
  const found = {};
  for (const { leansOn } of Object.values(patches)) {
    for (const [library, files] of Object.entries(leansOn)) {
      const folder = join(root, 'node_modules', library);
      if (!existsSync(folder)) continue;
      const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      found[library] ??= { version, texts: {} };
      for (const [file, methods] of Object.entries(files)) {
        if (!existsSync(join(folder, file))) continue;
        const whole = readFileSync(join(folder, file), 'utf8');
        const texts = found[library].texts[file] ?? {};
        found[library].texts[file] = texts;
        for (const method of methods.length === 0 ? [''] : methods) {
          const text = method === '' ? whole : methodIn(whole, method);
          if (text !== undefined) texts[method] = text;
        }
      }
    }
  }
  return found;
}

/** The same with sixteen hex digits of SHA-256 in place of each text, in an order of its own. */
export function digestsOf(texts) {
  const digest = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);
  const sorted = (entries, value) =>
    Object.fromEntries(
      Object.entries(entries)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, entry]) => [key, value(entry)]),
    );
  return sorted(texts, ({ version, texts: files }) => ({
    version,
    texts: sorted(files, (methods) => sorted(methods, digest)),
  }));
}

/** The digests that were written down. */
export function accepted(root) {
  return JSON.parse(readFileSync(join(root, DIGESTS), 'utf8'));
}

export function writeAccepted(root, digests) {
  writeFileSync(join(root, DIGESTS), `${JSON.stringify(digests, null, 2)}\n`);
}

/** What each patch leans on and is not as it was written down, or never was. */
export function changesIn(patches, before, now) {
  const changed = [];
  for (const [patch, { leansOn, tests }] of Object.entries(patches)) {
    const texts = [];
    for (const [library, files] of Object.entries(leansOn)) {
      for (const [file, methods] of Object.entries(files)) {
        for (const method of methods.length === 0 ? [''] : methods) {
          const [old, is] = [before, now].map((from) => from[library]?.texts[file]?.[method]);
          if (old === is && is !== undefined) continue;
          texts.push({ library, file, method, was: before[library]?.version, is });
        }
      }
    }
    if (texts.length > 0) changed.push({ patch, tests, texts });
  }
  return changed;
}

const fileOf = (patch) => `${patch.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.ts`;

/** Patches without their file or tests, and files of the folder that are in no row of the table. */
export function misplaced(root, patches) {
  const files = new Set(Object.keys(patches).map(fileOf));
  const there = readdirSync(join(root, FOLDER)).filter((file) => file.endsWith('.ts') && file !== 'index.ts');
  return [
    ...[...files]
      .filter((file) => !there.includes(file))
      .map((file) => `${FOLDER}/${file} is missing: the table names it`),
    ...there
      .filter((file) => !files.has(file))
      .map((file) => `${FOLDER}/${file} is in no row of ${FOLDER}/index.ts`),
    ...Object.entries(patches).flatMap(([patch, { tests }]) =>
      [
        ...tests.filter((path) => !existsSync(join(root, 'test', `${path}.test.ts`))),
        ...(tests.length === 0 ? ['any'] : []),
      ].map((path) => `${patch}: there is no test ${path}`),
    ),
  ];
}
