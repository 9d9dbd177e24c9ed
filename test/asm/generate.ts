/** Instructions for property tests and for the oracle: one family a constructor and kind of operand. */

import fc from 'fast-check';
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
  exit,
  type Instruction,
  imm64,
  instruction,
  jump,
  jump32,
  type Legacy,
  type Load,
  type LoadAcquire,
  legacy,
  load,
  loadAcquire,
  mapFd,
  mapIndex,
  mapValue,
  mapValueIndex,
  type Register,
  registers,
  type StoreRelease,
  store,
  storeRelease,
  swap,
} from '../../asm/index.ts';

export interface Family {
  readonly name: string;
  readonly arbitrary: fc.Arbitrary<Instruction>;
}

/** Whole numbers of a range, its ends and the numbers around zero more often than the rest. */
function integer(min: number, max: number): fc.Arbitrary<number> {
  const edges = [min, min + 1, -1, 0, 1, max - 1, max].filter((value) => value >= min && value <= max);
  return fc.oneof(fc.constantFrom(...edges), fc.integer({ min, max }));
}

const anyRegister: fc.Arbitrary<Register> = fc.constantFrom(...registers);
const writable: fc.Arbitrary<Register> = fc.constantFrom(...registers.slice(0, 10));
const s16 = integer(-0x8000, 0x7fff);
const s32 = integer(-0x8000_0000, 0x7fff_ffff);
const natural = integer(0, 0x7fff_ffff);
const word = integer(-0x8000_0000, 0xffff_ffff);
const target = s16.map((offset) => ({ offset }));
const value64 = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 0x7fff_ffffn, 0x8000_0000n, -0x8000_0000n, -0x8000_0001n, 0xffff_ffffn, 1n << 32n),
  fc.constantFrom(-(1n << 63n), (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n),
  fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
);

const families: Family[] = [];

function family<T extends unknown[]>(
  name: string,
  parts: { [K in keyof T]: fc.Arbitrary<T[K]> },
  make: (...values: T) => Instruction,
): void {
  families.push({ name, arbitrary: fc.tuple<T>(...parts).map((values) => make(...values)) });
}

const numberOperand: Partial<Record<keyof Alu, fc.Arbitrary<number>>> = {};

for (const [name, alu, number, width] of [
  ['alu32', alu32, word, 32],
  ['alu64', alu64, s32, 64],
] as const) {
  const shift = integer(0, width - 1);
  const divisor = number.filter((value) => value !== 0);
  Object.assign(numberOperand, { lsh: shift, rsh: shift, arsh: shift });
  Object.assign(numberOperand, { div: divisor, sdiv: divisor, mod: divisor, smod: divisor });
  const binary = [
    'add',
    'sub',
    'mul',
    'div',
    'sdiv',
    'or',
    'and',
    'lsh',
    'rsh',
    'mod',
    'smod',
    'xor',
    'mov',
    'arsh',
  ] as const;
  for (const op of binary) {
    family<[Register, Register]>(`${name}.${op} register`, [writable, anyRegister], alu[op]);
    family<[Register, number]>(`${name}.${op} number`, [writable, numberOperand[op] ?? number], alu[op]);
  }
  family<[Register]>(`${name}.neg`, [writable], alu.neg);
  family<[Register, Register]>(`${name}.movsx8`, [writable, anyRegister], alu.movsx8);
  family<[Register, Register]>(`${name}.movsx16`, [writable, anyRegister], alu.movsx16);
}
family<[Register, Register]>('alu64.movsx32', [writable, anyRegister], alu64.movsx32);

for (const op of Object.keys(swap) as (keyof typeof swap)[]) family<[Register]>(`swap.${op}`, [writable], swap[op]);

for (const [name, conditions, number] of [
  ['jump', jump, s32],
  ['jump32', jump32, word],
] as const) {
  for (const op of Object.keys(jump32) as (keyof Conditions)[]) {
    const make = conditions[op];
    family<[Register, Register, { offset: number }]>(
      `${name}.${op} register`,
      [anyRegister, anyRegister, target],
      make,
    );
    family<[Register, number, { offset: number }]>(`${name}.${op} number`, [anyRegister, number, target], make);
  }
}
family<[{ offset: number }]>('jump.always', [target], jump.always);
family<[{ offset: number }]>('jump.long', [s32.map((offset) => ({ offset }))], jump.long);

for (const op of Object.keys(load) as (keyof Load)[]) {
  family<[Register, Register, number]>(`load.${op}`, [writable, anyRegister, s16], load[op]);
}
const stored = { u8: integer(-0x80, 0xff), u16: integer(-0x8000, 0xffff), u32: word, u64: s32 };
for (const op of ['u8', 'u16', 'u32', 'u64'] as const) {
  family<[Register, number, Register]>(`store.${op} register`, [anyRegister, s16, anyRegister], store[op]);
  family<[Register, number, number]>(`store.${op} number`, [anyRegister, s16, stored[op]], store[op]);
}

for (const [name, atomic] of [
  ['atomic32', atomic32],
  ['atomic64', atomic64],
] as const) {
  for (const op of Object.keys(atomic) as (keyof Atomic)[]) {
    family<[Register, number, Register]>(`${name}.${op}`, [anyRegister, s16, writable], atomic[op]);
  }
}
for (const op of Object.keys(loadAcquire) as (keyof LoadAcquire)[]) {
  family<[Register, Register, number]>(`loadAcquire.${op}`, [writable, anyRegister, s16], loadAcquire[op]);
}
for (const op of Object.keys(storeRelease) as (keyof StoreRelease)[]) {
  family<[Register, number, Register]>(`storeRelease.${op}`, [anyRegister, s16, anyRegister], storeRelease[op]);
}

family<[Register, bigint]>('imm64', [writable, value64], imm64);
family<[Register, number]>('mapFd', [writable, natural], (dst, fd) => mapFd(dst, { fd }));
family<[Register, number, number]>('mapValue', [writable, natural, integer(0, 0xffff_ffff)], (dst, fd, off) =>
  mapValue(dst, { fd }, off),
);
family<[Register, number, number]>('btfVar', [writable, integer(1, 0x7fff_ffff), natural], btfVar);
family<[Register, number]>('funcAddr', [writable, s32], (dst, imm) =>
  instruction({ opcode: 0x18, dst: dst.index, src: 4, imm, nextImm: 0 }),
);
family<[Register, number]>('mapIndex', [writable, natural], mapIndex);
family<[Register, number, number]>('mapValueIndex', [writable, natural, integer(0, 0xffff_ffff)], mapValueIndex);

for (const op of ['abs8', 'abs16', 'abs32'] as const satisfies (keyof Legacy)[]) {
  family<[number]>(`legacy.${op}`, [word], legacy[op]);
}
for (const op of ['ind8', 'ind16', 'ind32'] as const satisfies (keyof Legacy)[]) {
  family<[Register, number]>(`legacy.${op}`, [anyRegister, word], legacy[op]);
  family<[Register]>(`legacy.${op} without off`, [anyRegister], (src) => legacy[op](src));
}

family<[number]>('call', [natural], (helper) => call(helper));
family<[number]>('callLocal', [s32], (imm) => instruction({ opcode: 0x85, src: 1, imm }));
family<[number, number]>('callKfunc', [integer(1, 0x7fff_ffff), integer(0, 0x7fff)], (id, index) =>
  callKfunc(id, index),
);
family<[]>('exit', [], exit);

/** Every constructor of the library, once for each kind of operand. */
export const everyFamily: readonly Family[] = families;

/** Any instruction, all families alike. */
export const anyInstruction: fc.Arbitrary<Instruction> = fc.oneof(...families.map(({ arbitrary }) => arbitrary));

/** The same `count` instructions of every family each time; `seed` makes others. */
export function sample(count: number, seed: number): Instruction[] {
  return families.flatMap(({ arbitrary }, index) => fc.sample(arbitrary, { numRuns: count, seed: seed + index }));
}
