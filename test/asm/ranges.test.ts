/** Every argument of every constructor: its smallest and largest value are taken, one less and one more are not. */

import { describe, expect, test } from 'vitest';
import * as asm from '../../asm/index.ts';
import {
  type Alu,
  type Atomic,
  alu32,
  alu64,
  atomic32,
  atomic64,
  btfVar,
  type Conditions,
  call,
  callKfunc,
  callLocal,
  funcAddr,
  type Instruction,
  imm64,
  imm64Value,
  jump,
  jump32,
  type Legacy,
  type Load,
  type LoadAcquire,
  label,
  legacy,
  load,
  loadAcquire,
  mapFd,
  mapIndex,
  mapValue,
  mapValueIndex,
  type Register,
  r0,
  r1,
  r2,
  r10,
  type StoreRelease,
  store,
  storeRelease,
  swap,
} from '../../asm/index.ts';
import { thrown } from './helpers.ts';

const S16: Limits = [-0x8000, 0x7fff];
const S32: Limits = [-0x8000_0000, 0x7fff_ffff];
const WORD: Limits = [-0x8000_0000, 0xffff_ffff];
const NATURAL: Limits = [0, 0x7fff_ffff];

type Limits = readonly [min: number, max: number];
type Row = readonly [argument: string, limits: Limits, make: (value: number) => Instruction];

const keys = <T extends object>(value: T): (keyof T & string)[] => Object.keys(value) as (keyof T & string)[];
const at = (offset: number): { readonly offset: number } => ({ offset });

const anyNumber = ['add', 'sub', 'mul', 'or', 'and', 'xor', 'mov'] as const satisfies (keyof Alu)[];
const division = ['div', 'sdiv', 'mod', 'smod'] as const satisfies (keyof Alu)[];
const shift = ['lsh', 'rsh', 'arsh'] as const satisfies (keyof Alu)[];

const rows: readonly Row[] = [
  ...[...anyNumber, ...division].flatMap((op): Row[] => [
    [`alu64.${op}: src`, S32, (value) => alu64[op](r1, value)],
    [`alu32.${op}: src`, WORD, (value) => alu32[op](r1, value)],
  ]),
  ...shift.flatMap((op): Row[] => [
    [`alu64.${op}: src`, [0, 63], (value) => alu64[op](r1, value)],
    [`alu32.${op}: src`, [0, 31], (value) => alu32[op](r1, value)],
  ]),
  ...keys(jump32).flatMap((op: keyof Conditions): Row[] => [
    [`jump.${op}: src`, S32, (value) => jump[op](r1, value, at(0))],
    [`jump32.${op}: src`, WORD, (value) => jump32[op](r1, value, at(0))],
    [`jump.${op}: target`, S16, (value) => jump[op](r1, 0, at(value))],
    [`jump32.${op}: target`, S16, (value) => jump32[op](r1, r2, at(value))],
  ]),
  ['jump.always: target', S16, (value) => jump.always(at(value))],
  ['jump.long: target', S32, (value) => jump.long(at(value))],
  ...keys(load).map((op: keyof Load): Row => [`load.${op}: off`, S16, (value) => load[op](r1, r2, value)]),
  ...keys(store).flatMap((op): Row[] => [
    [`store.${op}: off`, S16, (value) => store[op](r1, value, r2)],
    [`store.${op}: off`, S16, (value) => store[op](r1, value, 0)],
  ]),
  ['store.u8: src', [-0x80, 0xff], (value) => store.u8(r1, 0, value)],
  ['store.u16: src', [-0x8000, 0xffff], (value) => store.u16(r1, 0, value)],
  ['store.u32: src', WORD, (value) => store.u32(r1, 0, value)],
  ['store.u64: src', S32, (value) => store.u64(r1, 0, value)],
  ...keys(atomic64).flatMap((op: keyof Atomic): Row[] => [
    [`atomic64.${op}: off`, S16, (value) => atomic64[op](r1, value, r2)],
    [`atomic32.${op}: off`, S16, (value) => atomic32[op](r1, value, r2)],
  ]),
  ...keys(loadAcquire).flatMap((op: keyof LoadAcquire & keyof StoreRelease): Row[] => [
    [`loadAcquire.${op}: off`, S16, (value) => loadAcquire[op](r1, r2, value)],
    [`storeRelease.${op}: off`, S16, (value) => storeRelease[op](r1, value, r2)],
  ]),
  ...(['abs8', 'abs16', 'abs32'] as const satisfies (keyof Legacy)[]).map(
    (op): Row => [`legacy.${op}: off`, WORD, (value) => legacy[op](value)],
  ),
  ...(['ind8', 'ind16', 'ind32'] as const satisfies (keyof Legacy)[]).map(
    (op): Row => [`legacy.${op}: off`, WORD, (value) => legacy[op](r1, value)],
  ),
  ['mapFd: map.fd', NATURAL, (fd) => mapFd(r1, { fd })],
  ['mapValue: map.fd', NATURAL, (fd) => mapValue(r1, { fd }, 0)],
  ['mapValue: off', [0, 0xffff_ffff], (value) => mapValue(r1, { fd: 3 }, value)],
  ['mapIndex: index', NATURAL, (value) => mapIndex(r1, value)],
  ['mapValueIndex: index', NATURAL, (value) => mapValueIndex(r1, value, 0)],
  ['mapValueIndex: off', [0, 0xffff_ffff], (value) => mapValueIndex(r1, 0, value)],
  ['btfVar: btfId', [1, 0x7fff_ffff], (value) => btfVar(r1, value)],
  ['btfVar: moduleFd', NATURAL, (value) => btfVar(r1, 1, value)],
  ['call: helper', NATURAL, (value) => call(value)],
  ['callKfunc: btfId', [1, 0x7fff_ffff], (value) => callKfunc(value)],
  ['callKfunc: fdArrayIndex', [0, 0x7fff], (value) => callKfunc(1, value)],
];

describe('numbers', () => {
  test.each(rows)('%s from %j', (argument, [min, max], make) => {
    expect(make(min)).toMatchObject({ kind: 'instruction' });
    expect(make(max)).toMatchObject({ kind: 'instruction' });
    for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(thrown(RangeError, () => make(value)).message).toContain(`${argument}: ${value} is not`);
    }
    for (const value of ['1', 1n, null, true]) {
      expect(thrown(TypeError, () => make(value as unknown as number)).message).toContain(`${argument}`);
    }
  });

  test('32 bits written unsigned are stored as signed', () => {
    expect(alu32.and(r1, 0xffff_ff00)).toEqual(alu32.and(r1, -0x100));
    expect(jump32.gt(r1, 0xffff_ffff, 'out')).toEqual(jump32.gt(r1, -1, 'out'));
    expect(store.u32(r1, 0, 0x8000_0000)).toEqual(store.u32(r1, 0, -0x8000_0000));
  });

  test('-0 is 0', () => expect(Object.is(alu64.add(r1, -0).imm, 0)).toBe(true));

  test.each(division)('%s by the number 0', (op) => {
    expect(thrown(RangeError, () => alu64[op](r1, 0)).message).toBe(`alu64.${op}: src: division by zero`);
    expect(thrown(RangeError, () => alu32[op](r1, 0)).message).toBe(`alu32.${op}: src: division by zero`);
  });

  test('imm64 takes any 64 bits and no more', () => {
    expect(imm64Value(imm64(r1, -(2n ** 63n)))).toBe(2n ** 63n);
    expect(imm64Value(imm64(r1, 2n ** 64n - 1n))).toBe(2n ** 64n - 1n);
    expect(imm64Value(imm64(r1, 0x1_8000_0000n))).toBe(0x1_8000_0000n);
    expect(imm64(r1, -1n)).toEqual(imm64(r1, 2n ** 64n - 1n));
    expect(() => imm64(r1, 2n ** 64n)).toThrow(
      new RangeError('imm64: value: 18446744073709551616 is not from -2^63 to 2^64-1'),
    );
    expect(() => imm64(r1, -(2n ** 63n) - 1n)).toThrow(RangeError);
    expect(() => imm64(r1, 5 as unknown as bigint)).toThrow(TypeError);
  });

  test('the message of a 64-bit operation says what to do instead', () => {
    expect(() => alu64.and(r1, 0xffff_ffff)).toThrow(
      new RangeError(
        'alu64.and: src: 4294967295 is not a whole number from -2147483648 to 2147483647 ' +
          '(it is sign-extended to 64 bits; for others load a register with imm64)',
      ),
    );
  });
});

type Place = readonly [argument: string, make: (register: Register) => Instruction];

const written: readonly Place[] = [
  ...keys(alu64).map((op): Place => [`alu64.${op}: dst`, (reg) => alu64[op](reg, r1)]),
  ...keys(alu32).map((op): Place => [`alu32.${op}: dst`, (reg) => alu32[op](reg, r1)]),
  ...keys(swap).map((op): Place => [`swap.${op}: dst`, (reg) => swap[op](reg)]),
  ...keys(load).map((op): Place => [`load.${op}: dst`, (reg) => load[op](reg, r1, 0)]),
  ...(['fetchAdd', 'fetchOr', 'fetchAnd', 'fetchXor', 'xchg'] as const).flatMap((op): Place[] => [
    [`atomic64.${op}: src`, (reg) => atomic64[op](r1, 0, reg)],
    [`atomic32.${op}: src`, (reg) => atomic32[op](r1, 0, reg)],
  ]),
  ...keys(loadAcquire).map((op): Place => [`loadAcquire.${op}: dst`, (reg) => loadAcquire[op](reg, r1, 0)]),
  ['imm64: dst', (reg) => imm64(reg, 0n)],
  ['mapFd: dst', (reg) => mapFd(reg, { fd: 3 })],
  ['mapValue: dst', (reg) => mapValue(reg, { fd: 3 }, 0)],
  ['btfVar: dst', (reg) => btfVar(reg, 1)],
  ['funcAddr: dst', (reg) => funcAddr(reg, 'f')],
  ['mapIndex: dst', (reg) => mapIndex(reg, 0)],
  ['mapValueIndex: dst', (reg) => mapValueIndex(reg, 0, 0)],
];

const read: readonly Place[] = [
  ...keys(alu64).flatMap((op): Place[] => (op === 'neg' ? [] : [[`alu64.${op}: src`, (reg) => alu64[op](r1, reg)]])),
  ...keys(alu32).flatMap((op): Place[] => (op === 'neg' ? [] : [[`alu32.${op}: src`, (reg) => alu32[op](r1, reg)]])),
  ...keys(jump32).flatMap((op): Place[] => [
    [`jump.${op}: dst`, (reg) => jump[op](reg, 0, 'out')],
    [`jump.${op}: src`, (reg) => jump[op](r1, reg, 'out')],
    [`jump32.${op}: dst`, (reg) => jump32[op](reg, 0, 'out')],
    [`jump32.${op}: src`, (reg) => jump32[op](r1, reg, 'out')],
  ]),
  ...keys(load).map((op): Place => [`load.${op}: base`, (reg) => load[op](r1, reg, 0)]),
  ...keys(store).flatMap((op): Place[] => [
    [`store.${op}: base`, (reg) => store[op](reg, 0, r1)],
    [`store.${op}: src`, (reg) => store[op](r1, 0, reg)],
  ]),
  ...keys(atomic64).flatMap((op): Place[] => [
    [`atomic64.${op}: base`, (reg) => atomic64[op](reg, 0, r1)],
    [`atomic32.${op}: base`, (reg) => atomic32[op](reg, 0, r1)],
  ]),
  ...(['add', 'or', 'and', 'xor', 'cmpxchg'] as const).flatMap((op): Place[] => [
    [`atomic64.${op}: src`, (reg) => atomic64[op](r1, 0, reg)],
    [`atomic32.${op}: src`, (reg) => atomic32[op](r1, 0, reg)],
  ]),
  ...keys(loadAcquire).map((op): Place => [`loadAcquire.${op}: base`, (reg) => loadAcquire[op](r1, reg, 0)]),
  ...keys(storeRelease).flatMap((op): Place[] => [
    [`storeRelease.${op}: base`, (reg) => storeRelease[op](reg, 0, r1)],
    [`storeRelease.${op}: src`, (reg) => storeRelease[op](r1, 0, reg)],
  ]),
  ...(['ind8', 'ind16', 'ind32'] as const).map((op): Place => [`legacy.${op}: src`, (reg) => legacy[op](reg)]),
];

function refusesWhatIsNoRegister([argument, make]: Place): void {
  for (const index of [-1, 11, 0.5]) {
    const error = thrown(RangeError, () => make({ kind: 'register', index } as unknown as Register));
    expect(error.message).toContain(`${argument}: there is no register r${index}`);
  }
  for (const value of ['r1', null, undefined, {}]) {
    expect(thrown(TypeError, () => make(value as unknown as Register)).message).toContain(`${argument}: `);
  }
}

describe('registers', () => {
  test('have their numbers, and fp is r10', () => {
    const named = [asm.r0, asm.r1, asm.r2, asm.r3, asm.r4, asm.r5, asm.r6, asm.r7, asm.r8, asm.r9, asm.r10];
    expect(named.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(asm.registers).toEqual(named);
    expect(asm.fp).toBe(asm.r10);
  });

  test.each(written)('%s is written, so not r10', (argument, make) => {
    expect(make(r0)).toMatchObject({ kind: 'instruction' });
    expect(thrown(RangeError, () => make(r10)).message).toContain(`${argument}: r10 is the frame pointer`);
    refusesWhatIsNoRegister([argument, make]);
  });

  test.each(read)('%s is read, so any', (argument, make) => {
    expect(make(r0)).toMatchObject({ kind: 'instruction' });
    expect(make(r10)).toMatchObject({ kind: 'instruction' });
    refusesWhatIsNoRegister([argument, make]);
  });

  test('a number is not taken for a register', () => {
    expect(() => load.u8(1 as unknown as Register, r1, 0)).toThrow(TypeError);
    expect(() => alu64.movsx8(r1, 2 as unknown as Register)).toThrow(TypeError);
  });
});

describe('names', () => {
  test.each(['a', 'LBB0_1', '.loop', '$x', 'next.3'])('%s can be a label', (name) => {
    expect(label(name)).toEqual({ kind: 'label', name });
    expect(jump.always(name).label).toBe(name);
  });

  test.each(['', '1st', 'a b', 'a-b', 'a:', '+5', undefined, 5])('%j cannot', (value) => {
    const name = value as unknown as string;
    expect(() => label(name)).toThrow(TypeError);
    expect(() => callLocal(name)).toThrow(TypeError);
    expect(() => funcAddr(r1, name)).toThrow(TypeError);
    expect(() => jump.always(name)).toThrow(TypeError);
  });

  test('a map is { fd } or { name }', () => {
    expect(mapFd(r1, { name: 'counts' }).map).toBe('counts');
    expect(() => mapFd(r1, { name: '' })).toThrow(TypeError);
    expect(() => mapFd(r1, 3 as unknown as { fd: number })).toThrow(TypeError);
    expect(() => mapValue(r1, {} as unknown as { fd: number }, 0)).toThrow(TypeError);
  });
});
