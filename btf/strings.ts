import { BtfError } from './errors.ts';
import type { Section } from './header.ts';

const encoder = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The string section: NUL-terminated names, referred to by their byte offset in it.
 *
 * Nothing is decoded ahead of need. The offsets of a split BTF go on where those of its base end.
 */
export class Strings {
  readonly #base: Strings | undefined;
  readonly #cache: Map<number, string> = new Map();
  /** The own section: the string at offset `first + i` begins at byte `i`. */
  readonly bytes: Uint8Array;
  /** Offset of the first own string: where the base's strings end. */
  readonly first: number;
  /** One past the last valid offset. */
  readonly end: number;

  constructor(blob: Uint8Array, section: Section, base?: Strings) {
    const length = section.end - section.start;
    this.#base = base;
    this.bytes = new Uint8Array(blob.buffer, blob.byteOffset + section.start, length);
    this.first = base?.end ?? 0;
    this.end = this.first + length;
    // The empty name is offset 0 of the outermost base; a split BTF may have no strings of its own.
    if (base === undefined && this.bytes[0] !== 0) {
      throw new BtfError(
        'strings',
        section.start,
        'the first byte is not NUL, so this may be a split BTF without its base',
      );
    }
    if (length > 0 && this.bytes[length - 1] !== 0) {
      throw new BtfError('strings', section.end - 1, 'the last byte is not NUL');
    }
  }

  /** Whether a string starts at this offset: the byte before it ends another one. */
  startsAt(offset: number): boolean {
    if (offset < this.first) return this.#base?.startsAt(offset) ?? false;
    if (offset >= this.end) return false;
    return offset === this.first || this.bytes[offset - this.first - 1] === 0;
  }

  /** The string there. Only for offsets that {@link startsAt} accepts; undefined where it is not printable UTF-8. */
  text(offset: number): string | undefined {
    if (offset === 0) return '';
    if (offset < this.first) return this.#base?.text(offset);
    const known = this.#cache.get(offset);
    if (known !== undefined) return known;
    const start = offset - this.first;
    const text = decode(this.bytes.subarray(start, this.bytes.indexOf(0, start)));
    if (text !== undefined) this.#cache.set(offset, text);
    return text;
  }

  /** Whether the string there has exactly these bytes, none of which is NUL. Any offset will do. */
  equals(offset: number, name: Uint8Array): boolean {
    if (offset < this.first) return this.#base?.equals(offset, name) ?? false;
    const start = offset - this.first;
    for (let i = 0; i < name.length; i++) if (this.bytes[start + i] !== name[i]) return false;
    return this.bytes[start + name.length] === 0;
  }
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
    const text = strictUtf8.decode(bytes);
    return /\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
