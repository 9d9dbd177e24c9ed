import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Btf, printType } from '../../btf/index.ts';
import { asBpftool, definitions, dumpedTypes, withoutMode } from './bpftool.ts';

/** A blob of gcc and pahole, and what bpftool and gcc say of it: see the README beside it. */
const fixture = (name: string): URL => new URL(`../fixtures/btf/${name}`, import.meta.url);
const text = (name: string): string => readFileSync(fixture(name), 'utf8');
const btf = Btf.parse(readFileSync(fixture('sample.btf')));

describe('the BTF of a C file', () => {
  it('has the types bpftool reads', () => {
    expect([...btf.types()].map(asBpftool)).toEqual(dumpedTypes(text('sample.json')));
  });

  it('prints as bpftool prints it', () => {
    const kinds = ['struct', 'union', 'enum', 'enum64', 'typedef', 'fwd'] as const;
    const ours = [...btf.types(kinds)]
      .filter((type) => type.name !== '')
      .map((type) => withoutMode(printType(btf, type.id)));
    // bpftool leaves no space before a declarator without a name.
    const theirs = definitions(text('sample.h')).map((definition) => definition.replace('u32(*)', 'u32 (*)'));
    expect(ours.sort()).toEqual(theirs.sort());
  });

  it('has the offsets, sizes and alignments of the compiler', () => {
    const lines = text('offsets.txt').trim().split('\n');
    expect(lines.length).toBeGreaterThan(30);
    for (const line of lines) {
      const [what, first, second] = line.split(' ');
      const path = what!.includes('.');
      const ours = path ? [btf.field(what!).offset, btf.field(what!).size] : [btf.sizeof(what!), btf.alignof(what!)];
      // BTF does not record that a member was aligned by hand, so what it tells is the natural alignment.
      const wanted = what === 'buff' ? [Number(first), 8] : [Number(first), Number(second)];
      expect([what, ...ours]).toEqual([what, ...wanted]);
    }
  });

  it('has its bit-fields', () => {
    expect(btf.field('buff.pkt_type')).toMatchObject({
      offset: 48,
      size: 1,
      bitOffset: 384,
      bitSize: 3,
      signed: false,
    });
    expect(btf.field('buff.wide')).toMatchObject({ offset: 48, size: 4, bitOffset: 389, bitSize: 20, signed: true });
    expect(btf.field('packed.c')).toMatchObject({ offset: 5, size: 5, bitOffset: 40, bitSize: 34 });
  });

  it('has its function, enums and function pointer', () => {
    const drop = btf.func('drop')!;
    expect(drop.params.map(({ name, type }) => [name, btf.typeName(type)])).toEqual([
      ['skb', 'struct buff *'],
      ['reason', 'enum reason'],
      ['wide', 'enum wide'],
      ['handler', 'handler_t'],
    ]);
    expect(btf.enumValue('reason', 'REASON_SUBSYS_MASK')).toBe(0xffff0000);
    expect(btf.enumValue('level', 'LEVEL_BELOW')).toBe(-1);
    expect(btf.enumName('wide', 1n << 63n)).toBe('WIDE_HIGH');
    expect(btf.sizeof('enum small')).toBe(1);
    expect(btf.typeName(btf.resolve(btf.find('handler_t')!).id)).toBe(
      'int (*)(struct buff * restrict, u32 (*)[4], ...)',
    );
  });
});
