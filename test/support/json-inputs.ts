/** Messages as nobody sends them, but somebody could: made by chance from a seed. */

import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import type { WireField } from '../../src/shared/messages/wire-fields.js';
import type { Input } from './go-decodings.js';
import { randomNumbers } from './random.js';
import { sampleData } from './sample-messages.js';

const KINDS = MESSAGE_KINDS.filter(({ wire }) => wire.length > 0);
const DEPTH = 6;
const UNKNOWN_KEYS = [
  '',
  'x',
  'Hash ',
  ' hash',
  'Hashes',
  'has',
  '__proto__',
  'constructor',
  'toString',
  'data',
  'name',
  'peer id',
];
const NUMBERS = [
  ...[
    '0',
    '-0',
    '1',
    '-1',
    '7',
    '4294967295',
    '4294967296',
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
  ],
  ...[
    '9223372036854775807',
    '9223372036854775808',
    '-9223372036854775808',
    '-9223372036854775809',
    '999999999999999',
  ],
  ...[
    '18446744073709551615',
    '18446744073709551616',
    '1e2',
    '1E2',
    '1.0',
    '1.5',
    '0.1',
    '1e-7',
    '1e308',
    '1e309',
    '-1e309',
  ],
  ...[
    '1e-400',
    '5e-324',
    '0e0',
    '0.0',
    '-0.0',
    '1e+5',
    '123456789012345678901234567890',
    '0.30000000000000004',
    '1e21',
    '100e-2',
  ],
];
const BAD_NUMBERS = [
  '01',
  '-01',
  '+1',
  '.5',
  '1.',
  '1e',
  '1e+',
  '-',
  '0x10',
  'NaN',
  'Infinity',
  '-Infinity',
  '1_000',
  '00',
  '1.e5',
  '--1',
];
const TEXTS = [
  '',
  'a',
  'ab'.repeat(32),
  'https://hub.example.org/',
  'ünï©ode',
  '日本',
  '\u{1F600}',
  '\u2028',
  '\u007F',
  '\uFFFD',
  'null',
  '0',
];
const ESCAPES = [
  ...[
    '\\"',
    '\\\\',
    '\\/',
    '\\b',
    '\\f',
    '\\n',
    '\\r',
    '\\t',
    '\\u0041',
    '\\u00e9',
    '\\u0000',
    '\\u2028',
    '\\uD83D\\uDE00',
    '\\ud83d',
  ],
  ...[
    '\\udE00',
    '\\ud83d\\ud83d\\ude00',
    '\\ud83dx',
    '\\ud83d\\u0041',
    '\\ufffd',
    '\\uFFFF',
    '\\u017f',
    '\\u212A',
  ],
];
const BAD_ESCAPES = [
  "\\'",
  '\\x41',
  '\\u12',
  '\\u12g4',
  '\\',
  '\\0',
  '\\U0041',
  '\\u{41}',
  '\n',
  '\t',
  '\u0000',
  '\u001f',
];
/** Bytes that are no UTF-8, or at its edges. */
const RAW = [
  'ff',
  'c0af',
  'e282',
  'eda080',
  'edbfbf',
  'f0808080',
  'f4908080',
  'f48fbfbf',
  'c3',
  '80',
  'e0a0',
  'f09f98',
  'e28880',
  'efbfbf',
  'c280',
  'dfbf',
];
const SPACES = ['', '', '', '', ' ', '\n', '\r\n\t', '  '];
const BAD_SPACES = ['\u000b', '\f', '\u00a0', '\ufeff', '/**/', '\u0000', '\u2028'];

/** Text in latin1: a byte a character, so that it may hold any bytes. */
type Bytes = string;

const bytesOf = (text: string): Bytes => Buffer.from(text).toString('latin1');

/** Makes inputs one after the other. */
export class JsonInputs {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
  }

  next(): Input {
    const kind = this.#one(KINDS);
    let json = this.#chance(0.25) ? bytesOf(this.#good(kind.name)) : this.#object(kind.wire, 0);
    if (this.#chance(0.2)) json = this.#mutated(json);
    if (this.#chance(0.03))
      json = this.#one(['null', '[]', '""', '5', 'true', '', ' ', `[${json}]`, `${json}${json}`]);
    if (this.#chance(0.4)) {
      json = this.#envelope(json);
      if (this.#chance(0.1)) json = this.#mutated(json);
    }
    if (this.#chance(0.03))
      json = this.#one([
        `\u00ef\u00bb\u00bf${json}`,
        `${json}x`,
        `${json}\u0000`,
        `${json} \n`,
        `${json},`,
        `\n ${json}`,
      ]);
    const data = Buffer.from(json, 'latin1');
    return { kind: kind.name, data: data.length > kind.sizeBound ? Buffer.from('{}') : data };
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#int(of.length)] as T;
  }

  #good(kind: string): string {
    return Buffer.from(sampleData(kind, {}, 'direct')).toString();
  }

  #space(): Bytes {
    return this.#chance(0.002) ? bytesOf(this.#one(BAD_SPACES)) : this.#one(SPACES);
  }

  #object(table: readonly WireField[], depth: number): Bytes {
    const members = Array.from({ length: this.#int(table.length > 4 ? 9 : 5) }, () => {
      const field = this.#chance(0.8) ? this.#one(table) : undefined;
      const key =
        field === undefined
          ? this.#unknownKey()
          : this.#string(this.#spelt(this.#chance(0.5) ? field.direct : field.bus));
      const value = field === undefined ? this.#any(depth + 1) : this.#valueFor(field, depth + 1);
      return `${key}${this.#space()}:${this.#space()}${value}`;
    });
    if (members.length > 0 && this.#chance(0.3)) members.push(this.#one(members));
    return this.#joined('{', members, '}');
  }

  #joined(open: string, members: readonly Bytes[], close: string): Bytes {
    const comma = this.#chance(0.005) ? this.#one([',,', ';', '']) : ',';
    const end = this.#chance(0.005) ? ',' : '';
    return `${open}${this.#space()}${members.join(`${this.#space()}${comma}${this.#space()}`)}${end}${this.#space()}${close}`;
  }

  /** A key in any case, with the two characters beyond ASCII that Go holds equal to letters, and some that it does not. */
  #spelt(key: string): string {
    if (this.#chance(0.3)) return key;
    const spelt = [...key].map((letter) => {
      if (this.#chance(0.08) && /s/i.test(letter)) return 'ſ';
      if (this.#chance(0.2) && /k/i.test(letter)) return '\u212A';
      if (this.#chance(0.01)) return this.#one(['İ', 'ı', 'ß', 'é', '-', '_', '\u0301']);
      return this.#chance(0.5) ? letter.toUpperCase() : letter.toLowerCase();
    });
    return spelt.join('');
  }

  #unknownKey(): Bytes {
    return this.#string(
      this.#chance(0.9) ? this.#one(UNKNOWN_KEYS.filter((key) => key !== 'data')) : this.#one(UNKNOWN_KEYS),
    );
  }

  /** A string with `text` in it, some of its characters escaped. */
  #string(text: string): Bytes {
    const inner = [...text].map((letter) => {
      const code = letter.charCodeAt(0);
      if (letter === '"' || letter === '\\' || code < 0x20 || (letter.length === 1 && this.#chance(0.03))) {
        return `\\u${code.toString(16).padStart(4, '0')}`;
      }
      return bytesOf(letter);
    });
    return `"${inner.join('')}"`;
  }

  /** A string of anything. */
  #text(): Bytes {
    const pieces = Array.from({ length: this.#int(4) }, () => {
      if (this.#chance(0.5)) return bytesOf(this.#one(TEXTS));
      if (this.#chance(0.6)) return this.#one(ESCAPES);
      if (this.#chance(0.8)) return Buffer.from(this.#one(RAW), 'hex').toString('latin1');
      return this.#chance(0.1) ? bytesOf(this.#one(BAD_ESCAPES)) : '';
    });
    return `"${pieces.join('')}"`;
  }

  #number(): Bytes {
    if (this.#chance(0.01)) return this.#one(BAD_NUMBERS);
    if (this.#chance(0.5)) return this.#one(NUMBERS);
    const digits = Array.from({ length: 1 + this.#int(22) }, () => String(this.#int(10))).join('');
    const whole = digits.replace(/^0+(?=\d)/, '');
    const rest = this.#chance(0.2) ? `.${this.#int(1000)}` : '';
    const exponent = this.#chance(0.1) ? `e${this.#one(['', '+', '-'])}${this.#int(400)}` : '';
    return `${this.#chance(0.1) ? '-' : ''}${whole}${rest}${exponent}`;
  }

  #valueFor({ type, members }: WireField, depth: number): Bytes {
    if (this.#chance(0.08)) return 'null';
    if (this.#chance(0.05)) return this.#any(depth);
    if (type === 'text') return this.#text();
    if (type.endsWith('object')) return this.#object(members, depth);
    // Mostly within its type, or hardly a message would be taken.
    if (this.#chance(0.6))
      return String(type.endsWith('float') ? this.#random() * 10 ** this.#int(30) : this.#int(2 ** 32));
    return this.#number();
  }

  #any(depth: number): Bytes {
    const sort = this.#int(depth < DEPTH ? 8 : 6);
    if (sort === 0)
      return this.#one(['null', 'true', 'false', 'null', 'true', 'false', 'nul', 'True', 'nulll']);
    if (sort < 3) return this.#text();
    if (sort < 6) return this.#number();
    const values = Array.from({ length: this.#int(4) }, () => this.#any(depth + 1));
    if (sort === 6) return this.#joined('[', values, ']');
    return this.#joined(
      '{',
      values.map((value) => `${this.#unknownKey()}:${value}`),
      '}',
    );
  }

  #base64(json: Bytes): string {
    const text = Buffer.from(json, 'latin1').toString('base64');
    if (this.#chance(0.8)) return text;
    const at = this.#int(text.length + 1);
    const spoilt = this.#one(['\n', '\r\n', ' ', '=', '-', '_', 'é', '\t', '.', 'A', '']);
    const other = `${text.slice(0, at)}${spoilt}${text.slice(at)}`;
    return this.#chance(0.3) ? other.replace(/=+$/, '') : other;
  }

  #envelope(inner: Bytes): Bytes {
    const key = (name: string) => this.#string(this.#spelt(name));
    const members = [`${key('data')}:${this.#string(this.#base64(inner))}`];
    // Go takes an array of numbers for bytes too, and this server does not.
    const anyButArray = () => this.#any(1).replace(/^\[.*/s, '5');
    if (this.#chance(0.8))
      members.unshift(`${key('name')}:${this.#chance(0.9) ? this.#text() : this.#any(1)}`);
    if (this.#chance(0.15)) members.push(`${key('data')}:${this.#chance(0.5) ? 'null' : anyButArray()}`);
    if (this.#chance(0.15))
      members.unshift(
        `${key('data')}:${this.#chance(0.5) ? this.#string(this.#base64('{}')) : anyButArray()}`,
      );
    if (this.#chance(0.2)) members.push(`${this.#unknownKey()}:${this.#any(1)}`);
    if (this.#chance(0.1)) members.push(`${key('Hash')}:${this.#any(1)}`);
    return this.#joined('{', members, '}');
  }

  #mutated(json: Bytes): Bytes {
    const at = this.#int(json.length + 1);
    const end = at + this.#int(6);
    switch (this.#int(5)) {
      case 0:
        return json.slice(0, at);
      case 1:
        return json.slice(0, at) + json.slice(end);
      case 2:
        return json.slice(0, end) + json.slice(at);
      case 3:
        return json.slice(0, at) + String.fromCharCode(this.#int(256)) + json.slice(at + 1);
      default:
        return (
          json.slice(0, at) +
          this.#one(['"', '\\', '{', '}', '[', ']', ',', ':', ' ', '\n', '0', 'e', '-', 'null']) +
          json.slice(at)
        );
    }
  }
}
