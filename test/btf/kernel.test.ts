import { execFileSync } from 'node:child_process';
import { accessSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Btf, type BtfType, printType } from '../../btf/index.ts';
import { needTool } from '../helpers/need.ts';
import { asBpftool, definitions, dumpedTypes, withoutMode } from './bpftool.ts';

/** This kernel's own types, and what bpftool and pahole say of them. */
const VMLINUX = '/sys/kernel/btf/vmlinux';
const bpftool = needTool('bpftool');
const pahole = needTool('pahole');
const readable = ((): boolean => {
  try {
    accessSync(VMLINUX);
    return true;
  } catch {
    return false;
  }
})();
const why = readable ? '[skipped: the tool is not installed]' : '[skipped: this kernel has no BTF]';

const run = (file: string, ...args: string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] });
const kernel = (): Btf => Btf.parse(readFileSync(VMLINUX));

describe.skipIf(bpftool === undefined || !readable)(`this kernel against bpftool ${why}`, () => {
  it('every type has the kind, name and parts that bpftool reads', () => {
    const btf = kernel();
    const types = dumpedTypes(run(bpftool!, '-j', 'btf', 'dump', 'file', VMLINUX));
    expect(types.length).toBeGreaterThan(50_000);
    expect(btf.count).toBe(types.length);
    for (const [index, theirs] of types.entries()) {
      // 100,000 calls of expect() take many seconds, a comparison of text does not.
      const ours = JSON.stringify(asBpftool(btf.type(index + 1)));
      if (ours !== JSON.stringify(theirs)) expect(JSON.parse(ours)).toEqual(theirs);
    }
  });

  it('the first of each name is found, by name and by name and kind', () => {
    const btf = kernel();
    const types = dumpedTypes(run(bpftool!, '-j', 'btf', 'dump', 'file', VMLINUX));
    const first = new Map<string, number>();
    for (const { kind, name, id } of types) {
      if (name === '(anon)') continue;
      for (const key of [`${name}`, `${kind} ${name}`]) if (!first.has(key)) first.set(key, Number(id));
    }
    let looked = 0;
    for (const [index, { kind, name }] of types.entries()) {
      if (name === '(anon)' || index % 97 !== 0) continue;
      const ours = String(kind).toLowerCase() as BtfType['kind'];
      expect([name, btf.find(String(name))]).toEqual([name, first.get(`${name}`)]);
      expect([kind, name, btf.find(String(name), ours)]).toEqual([kind, name, first.get(`${kind} ${name}`)]);
      looked++;
    }
    expect(looked).toBeGreaterThan(500);
    expect(btf.find('there is no such type')).toBeUndefined();
    expect(btf.find('sk_buff', 'func')).toBeUndefined();
  });

  it('prints every named struct, union, enum, typedef and forward declaration as bpftool does', () => {
    const btf = kernel();
    const theirs = definitions(run(bpftool!, 'btf', 'dump', 'file', VMLINUX, 'format', 'c'));
    const used = referenced(btf);
    const ours: string[] = [];
    let inline = 0;
    let builtin = 0;
    for (const type of btf.types(PRINTED)) {
      // bpftool spells an anonymous type out where it is used, as printType does; on its own it prints only
      // anonymous enums that nothing uses, for the sake of their constants.
      if (type.name === '' && (type.kind === 'struct' || type.kind === 'union' || used.has(type.id))) inline++;
      // A compiler knows this one of itself, and bpftool leaves it out.
      else if (type.name === '__builtin_va_list') builtin++;
      else ours.push(withoutMode(printType(btf, type.id)));
    }
    // Definitions of one name are told apart by their text; their order is bpftool's own business.
    const only = difference(ours, theirs);
    expect(
      { ours: only.left.length, theirs: only.right.length },
      [...only.left, ...only.right].slice(0, 6).join('\n'),
    ).toEqual({
      ours: 0,
      theirs: 0,
    });
    expect(ours.length).toBeGreaterThan(10_000);
    expect(builtin).toBeLessThanOrEqual(1);
    // Nothing with a name is among those compared only as part of another type.
    const nameless = [...btf.types(['struct', 'union', 'enum', 'enum64'])].filter((type) => type.name === '');
    expect(inline).toBeLessThanOrEqual(nameless.length);
    expect(ours.length + builtin + inline).toBe([...btf.types(PRINTED)].length);
  });
});

describe.skipIf(pahole === undefined || !readable)(`this kernel against pahole ${why}`, () => {
  it('several hundred structs have the members at the places pahole computes', () => {
    const btf = kernel();
    const all = [...btf.names(['struct', 'union', 'fwd'])].map(([name]) => name);
    const repeated = new Set(all.filter((name, index) => all.indexOf(name) !== index));
    const names = [...btf.names('struct')].map(([name]) => name).filter((name) => !repeated.has(name));
    const chosen = ['sk_buff', 'net_device', 'task_struct', ...names.filter((_, index) => index % 20 === 0)];
    const text = run(
      pahole!,
      '--suppress_aligned_attribute',
      '--fixup_silly_bitfields',
      '-C',
      chosen.join(','),
      VMLINUX,
    );
    let structs = 0;
    let members = 0;
    let struct: string | undefined;
    for (const line of text.split('\n')) {
      const opened = /^struct (\w+) \{/u.exec(line);
      if (opened !== null) struct = opened[1]!;
      if (struct === undefined) continue;
      const size = /^\t\/\* size: (\d+), cachelines/u.exec(line);
      if (size !== null) {
        expect([struct, btf.sizeof(`struct ${struct}`)]).toEqual([struct, Number(size[1])]);
        structs++;
        struct = undefined;
        continue;
      }
      // `\tu32  len;   /*   112     4 */`, or for bit-fields `/*   128: 3  1 */`; one tab is a direct member.
      const member = /^\t[^\t/].*?(\w+)(?:\[\d*\])*(?::\d+)?;\s+\/\*\s*(\d+)(?::\s*(\d+))?\s+(\d+) \*\/$/u.exec(line);
      if (member === null || line.includes('(')) continue;
      const [, name, offset, bit, bytes] = member;
      const field = btf.field(`struct ${struct}.${name}`);
      const place =
        bit === undefined
          ? [field.offset, field.size]
          : [Math.floor((field.bitOffset ?? -1) / 8), (field.bitOffset ?? -1) % 8];
      const wanted =
        bit === undefined
          ? [Number(offset), Number(bytes)]
          : [Number(offset) + Math.floor(Number(bit) / 8), Number(bit) % 8];
      expect([struct, name, ...place]).toEqual([struct, name, ...wanted]);
      members++;
    }
    expect(structs).toBeGreaterThan(300);
    expect(members).toBeGreaterThan(2_000);
  });
});

describe.skipIf(!readable)('this kernel [skipped: this kernel has no BTF]', () => {
  it('holds no struct whose sizes and alignments contradict it, and no path to a member that fails', () => {
    const btf = kernel();
    let fields = 0;
    for (const type of btf.types(['struct', 'union'])) {
      if (type.kind !== 'struct' && type.kind !== 'union') continue;
      btf.alignof(type.id);
      for (const member of type.members) {
        if (member.name === '') continue;
        const field = btf.fieldOf(type.id, member.name);
        fields++;
        if (field.bitSize !== undefined && field.bitOffset === member.bitOffset && field.size <= 8) continue;
        if (field.offset * 8 === member.bitOffset && field.size === btf.sizeof(member.type)) continue;
        expect({ type, member, field }).toBeUndefined();
      }
    }
    expect(fields).toBeGreaterThan(50_000);
  });

  it('spells every type, and prints every type, without complaint', () => {
    const btf = kernel();
    for (const type of btf.types()) {
      if (btf.typeName(type.id) === '') expect(type).toBeUndefined();
      printType(btf, type.id);
    }
  });

  it('knows what skbdrop asks for', () => {
    const btf = kernel();
    expect(btf.pointerSize).toBe(8);
    expect(btf.field('sk_buff.len')).toMatchObject({ size: 4, signed: false });
    expect(btf.field('sk_buff.dev')).toMatchObject({ offset: 16, size: 8 });
    expect(btf.field('sk_buff.pkt_type')).toMatchObject({ size: 1, bitSize: 3 });
    expect(btf.field('sk_buff.mac_header').size).toBe(2);
    expect(btf.field('net_device.name').size).toBe(16);
    expect(btf.offsetof('net.ns.inum')).toBe(btf.offsetof('net.ns') + btf.offsetof('ns_common.inum'));
    expect(btf.offsetof('task_struct.comm[3]')).toBe(btf.offsetof('task_struct.comm') + 3);
    expect(btf.find('btf_trace_kfree_skb', 'typedef')).toBeDefined();
    expect(
      btf
        .func('__bpf_trace_kfree_skb')
        ?.params.map((param) => param.name)
        .slice(0, 3),
    ).toEqual(['__data', 'skb', 'location']);
    const reasons = btf.enumValues('skb_drop_reason');
    expect(btf.enumName('skb_drop_reason', reasons[5]!.value)).toBe(reasons[5]!.name);
    expect(btf.enumValue('skb_drop_reason', 'SKB_DROP_REASON_SUBSYS_MASK')).toBe(0xffff0000);
    const [list] = btf.func('kfree_skb_list_reason')?.params ?? [];
    expect(btf.typeName(list?.type ?? 0)).toBe('struct sk_buff *');
  });
});

/** The kinds bpftool has a C definition or declaration for. */
const PRINTED = ['struct', 'union', 'enum', 'enum64', 'typedef', 'fwd'] as const;

/** What is in one list and not in the other, counting repetitions. */
function difference(left: readonly string[], right: readonly string[]): { left: string[]; right: string[] } {
  const counts = new Map<string, number>();
  for (const text of right) counts.set(text, (counts.get(text) ?? 0) + 1);
  const onlyLeft = left.filter((text) => {
    const count = counts.get(text) ?? 0;
    if (count > 0) counts.set(text, count - 1);
    return count === 0;
  });
  return { left: onlyLeft, right: [...counts].flatMap(([text, count]) => Array<string>(count).fill(text)) };
}

/** Ids that another type refers to. */
function referenced(btf: Btf): Set<number> {
  const ids = new Set<number>();
  for (const type of btf.types()) {
    if ('type' in type) ids.add(type.type);
    if ('members' in type) for (const member of type.members) ids.add(member.type);
    if ('params' in type) for (const param of type.params) ids.add(param.type);
    if ('returns' in type) ids.add(type.returns);
  }
  return ids;
}
