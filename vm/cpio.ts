import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** A file for an archive: a directory (`content` undefined), a symbolic link, or a regular file with its bytes. */
export interface Entry {
  /** Without a leading slash. */
  readonly path: string;
  readonly mode: number;
  readonly content?: Uint8Array;
}

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const S_IFMT = 0o170000;

export function directory(path: string): Entry {
  return { path, mode: S_IFDIR | 0o755 };
}

export function file(path: string, content: Uint8Array | string, permissions: number = 0o644): Entry {
  return { path, mode: S_IFREG | permissions, content: bytes(content) };
}

export function link(path: string, target: string): Entry {
  return { path, mode: S_IFLNK | 0o777, content: bytes(target) };
}

/** All that is in a directory, as entries below `at`. What is neither file, directory nor link is left out. */
export function* tree(folder: string, at: string = ''): Generator<Entry> {
  for (const name of readdirSync(folder).sort()) {
    const source = join(folder, name);
    const path = join(at, name);
    const { mode } = lstatSync(source);
    switch (mode & S_IFMT) {
      case S_IFDIR:
        yield directory(path);
        yield* tree(source, path);
        break;
      case S_IFLNK:
        yield link(path, readlinkSync(source));
        break;
      case S_IFREG:
        yield file(path, readFileSync(source), mode & 0o777);
    }
  }
}

/**
 * The pieces of an initial RAM file system: a cpio archive in the "newc" format, uncompressed (Linux
 * Documentation/driver-api/early-userspace/buffer-format.rst). Everything belongs to root and has time 0, so that
 * equal contents make equal archives.
 */
export function* newc(entries: Iterable<Entry>): Generator<Uint8Array> {
  let inode = 0;
  for (const { path, mode, content = new Uint8Array() } of entries) {
    inode++;
    yield header(path, { inode, mode, links: content.length === 0 ? 2 : 1, size: content.length });
    yield content;
    yield padding(content.length);
  }
  yield header('TRAILER!!!', { inode: 0, mode: 0, links: 1, size: 0 });
}

interface Fields {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly size: number;
}

/** The fixed part is 110 characters: the magic and 13 numbers of 8 hexadecimal digits; the name follows, with its 0. */
function header(path: string, { inode, mode, links, size }: Fields): Uint8Array {
  const name = bytes(`${path}\0`);
  const numbers = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name.length, 0];
  const fixed = bytes(`070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([fixed, name, padding(fixed.length + name.length)]);
}

/** Up to the next multiple of four bytes. */
function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}

function bytes(content: Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content) : content;
}
