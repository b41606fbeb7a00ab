// What the pages say of the source and of one another: links, tests, settings, lines of the log, metrics and calls that they name are there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const ROOT = new URL('../', import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), 'utf8');
const isThere = (path) => existsSync(new URL(path, ROOT));
const filesBelow = (folder, ending) =>
  readdirSync(fileURLToPath(new URL(folder, ROOT)), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}${name}`);
const matches = (text, pattern) => [...text.matchAll(pattern)].map(([, first = '']) => first);

const problems = [];
/** Says so of each of `named` that is not as it should be, and where nothing at all is named: then the pattern looks for what is not written any more. */
function each(what, named, isRight) {
  if (named.length === 0) problems.push(`${what}: nothing of that kind is found any more`);
  for (const one of new Set(named)) if (!isRight(one)) problems.push(`${what}: ${one}`);
}

const PAGES = ['README.md', 'CONTRIBUTING.md', 'client/README.md', ...filesBelow('docs/', '.md')];
const SETTINGS = new Set(matches(read('docs/settings.md'), /^\| `(\w+)` \|/gm));
const TEST_FILE = /`([\w/-]+\.test\.ts)`/g;

/** What a heading is reached by: as GitHub makes it. */
const anchorOf = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
const anchorsOf = (text) =>
  new Set(matches(text.replace(/```[\s\S]*?```/g, ''), /^#+ (.*)$/gm).map(anchorOf));

/** Relative links, pictures and headings. */
function links() {
  const paths = [];
  const anchors = [];
  for (const page of PAGES) {
    const base = new URL(page, ROOT);
    const text = read(page);
    for (const link of matches(text, /\]\(([^)#\s]+)[^)]*\)/g))
      if (!/^[a-z]+:/.test(link)) paths.push({ page, link, target: new URL(link, base) });
    for (const [, path, anchor] of text.matchAll(/\]\(([^)#\s]*)#([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(path) || (path !== '' && !path.endsWith('.md'))) continue;
      const target = path === '' ? base : new URL(path, base);
      if (!existsSync(target) || !anchorsOf(readFileSync(target, 'utf8')).has(anchor))
        anchors.push(`${page}: ${path}#${anchor}`);
    }
  }
  const broken = paths.filter(({ target }) => !existsSync(target));
  problems.push(...broken.map(({ page, link }) => `a link that leads nowhere: ${page}: ${link}`));
  problems.push(...anchors.map((one) => `a link to a heading that is not there: ${one}`));
}

function map() {
  const paths = matches(read('docs/architecture.md'), /`((?:src|proto|bench|test)\/[\w./-]*)`/g);
  // Made by the build.
  each('a path of docs/architecture.md', paths, (path) => path === 'src/shared/generated/' || isThere(path));
}

function promises() {
  const page = read('docs/guarantees.md');
  each('a test of docs/guarantees.md', matches(page, TEST_FILE), (path) => {
    const file = `test/${path}`;
    return isThere(file) && /\b(?:test|it)\(/.test(read(file));
  });
  const rows = page
    .split('## Not promised')[0]
    .split('\n')
    // Rows of tables, without the two lines of their heads.
    .filter((line, index, lines) => /^\| [^-]/.test(line) && !/^\| -/.test(lines[index + 1] ?? ''));
  each('a promise without a test', rows, (row) => /\.test\.ts`/.test(row));
}

function contracts() {
  const page = read('docs/compatibility.md');
  const rows = page.split('\n').filter((line) => /^\| (?!service, |call |---)/.test(line));
  const rowsOf = (name) => rows.filter((row) => row.includes(`\`${name}\``));
  const named = (row) => /`[\w/-]+\.test\.ts`/.test(row);
  each('a test of docs/compatibility.md', matches(page, TEST_FILE), (path) => isThere(`test/${path}`));
  const calls = filesBelow('proto/', '.proto').flatMap((file) => matches(read(file), /^ {2}rpc (\w+)\(/gm));
  each('a call without a row, or a row of it without a test', calls, (call) => {
    const found = rowsOf(call);
    return found.length > 0 && found.every(named);
  });
  const records = matches(read('proto/kafkamessage.proto'), /^message (\w+)/gm);
  each('a record without a row that names a test', records, (record) => rowsOf(record).some(named));
  const services = ['peer-service', 'registry-service']
    .map((name) => read(`src/main/grpc/${name}.ts`))
    .join('\n');
  const gates = [...services.matchAll(/'(\w+)', \{\s+admin: (true|false)/g)];
  const wrong = gates.filter(
    ([, call, admin]) => /^\|[^|]+\| admin \|/.test(rowsOf(call)[0] ?? '') !== (admin === 'true'),
  );
  each(
    'calls of which it is known whether they need the key',
    gates.map(([, call]) => call),
    () => true,
  );
  problems.push(
    ...wrong.map(
      ([, call]) =>
        `what docs/compatibility.md says needs the key, and does not, or the other way round: ${call}`,
    ),
  );
  each(
    'a topic without a row',
    [...SETTINGS].filter((key) => /^p2p_\w+_topic$/.test(key)),
    (key) => page.includes(`\`${key}\``),
  );
}

/** What an operator is told to look for. */
function operations() {
  const page = ['docs/operations.md', ...filesBelow('docs/operators/', '.md')].map(read).join('\n');
  const source = filesBelow('src/', '.ts').map(read).join('\n');
  // “log `a`, `b`” and “logs `c`”: whole messages.
  const lines = matches(page, /\blogs? ((?:`[^`]+`(?:, (?:every 5 s |at last )?)?)+)/g)
    .flatMap((list) => matches(list, /`([^`]+)`/g))
    .filter((line) => !/^\w+$/.test(line));
  each('a line of the log', lines, (line) => source.includes(`'${line}'`));
  each('a metric', matches(page, /`(teranode_p2p_\w+)/g), (metric) => source.includes(`'${metric}'`));
  // Of the image's file also what its settings are put together from.
  const ofImage = new Set(matches(read('deploy/image/settings.conf'), /^(\w+) /gm));
  each(
    'a setting',
    matches(page, /`((?:p2p_|kafka_|KAFKA_)\w+)`/g),
    (key) => SETTINGS.has(key) || ofImage.has(key),
  );
  each(
    'a state or outcome',
    ['broker_down', 'topic_fault', 'outbox_full', 'store_failed'],
    (name) => page.includes(`\`${name}\``) && source.includes(`'${name}'`),
  );
  const { groups } = parse(read('deploy/alerts.yml'));
  const alerts = new Set(groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)));
  const told = matches(page, /\balerts? ((?:`\w+`[^|;`]*)+)/g).flatMap((list) => matches(list, /`(\w+)`/g));
  each('an alert', told, (alert) => alerts.has(alert));
}

/** The bounds that docs/queues.md tells of: each is one that the code reads. */
function queues() {
  const table = read('src/shared/queues.ts');
  const code = filesBelow('src/', '.ts')
    .filter((file) => !file.startsWith('src/shared/queues'))
    .map(read)
    .join('\n');
  const bounds = [...table.matchAll(/^ {2}(\w+): queue\(\{.*?bounds: \{(.*?)\}/gms)].flatMap(
    ([, queue, fields]) => matches(fields, /(\w+):/g).map((field) => `${queue}.${field}`),
  );
  each('a bound of src/shared/queues.ts that no code reads', bounds, (bound) => {
    const [queue, field] = bound.split('.');
    const all = `QUEUES\\.${queue}\\.bounds`;
    return new RegExp(`${all}\\.${field}\\b|\\b${field}\\b[^}]*\\} = ${all};|const [A-Z]+ = ${all};`).test(
      code,
    );
  });
}

for (const check of [links, map, promises, contracts, operations, queues]) check();
if (problems.length > 0) {
  process.exitCode = 1;
  for (const problem of problems) console.error(problem);
}
