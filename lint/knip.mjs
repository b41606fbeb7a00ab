// Files and exports that nobody imports. With `--production` tests count for nobody, and of an export it is enough that its own file uses it: a test may look into a file, but what
// it looks at has to be there for the product.
const ofProduct = [
  'src/main/cli/index.ts',
  'src/workers/*.ts',
  'src/shared/client.ts',
  'client/src/index.ts',
  'bin/*.mjs',
];
const ofTests = [
  'bench/**/*.ts',
  'lint/*.mjs',
  'test/run.ts',
  'test/**/*.test.ts',
  // Started as programs of their own.
  'test/**/programs/*.ts',
  'test/**/*-process.ts',
  'test/operators/{not-here,record,service-manager,tools}.ts',
  'test/place/stand-in.ts',
];
const production = process.argv.includes('--production');

export default {
  entry: [...ofProduct.map((path) => `${path}!`), ...ofTests],
  project: ['src/**/*.ts!', 'client/src/**/*.ts!', 'bench/**/*.ts', 'test/**/*.ts'],
  include: production ? ['exports'] : ['files', 'exports', 'types'],
  ignoreExportsUsedInFile: production,
};
