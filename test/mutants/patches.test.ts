import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { applyMutant, mutantNames, readMutant } from './patches.js';

describe('the mutants', () => {
  it('are thirty and more', () => {
    assert.ok(mutantNames().length >= 30, `${mutantNames().length}`);
  });

  it('break what no other breaks', () => {
    const mutants = mutantNames().map(readMutant);
    assert.equal(new Set(mutants.map(({ breaks }) => breaks)).size, mutants.length);
  });

  for (const name of mutantNames()) {
    it(`${name} applies to one place and names tests that are there`, () => {
      const mutant = readMutant(name);
      for (const test of mutant.tests) assert.ok(existsSync(`test/${test}.test.ts`), test);
      const places = readFileSync(mutant.file, 'utf8').split(mutant.before).length - 1;
      assert.equal(places, 1, `${mutant.file} has the lines around the change ${places} times`);
      applyMutant(mutant, '.', '--check');
    });
  }
});
