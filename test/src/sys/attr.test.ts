import { existsSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { Btf } from '../../../btf/index.ts';
import * as attr from '../../../src/sys/attr.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { FakeNative } from '../../helpers/fake-native.ts';
import { fixture } from '../../helpers/files.ts';
import { kernelPaths, placeOf } from '../../helpers/layouts.ts';

const layouts: Readonly<Record<string, attr.Layout>> = {
  ...Object.fromEntries(Object.entries(attr.bpfAttr).map(([name, layout]) => [`bpfAttr.${name}`, layout])),
  progInfo: attr.progInfo,
  btfInfo: attr.btfInfo,
  perfEventAttr: attr.perfEventAttr,
};

const fields = Object.entries(layouts).flatMap(([layout, places]) =>
  Object.entries(places).map(([field, [offset, size]]) => {
    const bytes = size === 'ptr' ? 8 : size === 'name' ? 16 : size;
    return { layout, field, path: kernelPaths[layout]!(field), place: [offset, bytes] };
  }),
);

/** `struct.field: [offset, size]` of Linux 6.18; see its "provenance". */
const table = JSON.parse(fixture('kernel/layouts.json')) as {
  sizes: Record<string, number>;
  fields: Record<string, [number, number]>;
};

describe('layouts against Linux 6.18, written down', () => {
  test.each(fields)('$layout.$field', ({ path, place }) => {
    expect(place).toEqual(table.fields[path]);
  });

  test('sizes', () => {
    expect(attr.BPF_ATTR_SIZE).toBe(table.sizes.bpf_attr);
    expect(attr.PROG_INFO_SIZE).toBe(table.sizes.bpf_prog_info);
    expect(attr.BTF_INFO_SIZE).toBe(table.sizes.bpf_btf_info);
    // PERF_ATTR_SIZE_VER5, which every kernel since 4.1 takes; structures of other sizes are padded by the kernel.
    expect(attr.PERF_ATTR_SIZE).toBe(112);
  });

  test('the table has nothing that nobody uses', () => {
    expect(Object.keys(table.fields).sort()).toEqual(fields.map(({ path }) => path).sort());
  });
});

const vmlinux = '/sys/kernel/btf/vmlinux';

// The table above says the same of 6.18 on every machine; this is about the kernel that happens to run.
describe.skipIf(!existsSync(vmlinux))("layouts against the running kernel's BTF", () => {
  const btf = Btf.parse(readFileSync(vmlinux));

  test.each(fields)('$layout.$field', ({ path, place }) => {
    // Older kernels lack the newest fields; they are zero then, or the attribute is refused with E2BIG.
    expect(placeOf(btf, path) ?? place).toEqual(place);
  });

  test('nearly all of them are there', () => {
    expect(fields.filter(({ path }) => placeOf(btf, path) !== undefined).length).toBeGreaterThan(fields.length * 0.8);
  });
});

const layout = {
  byte: [0, 1],
  half: [2, 2],
  word: [4, 4],
  double: [8, 8],
  pointer: [16, 'ptr'],
  name: [24, 'name'],
} as const;

describe('Struct', () => {
  const bytes = (values: attr.Values<typeof layout>): string =>
    withNative(new FakeNative(() => 0), () => new attr.Struct(layout, 40, values)).bytes.toString('hex');
  const zeros = (n: number): string => '00'.repeat(n);

  test.each<[string, attr.Values<typeof layout>, string]>([
    ['nothing', {}, zeros(40)],
    ['u8', { byte: 0xab }, `ab${zeros(39)}`],
    ['u16', { half: 0x1234 }, `${zeros(2)}3412${zeros(36)}`],
    ['u32', { word: 0xdeadbeef }, `${zeros(4)}efbeadde${zeros(32)}`],
    ['-1 in 32 bits', { word: -1 }, `${zeros(4)}ffffffff${zeros(32)}`],
    ['u64', { double: 0x0123456789abcdefn }, `${zeros(8)}efcdab8967452301${zeros(24)}`],
    ['-1 in 64 bits', { double: -1 }, `${zeros(8)}ffffffffffffffff${zeros(24)}`],
    ['a null pointer', { pointer: 0 }, zeros(40)],
    ['a pointer', { pointer: Buffer.alloc(1) }, `${zeros(16)}00000000007f0000${zeros(16)}`],
    ['a name', { name: 'books' }, `${zeros(24)}${Buffer.from('books').toString('hex')}${zeros(11)}`],
    ['a name of 15', { name: 'a'.repeat(15) }, `${zeros(24)}${'61'.repeat(15)}00`],
    ['a name too long', { name: 'a'.repeat(16) }, `${zeros(24)}${'61'.repeat(15)}00`],
  ])('%s', (_, values, hex) => {
    expect(bytes(values)).toBe(hex);
  });

  test('a string behind a pointer ends with NUL', () => {
    const fake = new FakeNative(() => 0);
    const struct = withNative(fake, () => new attr.Struct(layout, 40, { pointer: 'GPL' }));
    expect(fake.at(struct.u64('pointer' as 'double')).toString('latin1')).toBe('GPL\0');
  });

  test('reads back what the kernel wrote', () => {
    const struct = new attr.Struct(layout, 40);
    struct.bytes.writeUInt32LE(0xfffffffe, 4);
    struct.bytes.writeBigUInt64LE(2n ** 64n - 2n, 8);
    expect(struct.u32('word')).toBe(0xfffffffe);
    expect(struct.u64('double')).toBe(2n ** 64n - 2n);
  });

  test('a field it does not have', () => {
    expect(() => new attr.Struct(layout, 40, { nothing: 1 } as attr.Values<typeof layout>)).toThrow(TypeError);
    expect(() => new attr.Struct(layout, 40).u32('nothing' as 'word')).toThrow('no field nothing');
  });

  test('it keeps the buffers alive whose addresses it carries', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    let kept: WeakRef<object> | undefined;
    let lost: WeakRef<object> | undefined;
    // A native side that knows addresses only, as the real one does.
    const native = Object.assign(new FakeNative(() => 0), { address: () => 4096n });
    const make = (): attr.Struct<typeof layout> => {
      const buffer = Buffer.from(new ArrayBuffer(64 * 1024));
      kept = new WeakRef(buffer);
      lost = new WeakRef(Buffer.from(new ArrayBuffer(64 * 1024)));
      return withNative(native, () => new attr.Struct(layout, 40, { pointer: buffer }));
    };
    const struct = make();
    for (let i = 0; i < 20 && lost?.deref() !== undefined; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    expect(lost?.deref(), 'the collector has run').toBeUndefined();
    expect(kept?.deref()).toBeDefined();
    expect(struct.bytes.length).toBe(40);
  });
});
