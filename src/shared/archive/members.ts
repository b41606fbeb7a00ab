/** Lines of text into a file of gzip members, each of whole lines and readable alone. */

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type FileCalls, writeAll } from '../journal/files.js';
import type { ArchiveMember, ArchiveMetadata } from './segment.js';

/** Of text a member has, and the line beyond it. */
const MEMBER_BYTES = 262_144;
/** What costs a sixth more takes three times as long. */
const LEVEL = 6;
const NEWLINE = Buffer.from('\n');

export class MemberWriter {
  readonly #files: FileCalls;
  readonly #fd: number;
  readonly #sha256 = createHash('sha256');
  readonly #plainSha256 = createHash('sha256');
  readonly #members: ArchiveMember[] = [];
  #bytes = 0;
  #plainBytes = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  /** Into a new file that is open as `fd`. */
  constructor(files: FileCalls, fd: number) {
    this.#files = files;
    this.#fd = fd;
  }

  /** Adds a line; true where a member is full, which `flush` is to write. */
  add(line: Uint8Array): boolean {
    this.#waiting.push(line, NEWLINE);
    this.#waitingBytes += line.length + 1;
    return this.#waitingBytes >= MEMBER_BYTES;
  }

  /** Writes the lines that wait as a member. Throws what the file system throws. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const plain = Buffer.concat(this.#waiting);
    const member = gzipSync(plain, { level: LEVEL });
    this.#members.push({ offset: this.#bytes, plainOffset: this.#plainBytes });
    writeAll(this.#files, this.#fd, member, member.length, this.#bytes);
    this.#sha256.update(member);
    this.#plainSha256.update(plain);
    this.#bytes += member.length;
    this.#plainBytes += plain.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Writes what waits, and has the disk take it all. A file without a line is one empty member. Throws what the file system throws. */
  end(): Pick<ArchiveMetadata, 'bytes' | 'sha256' | 'plainBytes' | 'plainSha256' | 'members'> {
    this.flush();
    if (this.#bytes === 0) {
      const member = gzipSync('');
      writeAll(this.#files, this.#fd, member, member.length, 0);
      this.#sha256.update(member);
      this.#bytes = member.length;
    }
    this.#files.sync(this.#fd);
    return {
      bytes: this.#bytes,
      sha256: this.#sha256.digest('hex'),
      plainBytes: this.#plainBytes,
      plainSha256: this.#plainSha256.digest('hex'),
      members: this.#members,
    };
  }
}
