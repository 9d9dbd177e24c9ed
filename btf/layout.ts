import type { Btf } from './btf.ts';
import type { BtfError } from './errors.ts';
import { MAX_DEPTH, MAX_SIZE, TYPE_WORDS } from './format.ts';
import { nearest } from './nearest.ts';
import type { BtfType, CompositeType, Kind, Member } from './types.ts';

/** A place in a struct, and what is there. */
export interface Field {
  /** As it was asked for. */
  readonly path: string;
  /** Bytes from the start of the container. */
  readonly offset: number;
  /**
   * Bytes to read at `offset`. For a bit-field that is the smallest naturally aligned 1, 2, 4 or 8 bytes that hold
   * all of it; only where none lies within the container, as in packed structs, just the bytes it touches.
   */
  readonly size: number;
  /**
   * Of a bit-field: its first bit from the start of the container, as BTF counts them.
   *
   * After reading `size` bytes at `offset`, shift right by `bitOffset - offset * 8` on a little-endian machine, by
   * `offset * 8 + size * 8 - bitOffset - bitSize` on a big-endian one, and keep the low `bitSize` bits.
   */
  readonly bitOffset?: number;
  /** Of a bit-field: its width in bits. */
  readonly bitSize?: number;
  /** Id of the type as declared, typedefs and qualifiers included. */
  readonly type: number;
  /** Of integers and enums: whether they are signed. */
  readonly signed?: boolean;
  /** Id of the struct or union the path begins with. */
  readonly container: number;
}

/** Why a path leads nowhere in sound BTF. */
export interface Missing {
  readonly missing: string;
  /** Existing names spelt much like the missing one. */
  readonly nearest: () => readonly string[];
}

/** `struct net.ns.inum` → root and steps; undefined for what is no path. */
const PATH = /^(?:(?<keyword>struct|union)\s+)?(?<root>[^\s.[\]]+)(?<rest>(?:\.[^\s.[\]]+|\[\d+\])+)$/u;
const STEP = /\.(?<name>[^\s.[\]]+)|\[(?<index>\d+)\]/gu;
const REST = /^(?:\.[^\s.[\]]+|\[\d+\])+$/u;

/** {@link Btf.field} without the throw. */
export function lookUpField(btf: Btf, path: string): Field | Missing {
  const { keyword, root, rest } = PATH.exec(path)?.groups ?? {};
  if (root === undefined || rest === undefined) return malformed('it is no path such as sk_buff.len or net.ns.inum');
  // One name can stand for several types, of different source files; any that has such a field will do.
  let missing: Missing | undefined;
  const orders: Kind[][] = keyword === undefined ? [['struct', 'union'], ['typedef']] : [[keyword as Kind]];
  for (const kinds of orders) {
    for (const id of btf.named(root, kinds)) {
      const found = walk(btf, id, path, root, rest);
      if ('offset' in found) return found;
      missing ??= found;
    }
  }
  return (
    missing ?? {
      missing: `there is no struct or union ${root}`,
      nearest: () => btf.nearestNames(root, ['struct', 'union', 'typedef']),
    }
  );
}

/** {@link Btf.fieldOf} without the throw. */
export function fieldAt(btf: Btf, id: number, path: string): Field | Missing {
  const rest = path.startsWith('[') ? path : `.${path}`;
  return REST.test(rest)
    ? walk(btf, id, path, btf.typeName(id), rest)
    : malformed('it is no path such as len or ns.inum');
}

const malformed = (missing: string): Missing => ({ missing, nearest: () => [] });

/** Where a walk along a path has come to. */
interface Place {
  readonly type: number;
  /** Bits from the start of the container. */
  readonly bit: number;
  /** Of a bit-field. */
  readonly bits?: number;
}

function walk(btf: Btf, root: number, path: string, from: string, rest: string): Field | Missing {
  const container = btf.resolve(root);
  let place: Place = { type: container.id, bit: 0 };
  let walked = from;
  for (const { 0: text, groups } of rest.matchAll(STEP)) {
    const type = btf.resolve(place.type);
    const next =
      groups?.name !== undefined
        ? enter(btf, type, place, groups.name, walked)
        : pick(btf, type, place, Number(groups?.index), walked);
    if ('missing' in next) return next;
    place = next;
    walked += text;
  }
  return describe(btf, container, place, path);
}

/** From a struct to its member. */
function enter(btf: Btf, type: BtfType, from: Place, name: string, walked: string): Place | Missing {
  if (type.kind !== 'struct' && type.kind !== 'union') {
    const why = type.kind === 'ptr' ? ', and what it points to is another object' : '';
    return malformed(`${walked} is of kind ${type.kind} (${btf.typeName(type.id)})${why}; it has no member ${name}`);
  }
  const found = findMember(btf, type, name, new Set(), 0);
  if (found === undefined) {
    return { missing: `${walked} has no member ${name}`, nearest: () => nearest(name, memberNames(btf, type)) };
  }
  const { member, bit } = found;
  const place = { type: member.type, bit: from.bit + bit };
  return member.bitSize === undefined ? place : { ...place, bits: member.bitSize };
}

/** From an array to one of its elements. A flexible array has as many as one likes. */
function pick(btf: Btf, type: BtfType, from: Place, index: number, walked: string): Place | Missing {
  if (type.kind !== 'array')
    return malformed(`${walked} is of kind ${type.kind} (${btf.typeName(type.id)}), not an array`);
  if (type.count > 0 && index >= type.count) return malformed(`${walked} has ${type.count} elements only`);
  const size = sizeOf(btf, type.type);
  if (size === undefined) throw btf.error(type.id, '/type', 'an element has no size', TYPE_WORDS);
  const bit = from.bit + index * size * 8;
  if (bit > MAX_SIZE * 8) return malformed(`${walked}[${index}] would lie past 4 GiB`);
  return { type: type.type, bit };
}

function describe(btf: Btf, container: BtfType, place: Place, path: string): Field {
  const type = btf.resolve(place.type);
  const size = sizeOf(btf, place.type) ?? 0;
  const what = {
    path,
    type: place.type,
    container: container.id,
    ...('signed' in type ? { signed: type.signed } : {}),
  };
  // Before kind_flag, a bit-field's width and place were those of an integer type made for it.
  const narrow = type.kind === 'int' && type.bits < size * 8;
  if (place.bits === undefined && !narrow && place.bit % 8 === 0) return { ...what, offset: place.bit / 8, size };
  const bitOffset = place.bits === undefined && narrow ? place.bit + type.bitOffset : place.bit;
  const bitSize = place.bits ?? (narrow ? type.bits : size * 8);
  const end = 'size' in container ? container.size : Number.POSITIVE_INFINITY;
  return { ...what, ...storageUnit(bitOffset, bitSize, end), bitOffset, bitSize };
}

/** The bytes to read for a bit-field: see {@link Field.size}. */
function storageUnit(bitOffset: number, bitSize: number, end: number): { offset: number; size: number } {
  const first = Math.floor(bitOffset / 8);
  const last = Math.floor((bitOffset + Math.max(bitSize, 1) - 1) / 8);
  for (const size of [1, 2, 4, 8]) {
    const offset = first - (first % size);
    if (last < offset + size && offset + size <= end) return { offset, size };
  }
  return { offset: first, size: last - first + 1 };
}

/**
 * The member of that name, going into anonymous structs and unions, and its bits from the start of `type`.
 *
 * `seen` keeps a struct that was searched in vain from being searched again: work stays linear in what is there.
 */
function findMember(
  btf: Btf,
  type: CompositeType,
  name: string,
  seen: Set<number>,
  depth: number,
): { member: Member; bit: number } | undefined {
  if (depth > MAX_DEPTH) throw btf.error(type.id, '', `it is nested more than ${MAX_DEPTH} deep`);
  seen.add(type.id);
  for (const [index, member] of type.members.entries()) {
    if (member.name === name) {
      checkFit(btf, type, member, index);
      return { member, bit: member.bitOffset };
    }
    const inner = anonymous(btf, member);
    if (inner === undefined || seen.has(inner.id)) continue;
    const found = findMember(btf, inner, name, seen, depth + 1);
    if (found === undefined) continue;
    checkFit(btf, type, member, index);
    return { member: found.member, bit: member.bitOffset + found.bit };
  }
  return undefined;
}

/** Every name {@link findMember} can find. */
function memberNames(btf: Btf, type: CompositeType, seen: Set<number> = new Set()): string[] {
  if (seen.has(type.id) || seen.size > MAX_DEPTH) return [];
  seen.add(type.id);
  return type.members.flatMap((member) => {
    const inner = anonymous(btf, member);
    return inner === undefined ? [member.name] : memberNames(btf, inner, seen);
  });
}

/** The struct or union whose members count as those around it, because this member has no name. */
function anonymous(btf: Btf, member: Member): CompositeType | undefined {
  if (member.name !== '') return undefined;
  const type = btf.resolve(member.type);
  return type.kind === 'struct' || type.kind === 'union' ? type : undefined;
}

/** That a member lies within its struct: the last check before an offset is believed. */
function checkFit(btf: Btf, type: CompositeType, member: Member, index: number): void {
  if (member.bitSize !== undefined) return; // checked when it was decoded
  const size = sizeOf(btf, member.type);
  if (size === undefined) throw sizeless(btf, type, member, index);
  if (member.bitOffset + size * 8 > type.size * 8) {
    const problem = `${size} bytes at bit ${member.bitOffset} are past the ${type.kind}'s ${type.size} bytes`;
    throw btf.error(type.id, `/member ${index}/offset`, problem, TYPE_WORDS + index * 3 + 2);
  }
}

/** Size in bytes; undefined for what has none, such as void or a function. */
export function sizeOf(btf: Btf, id: number, depth = 0): number | undefined {
  const type = follow(btf, id, depth);
  switch (type.kind) {
    case 'int':
    case 'float':
    case 'struct':
    case 'union':
    case 'enum':
    case 'enum64':
    case 'datasec':
      return type.size;
    case 'ptr':
      return btf.pointerSize;
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
    case 'var':
      return sizeOf(btf, type.type, depth + 1);
    case 'array': {
      const element = sizeOf(btf, type.type, depth + 1);
      if (element === undefined) throw btf.error(type.id, '/type', 'an element has no size', TYPE_WORDS);
      const size = element * type.count;
      if (size <= MAX_SIZE) return size;
      throw btf.error(type.id, '/nelems', `${type.count} × ${element} bytes are past 4 GiB`, TYPE_WORDS + 2);
    }
    case 'void':
    case 'fwd':
    case 'func':
    case 'func_proto':
    case 'decl_tag':
    case 'unknown':
      return undefined;
    default:
      return type satisfies never;
  }
}

/** The type, unless so many have led to it that they must go in a circle. */
function follow(btf: Btf, id: number, depth: number): BtfType {
  if (depth <= MAX_DEPTH) return btf.type(id);
  throw btf.error(id, '', `more than ${MAX_DEPTH} types lead to it`);
}

/** Alignments, each computed once: a struct's is that of all that is in it. */
export class Alignments {
  readonly #known: Map<number, MemberAlignment> = new Map();

  /** Alignment in bytes; undefined for what has no size. */
  of(btf: Btf, id: number, depth = 0): number | undefined {
    const type = follow(btf, id, depth);
    switch (type.kind) {
      case 'int':
      case 'float':
      case 'enum':
      case 'enum64':
        return Math.min(btf.pointerSize, type.size);
      case 'ptr':
        return btf.pointerSize;
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
      case 'var':
      case 'array':
        return this.of(btf, type.type, depth + 1);
      case 'struct':
      case 'union': {
        const { packed, widest } = this.ofMembers(btf, type, depth);
        return packed ? 1 : widest;
      }
      case 'void':
      case 'fwd':
      case 'func':
      case 'func_proto':
      case 'datasec':
      case 'decl_tag':
      case 'unknown':
        return undefined;
      default:
        return type satisfies never;
    }
  }

  /**
   * The widest alignment among a struct's members, and whether the struct ignores them.
   *
   * BTF does not record `packed`; a member or an end out of alignment gives it away.
   */
  ofMembers(btf: Btf, type: CompositeType, depth = 0): MemberAlignment {
    const known = this.#known.get(type.id);
    if (known !== undefined) return known;
    let widest = 1;
    let packed = false;
    for (const [index, member] of type.members.entries()) {
      const align = this.of(btf, member.type, depth + 1);
      if (align === undefined) throw sizeless(btf, type, member, index);
      if (member.bitSize === undefined && member.bitOffset % (align * 8) !== 0) packed = true;
      widest = Math.max(widest, align);
    }
    const alignment = { packed: packed || type.size % widest !== 0, widest };
    this.#known.set(type.id, alignment);
    return alignment;
  }
}

interface MemberAlignment {
  readonly packed: boolean;
  readonly widest: number;
}

const sizeless = (btf: Btf, type: CompositeType, member: Member, index: number): BtfError =>
  btf.error(
    type.id,
    `/member ${index}/type`,
    `type ${member.type} (${btf.resolve(member.type).kind}) has no size`,
    TYPE_WORDS + index * 3 + 1,
  );
