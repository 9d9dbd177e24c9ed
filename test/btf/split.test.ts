import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Btf, printType } from '../../btf/index.ts';
import { needTool } from '../helpers/need.ts';
import { BtfBuilder } from './builder.ts';

/** A module's BTF on a kernel's: ids and string offsets go on where the base ends. */
function blobs(endian: 'little' | 'big' = 'little'): { base: Uint8Array; split: Uint8Array; second: Uint8Array } {
  const kernel = new BtfBuilder({ endian });
  const int = kernel.int('int', 4, 1);
  const buff = kernel.struct('buff', 8, [
    { name: 'len', type: int, at: 0 },
    { name: 'mark', type: int, at: 32 },
  ]);
  kernel.typedef('shared', int);

  const module = new BtfBuilder({ endian, base: kernel.asBase });
  const own = module.struct('own', 16, [
    { name: 'skb', type: module.last + 2, at: 64 },
    { name: 'buff', type: buff, at: 0 },
  ]);
  module.ptr(buff);
  module.typedef('shared', own);
  module.raw(4, { offset: 1 }, 4, 1, false, [module.string('int_named'), int, 0]); // named by the base: "int"
  module.enum('own_reason', [['OWN', 0x30001]]);

  const third = new BtfBuilder({ endian, base: module.asBase });
  third.typedef('own_t', own);
  return { base: kernel.build(), split: module.build(), second: third.build() };
}

describe.each(['little', 'big'] as const)('split BTF, %s-endian', (endian) => {
  const { base, split, second } = blobs(endian);
  const kernel = Btf.parse(base);
  const module = Btf.parse(split, kernel);

  it('numbers its types after those of its base', () => {
    expect([kernel.firstId, kernel.count, module.firstId, module.count]).toEqual([1, 3, 4, 5]);
    expect(module.base).toBe(kernel);
    expect([...module.types()].map((type) => [type.id, type.kind, type.name])).toEqual([
      [4, 'struct', 'own'],
      [5, 'ptr', ''],
      [6, 'typedef', 'shared'],
      [7, 'struct', 'int'],
      [8, 'enum', 'own_reason'],
    ]);
    expect(module.type(2)).toBe(kernel.type(2));
    expect(module.kind(1)).toBe('int');
  });

  it('looks in itself, then in its base', () => {
    expect(module.find('shared')).toBe(6);
    expect(module.findAll('shared')).toEqual([6, 3]);
    expect(module.find('buff')).toBe(2);
    expect(module.find('int')).toBe(7);
    expect(module.find('int', 'int')).toBe(1);
    // Type 7 takes its name from the base: all of it.
    expect(module.find('in')).toBeUndefined();
    expect(kernel.find('own')).toBeUndefined();
    expect(module.field('own.buff.mark')).toMatchObject({ offset: 4, container: 4 });
    expect(module.field('buff.mark')).toMatchObject({ offset: 4, container: 2 });
    expect(module.field('own.skb').size).toBe(8);
    expect(module.enumName('own_reason', 0x30001)).toBe('OWN');
    expect(module.nearestNames('bufff')).toEqual(['buff']);
    expect(printType(module, 4)).toContain('\tstruct buff *skb;\n');
  });

  it('can itself be built upon', () => {
    const top = Btf.parse(second, module);
    expect(top.type(9)).toEqual({ kind: 'typedef', id: 9, name: 'own_t', type: 4 });
    expect(top.field('own_t.buff.len')).toMatchObject({ offset: 0, container: 4 });
    expect(top.find('int', 'int')).toBe(1);
  });

  it('does not parse without its base, nor on one of the other byte order', () => {
    expect(() => Btf.parse(split)).toThrow('the first byte is not NUL, so this may be a split BTF without its base');
    const other = Btf.parse(blobs(endian === 'little' ? 'big' : 'little').base);
    expect(() => Btf.parse(split, other)).toThrow(`${endian}-endian, on a`);
  });
});

it('a name may begin the strings of a split BTF', () => {
  const kernel = new BtfBuilder();
  kernel.int('int', 4);
  const module = new BtfBuilder({ base: kernel.asBase });
  module.typedef('first', 1);
  const btf = Btf.parse(module.build(), Btf.parse(kernel.build()));
  expect(btf.find('first')).toBe(2);
  expect(btf.type(2).name).toBe('first');
});

it('a split BTF has the pointers of its base', () => {
  const kernel = new BtfBuilder();
  kernel.int('long int', 4);
  const module = new BtfBuilder({ base: kernel.asBase });
  module.ptr(0);
  expect(Btf.parse(module.build(), Btf.parse(kernel.build())).sizeof(2)).toBe(4);
});

it('a split BTF may have no strings and no types of its own', () => {
  const kernel = new BtfBuilder();
  kernel.int('int', 4);
  const btf = Btf.parse(new BtfBuilder({ base: kernel.asBase }).build(), Btf.parse(kernel.build()));
  expect([btf.count, btf.find('int'), btf.type(1).name]).toEqual([0, 1, 'int']);
});

const bpftool = needTool('bpftool');
describe.skipIf(bpftool === undefined)('split BTF against bpftool [skipped: bpftool is not installed]', () => {
  it('has the same types', () => {
    const folder = mkdtempSync(join(tmpdir(), 'skbdrop-btf-'));
    try {
      const { base, split } = blobs();
      writeFileSync(join(folder, 'base'), base);
      writeFileSync(join(folder, 'split'), split);
      const args = ['-B', join(folder, 'base'), 'btf', 'dump', 'file', join(folder, 'split')];
      const raw = execFileSync(bpftool!, args, { encoding: 'utf8' });
      const theirs = [...raw.matchAll(/^\[(\d+)\] (\w+) '(.*?)'/gmu)].map(([, id, kind, name]) => [
        Number(id),
        kind,
        name,
      ]);
      const module = Btf.parse(split, Btf.parse(base));
      const ours = [...module.types()].map((t) => [t.id, t.kind.toUpperCase(), t.name === '' ? '(anon)' : t.name]);
      expect(ours).toEqual(theirs);
      expect(raw).toContain("'skb' type_id=5 bits_offset=64");
      expect(module.type(4)).toMatchObject({
        members: [
          { name: 'skb', type: 5, bitOffset: 64 },
          { name: 'buff', type: 2 },
        ],
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
