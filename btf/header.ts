import { BtfError } from './errors.ts';
import { HEADER_LENGTH, HEADER_LENGTH_WITH_LAYOUT, MAGIC, VERSION } from './format.ts';

/** A part of the blob, in bytes from its start. */
export interface Section {
  readonly start: number;
  readonly end: number;
}

export interface Header {
  readonly endian: 'little' | 'big';
  readonly types: Section;
  readonly strings: Section;
  /** How long each kind is; empty in blobs that do not say. */
  readonly layout: Section;
}

/**
 * Reads `struct btf_header`.
 *
 * A header longer than the known one is read as far as it is known, and what lies outside the sections is not
 * looked at, as libbpf does it.
 */
export function readHeader(blob: Uint8Array): Header {
  if (blob.length < HEADER_LENGTH) {
    throw new BtfError('header', 0, `${blob.length} bytes are too few, a header has ${HEADER_LENGTH}`);
  }
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const little = view.getUint16(0, true) === MAGIC;
  if (!little && view.getUint16(0, false) !== MAGIC) {
    throw new BtfError('header/magic', 0, `0x${view.getUint16(0, true).toString(16)} is not 0x${MAGIC.toString(16)}`);
  }
  const version = view.getUint8(2);
  if (version !== VERSION) throw new BtfError('header/version', 2, `${version} is not ${VERSION}`);
  const flags = view.getUint8(3);
  if (flags !== 0) throw new BtfError('header/flags', 3, `0x${flags.toString(16)} is not 0`);

  const length = view.getUint32(4, little);
  if (length < HEADER_LENGTH || length > blob.length) {
    throw new BtfError('header/hdr_len', 4, `${length} is not between ${HEADER_LENGTH} and ${blob.length}`);
  }
  const section = (name: string, at: number): Section => {
    const start = length + view.getUint32(at, little);
    const end = start + view.getUint32(at + 4, little);
    if (end > blob.length) {
      throw new BtfError(`header/${name}`, at, `the section ends at ${end}, past the blob's ${blob.length} bytes`);
    }
    return { start, end };
  };

  const types = section('type_off', 8);
  const strings = section('str_off', 16);
  const layout = length >= HEADER_LENGTH_WITH_LAYOUT ? section('layout_off', 24) : { start: length, end: length };
  if ((types.start - length) % 4 !== 0) throw new BtfError('header/type_off', 8, 'the types are not 4-byte aligned');
  if (overlap(types, strings)) throw new BtfError('header/str_off', 16, 'the strings overlap the types');
  if (overlap(types, layout) || overlap(strings, layout)) {
    throw new BtfError('header/layout_off', 24, 'the layout overlaps another section');
  }
  return { endian: little ? 'little' : 'big', types, strings, layout };
}

const overlap = (a: Section, b: Section): boolean => a.start < b.end && b.start < a.end;
