/**
 * The journal's file calls on a disk that is made up: it can be looked at as it is after any call, or part of one, and as a power loss would leave it, and
 * calls can be made to fail. What `sync` and `syncDirectory` were called for is on the disk; of the rest a power loss leaves any part.
 */

import type { FileCalls, FileState } from '../../src/shared/journal/files.js';

export type Call =
  | { readonly type: 'write'; readonly inode: number; readonly position: number; readonly bytes: Buffer }
  | { readonly type: 'truncate'; readonly inode: number; readonly length: number }
  | { readonly type: 'sync'; readonly inode: number }
  | { readonly type: 'make'; readonly path: string; readonly inode: number }
  | { readonly type: 'rename'; readonly from: string; readonly to: string }
  | { readonly type: 'remove'; readonly path: string }
  | { readonly type: 'syncDirectory' };

/** A disk sector: what a power loss leaves of a write is whole ones. */
const SECTOR = 512;

const failure = (code: string): Error => Object.assign(new Error(`${code}: as the test wants it`), { code });

/** Names and contents. */
class Disk {
  readonly names = new Map<string, number>();
  readonly contents = new Map<number, Buffer>();

  copy(): Disk {
    const copy = new Disk();
    for (const [name, inode] of this.names) copy.names.set(name, inode);
    for (const [inode, bytes] of this.contents) copy.contents.set(inode, bytes);
    return copy;
  }

  apply(call: Call): void {
    if (call.type === 'make') {
      this.names.set(call.path, call.inode);
      if (!this.contents.has(call.inode)) this.contents.set(call.inode, Buffer.alloc(0));
    } else if (call.type === 'remove') this.names.delete(call.path);
    else if (call.type === 'rename') {
      const inode = this.names.get(call.from);
      this.names.delete(call.from);
      if (inode !== undefined) this.names.set(call.to, inode);
    } else if (call.type === 'write') this.write(call.inode, call.position, call.bytes);
    else if (call.type === 'truncate') this.resize(call.inode, call.length);
  }

  write(inode: number, position: number, bytes: Uint8Array): void {
    const before = this.contents.get(inode) ?? Buffer.alloc(0);
    const after = Buffer.alloc(Math.max(before.length, position + bytes.length));
    before.copy(after);
    after.set(bytes, position);
    this.contents.set(inode, after);
  }

  resize(inode: number, length: number): void {
    const after = Buffer.alloc(length);
    (this.contents.get(inode) ?? Buffer.alloc(0)).copy(after);
    this.contents.set(inode, after);
  }
}

export interface Fault {
  /** What is thrown, such as `ENOSPC`. */
  readonly code: string;
  /** Of a write: bytes that come before it is thrown, by a short write. */
  readonly after?: number;
}

export class MemoryFiles implements FileCalls {
  /** Every call that changes something, in order. */
  readonly calls: Call[] = [];
  /** Asked before each call that changes something; what it gives fails the call. */
  fault: (call: Call) => Fault | undefined = () => undefined;
  #disk: Disk;
  readonly #start: Disk;
  readonly #open = new Map<number, number>();
  #inodes: number;
  #fds = 3;

  constructor(disk = new Disk()) {
    this.#disk = disk;
    this.#start = disk.copy();
    this.#inodes = Math.max(0, ...disk.contents.keys());
  }

  /** Names in the directory of the journal. */
  get names(): string[] {
    return [...this.#disk.names.keys()];
  }

  contentOf(name: string): Buffer {
    return this.#disk.contents.get(this.#inodeAt(name)) as Buffer;
  }

  setContent(name: string, bytes: Buffer): void {
    this.#disk.contents.set(this.#inodeAt(name), bytes);
  }

  /** As they are now, for whoever opens them next. */
  copy(): MemoryFiles {
    return new MemoryFiles(this.#disk.copy());
  }

  /** As a directory that was copied is: with everything in other files. */
  copied(): MemoryFiles {
    const disk = new Disk();
    let inode = this.#inodes + 1000;
    for (const [name, from] of this.#disk.names) {
      disk.names.set(name, ++inode);
      disk.contents.set(inode, this.#disk.contents.get(from) as Buffer);
    }
    return new MemoryFiles(disk);
  }

  /** As they were after the first `calls` calls, and after the first `bytes` bytes of the next where that is a write: what is there after a death. */
  asOf(calls: number, bytes = 0): MemoryFiles {
    const disk = this.#start.copy();
    for (const call of this.calls.slice(0, calls)) disk.apply(call);
    const next = this.calls[calls];
    if (next?.type === 'write' && bytes > 0) disk.apply({ ...next, bytes: next.bytes.subarray(0, bytes) });
    return new MemoryFiles(disk);
  }

  /** As a power loss after the first `calls` calls may leave them. */
  afterPowerLoss(calls: number, random: () => number): MemoryFiles {
    const happened = this.calls.slice(0, calls);
    const disk = this.#start.copy();
    const namesSynced = happened.findLastIndex(({ type }) => type === 'syncDirectory');
    const dataSynced = new Map<number, number>();
    happened.forEach((call, index) => {
      if (call.type === 'sync') dataSynced.set(call.inode, index);
    });
    // Now and then everything comes through, or nothing that was not waited for.
    const share = [0, 0.5, 0.5, 0.9, 1][Math.floor(random() * 5)] as number;
    const comes = () => random() < share;
    happened.forEach((call, index) => {
      if (call.type === 'make' || call.type === 'rename' || call.type === 'remove') {
        const inode = call.type === 'make' ? call.inode : undefined;
        if (inode !== undefined && !disk.contents.has(inode)) disk.contents.set(inode, Buffer.alloc(0));
        if (index <= namesSynced || comes()) disk.apply(call);
      } else if (call.type === 'write' || call.type === 'truncate') {
        if (index <= (dataSynced.get(call.inode) ?? -1) || comes()) disk.apply(call);
        else if (call.type === 'write') this.#tear(disk, call, random);
      }
    });
    return new MemoryFiles(disk);
  }

  /** Some sectors of a write, as they were written, and perhaps the file's length, with zeros. */
  #tear(
    disk: Disk,
    { inode, position, bytes }: Call & { readonly type: 'write' },
    random: () => number,
  ): void {
    const kind = Math.floor(random() * 3);
    if (kind === 0) return;
    const end = position + bytes.length;
    const size = disk.contents.get(inode)?.length ?? 0;
    if (kind === 1 && end > size) disk.resize(inode, end);
    for (let at = position; at < end; ) {
      const next = Math.min(end, (Math.floor(at / SECTOR) + 1) * SECTOR);
      if (random() < 0.5) disk.write(inode, at, bytes.subarray(at - position, next - position));
      at = next;
    }
  }

  open(path: string, flags: 'r' | 'r+' | 'wx+'): number {
    const name = nameIn(path);
    let inode = this.#disk.names.get(name);
    if (flags === 'wx+') {
      if (inode !== undefined) throw failure('EEXIST');
      inode = ++this.#inodes;
      this.#call({ type: 'make', path: name, inode });
    }
    if (inode === undefined) throw failure('ENOENT');
    const fd = this.#fds++;
    this.#open.set(fd, inode);
    return fd;
  }

  close(fd: number): void {
    this.#inodeOf(fd);
    this.#open.delete(fd);
  }

  read(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number {
    const content = this.#disk.contents.get(this.#inodeOf(fd)) as Buffer;
    const part = content.subarray(position, position + length);
    bytes.set(part, offset);
    return part.length;
  }

  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number {
    const inode = this.#inodeOf(fd);
    const whole: Call = {
      type: 'write',
      inode,
      position,
      bytes: Buffer.from(bytes.subarray(offset, offset + length)),
    };
    const fault = this.fault(whole);
    if (fault === undefined) {
      this.#note(whole);
      return length;
    }
    if (fault.after === undefined || fault.after === 0) throw failure(fault.code);
    const written = Math.min(fault.after, length);
    this.#note({ ...whole, bytes: whole.bytes.subarray(0, written) });
    return written;
  }

  truncate(fd: number, length: number): void {
    this.#call({ type: 'truncate', inode: this.#inodeOf(fd), length });
  }

  sync(fd: number): void {
    this.#call({ type: 'sync', inode: this.#inodeOf(fd) });
  }

  syncDirectory(): void {
    this.#call({ type: 'syncDirectory' });
  }

  stat(fd: number): FileState {
    const inode = this.#inodeOf(fd);
    const links = [...this.#disk.names.values()].filter((each) => each === inode).length;
    const { length } = this.#disk.contents.get(inode) as Buffer;
    return { size: length, inode: String(inode), birth: `born ${inode}`, links };
  }

  list(): string[] {
    return this.names;
  }

  rename(from: string, to: string): void {
    this.#inodeAt(nameIn(from));
    this.#call({ type: 'rename', from: nameIn(from), to: nameIn(to) });
  }

  remove(path: string): void {
    this.#inodeAt(nameIn(path));
    this.#call({ type: 'remove', path: nameIn(path) });
  }

  makeDirectory(): void {}

  /** Files that are open. */
  get opened(): number {
    return this.#open.size;
  }

  #call(call: Call): void {
    const fault = this.fault(call);
    if (fault !== undefined) throw failure(fault.code);
    this.#note(call);
  }

  #note(call: Call): void {
    this.calls.push(call);
    this.#disk.apply(call);
  }

  #inodeAt(name: string): number {
    const inode = this.#disk.names.get(name);
    if (inode === undefined) throw failure('ENOENT');
    return inode;
  }

  #inodeOf(fd: number): number {
    const inode = this.#open.get(fd);
    if (inode === undefined) throw failure('EBADF');
    return inode;
  }
}

const nameIn = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
