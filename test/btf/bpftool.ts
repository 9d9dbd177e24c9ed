import type { BtfType } from '../../btf/index.ts';

export type Json = Record<string, unknown>;

/** What `bpftool -j btf dump` says, with enumerators as text: JSON's numbers end at 53 bits. */
export function dumpedTypes(text: string): Json[] {
  const json = text.replace(/"val":\s*(-?\d+)/gu, '"val":"$1"');
  const { types } = JSON.parse(json) as { types: Json[] };
  for (const type of types) {
    if (type.kind !== 'ENUM' || type.encoding !== 'UNSIGNED') continue;
    // bpftool 7.1 extends the sign of 32-bit values even where there is none.
    for (const value of type.values as Json[]) value.val = `${BigInt.asUintN(32, BigInt(String(value.val)))}`;
  }
  return types;
}

/** A type in the words of `bpftool -j btf dump`, its keys in the same order. */
export function asBpftool(type: BtfType): Json {
  const head = { id: type.id, kind: type.kind.toUpperCase(), name: type.name === '' ? '(anon)' : type.name };
  const named = (name: string): string => (name === '' ? '(anon)' : name);
  switch (type.kind) {
    case 'int': {
      const encoding = type.signed ? 'SIGNED' : type.char ? 'CHAR' : type.bool ? 'BOOL' : '(none)';
      return { ...head, size: type.size, bits_offset: type.bitOffset, nr_bits: type.bits, encoding };
    }
    case 'float':
      return { ...head, size: type.size };
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
      return { ...head, type_id: type.type };
    case 'array':
      return { ...head, type_id: type.type, index_type_id: type.indexType, nr_elems: type.count };
    case 'struct':
    case 'union':
      return {
        ...head,
        size: type.size,
        vlen: type.members.length,
        members: type.members.map((m) => ({
          name: named(m.name),
          type_id: m.type,
          bits_offset: m.bitOffset,
          ...(m.bitSize === undefined ? {} : { bitfield_size: m.bitSize }),
        })),
      };
    case 'enum':
    case 'enum64':
      return {
        ...head,
        encoding: type.signed ? 'SIGNED' : 'UNSIGNED',
        size: type.size,
        vlen: type.values.length,
        values: type.values.map((v) => ({ name: named(v.name), val: `${v.value}` })),
      };
    case 'fwd':
      return { ...head, fwd_kind: type.of };
    case 'func':
      return { ...head, type_id: type.type, linkage: type.linkage };
    case 'func_proto': {
      const params = type.params.map((p) => ({ name: named(p.name), type_id: p.type }));
      if (type.variadic) params.push({ name: '(anon)', type_id: 0 });
      return { ...head, ret_type_id: type.returns, vlen: params.length, params };
    }
    case 'var':
      return { ...head, type_id: type.type, linkage: type.linkage };
    case 'datasec':
      return {
        ...head,
        size: type.size,
        vlen: type.vars.length,
        vars: type.vars.map((v) => ({ type_id: v.type, offset: v.offset, size: v.size })),
      };
    case 'decl_tag':
      return { ...head, type_id: type.type, component_idx: type.component };
    case 'void':
    case 'unknown':
      return head;
    default:
      return type satisfies never;
  }
}

/**
 * The definitions in a C dump. `name___2`, bpftool's way to tell equal names apart, is undone; of the declarations
 * ahead of a definition only those stay that no definition follows.
 */
export function definitions(dump: string): string[] {
  const paragraphs = dump.replace(/___\d+\b/gu, '').split(/\n\n+/u);
  const texts = paragraphs.map((paragraph) => paragraph.trim()).filter((text) => text !== '' && !text.startsWith('#'));
  const defined = new Set(texts.filter((text) => text.includes('{')).map((text) => text.slice(0, text.indexOf(' {'))));
  const declarations = texts.filter(
    (text) => /^(?:struct|union|enum) \w+;$/u.test(text) && !defined.has(text.slice(0, -1)),
  );
  return [...texts.filter((text) => !/^(?:struct|union|enum) \w+;$/u.test(text)), ...new Set(declarations)];
}

/** bpftool 7.1 does not say that an enum is smaller or larger than an int. */
export const withoutMode = (text: string): string => text.replace(/ __attribute__\(\(mode\(\w+\)\)\)/gu, '');
