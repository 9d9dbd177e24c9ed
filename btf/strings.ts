import { BtfError } from './errors.ts';
import type { Section } from './header.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The string section: NUL-terminated names, referred to by their byte offset in it.
 *
 * Nothing is decoded ahead of need. The offsets of a split BTF go on where those of its base end.
 */
export class Strings {
  readonly #blob: Uint8Array;
  readonly #start: number;
  readonly #base: Strings | undefined;
  readonly #cache: Map<number, string> = new Map();
  /** Offset of the first own string: where the base's strings end. */
  readonly first: number;
  /** One past the last valid offset. */
  readonly end: number;

  constructor(blob: Uint8Array, section: Section, base?: Strings) {
    const length = section.end - section.start;
    this.#blob = blob;
    this.#start = section.start;
    this.#base = base;
    this.first = base?.end ?? 0;
    this.end = this.first + length;
    // The empty name is offset 0 of the outermost base; a split BTF may have no strings of its own.
    if (base === undefined && (length === 0 || blob[section.start] !== 0)) {
      throw new BtfError('strings', section.start, 'the first byte is not NUL');
    }
    if (length > 0 && blob[section.end - 1] !== 0) {
      throw new BtfError('strings', section.end - 1, 'the last byte is not NUL');
    }
  }

  /** Whether a string starts at this offset: the byte before it ends another one. */
  startsAt(offset: number): boolean {
    if (offset < this.first) return this.#base?.startsAt(offset) ?? false;
    if (offset >= this.end) return false;
    return offset === this.first || this.#blob[this.#start + offset - this.first - 1] === 0;
  }

  /** The string there. Only for offsets that {@link startsAt} accepts; undefined where it is not printable UTF-8. */
  text(offset: number): string | undefined {
    if (offset === 0) return '';
    if (offset < this.first) return this.#base?.text(offset);
    const known = this.#cache.get(offset);
    if (known !== undefined) return known;
    const start = this.#start + offset - this.first;
    const text = decode(this.#blob.subarray(start, this.#blob.indexOf(0, start)));
    if (text !== undefined) this.#cache.set(offset, text);
    return text;
  }

  /** A hash of the string there, equal to {@link hashOf} of the same text. */
  hashAt(offset: number): number {
    if (offset < this.first) return this.#base?.hashAt(offset) ?? 0;
    const blob = this.#blob;
    let hash = 0;
    for (let at = this.#start + offset - this.first, byte = blob[at]!; byte !== 0; byte = blob[++at]!) {
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    return hash;
  }

  /** Whether the string there has exactly these bytes, none of which is NUL. */
  equals(offset: number, bytes: Uint8Array): boolean {
    if (offset < this.first) return this.#base?.equals(offset, bytes) ?? false;
    const start = this.#start + offset - this.first;
    for (let i = 0; i < bytes.length; i++) if (this.#blob[start + i] !== bytes[i]) return false;
    return this.#blob[start + bytes.length] === 0;
  }
}

/** The hash {@link Strings.hashAt} computes. */
export function hashOf(bytes: Uint8Array): number {
  let hash = 0;
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0;
  return hash;
}

/** The bytes of a name as a string section holds it; undefined for what can be no name. */
export function encodeName(name: string): Uint8Array | undefined {
  return name === '' || name.includes('\0') ? undefined : encoder.encode(name);
}

/** Undefined for what is not UTF-8, or would upset a terminal. */
function decode(bytes: Uint8Array): string | undefined {
  let ascii = '';
  for (const byte of bytes) {
    if (byte < 0x20 || byte === 0x7f) return undefined;
    if (byte > 0x7f) return decodeUtf8(bytes);
    ascii += String.fromCharCode(byte);
  }
  return ascii;
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(bytes);
    return /\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
