import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashOfToken, newToken, parseTokens, tokenLine } from '../../../src/shared/firehose/tokens.js';
import { FRAME_KINDS } from '../../../src/shared/messages/index.js';

// SHA-256 of "abc" and of the empty text, as FIPS 180-2 and everybody's sha256sum have them.
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
const NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const idOf = (wanted: string) => FRAME_KINDS.find(({ name }) => name === wanted)?.id;

describe('the file of tokens', () => {
  it('has a token a line, with its limits', () => {
    const text = `# consumers\n\n  one:${ABC}:\r\ntwo.eu-1:${NOTHING}:connections=3  kinds=subtree,block replay=no\nanonymous:-:replay=yes\n`;
    assert.deepEqual(parseTokens(text), [
      { name: 'one', hash: ABC, replay: true },
      {
        name: 'two.eu-1',
        hash: NOTHING,
        connections: 3,
        kinds: [idOf('block'), idOf('subtree')],
        replay: false,
      },
      { name: 'anonymous', hash: '', replay: true },
    ]);
    const tokens = parseTokens(text);
    assert.deepEqual(parseTokens(tokens.map(tokenLine).join('\n')), tokens);
  });

  it('is refused whole by its first line that is none, and nothing of a token is in the reason', () => {
    const lines: readonly (readonly [line: string, why: RegExp])[] = [
      ['nonsense', /line 2 is not name:hash:limits/],
      [`a b:${ABC}:`, /line 2 is not name:hash:limits/],
      [`${'x'.repeat(65)}:${ABC}:`, /line 2 is not name:hash:limits/],
      [`b:${ABC.slice(1)}:`, /line 2, b: the hash is not 64 hex digits/],
      [`b:${ABC.toUpperCase()}:`, /hash/],
      ['b:p2p_secret-token-itself:', /hash/],
      ['b:-:', /hash/],
      [`anonymous:${ABC}:`, /must be -/],
      [`b:${ABC}::`, /is not name:hash:limits/],
      [`one:${ABC}:`, /line 2 has the name of line 1/],
      [`b:${NOTHING}:`, /line 2 has the hash of line 1/],
      [`b:${ABC}:connections=0`, /from 1/],
      [`b:${ABC}:connections=-1`, /from 1/],
      [`b:${ABC}:connections=many`, /from 1/],
      [`b:${ABC}:connections`, /from 1/],
      [`b:${ABC}:connections=1 connections=2`, /twice/],
      [`b:${ABC}:kinds=`, /kinds must be some of block, /],
      [`b:${ABC}:kinds=block,nothing`, /kinds must be some of block, /],
      [`b:${ABC}:replay=perhaps`, /yes or no/],
      [`b:${ABC}:rate=1`, /nothing else/],
      [`b:${ABC}:toString=1`, /nothing else/],
    ];
    for (const [line, why] of lines)
      assert.throws(
        () => parseTokens(`one:${NOTHING}:\n${line}\n`),
        (error) =>
          error instanceof RangeError &&
          why.test(error.message) &&
          !/secret|ba7816|e3b0c4/.test(error.message),
        line,
      );
  });

  it('is refused where there is no token, or too many', () => {
    for (const text of ['', '\n\n', '# nobody\n']) assert.throws(() => parseTokens(text), /holds no token/);
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => `t${index}:${hashOfToken(String(index))}:`).join('\n');
    assert.equal(parseTokens(many(1000)).length, 1000);
    assert.throws(() => parseTokens(many(1001)), /more than 1000/);
    assert.throws(() => parseTokens('x'.repeat(1_048_577)), /1 MiB/);
    assert.throws(() => parseTokens('\0\u{1f600}\0'), /line 1/);
  });

  it('hashes as everybody does, and makes tokens that can be sent as they are and that nobody guesses', () => {
    assert.equal(hashOfToken('abc'), ABC);
    const made = new Set(Array.from({ length: 100 }, newToken));
    assert.equal(made.size, 100);
    for (const token of made) {
      assert.equal(encodeURIComponent(token), token);
      assert.equal(Buffer.from(token.slice('p2p_'.length), 'base64url').length, 32);
    }
  });
});
