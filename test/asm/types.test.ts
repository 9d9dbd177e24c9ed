/** What the compiler must refuse. `npm run check` fails where one of these lines is accepted. */

import { expect, test } from 'vitest';
import {
  alu32,
  alu64,
  assemble,
  exit,
  type Instruction,
  imm64,
  load,
  type RawOffset,
  r1,
  registers,
} from '../../asm/index.ts';

test('numbers are no registers, and indexes are no places', () => {
  const misuses: (() => unknown)[] = [
    // @ts-expect-error a number is not a register
    () => alu64.add(1, r1),
    // @ts-expect-error a number is not a register
    () => load.u64(r1, 1, 0),
    // @ts-expect-error the value is a bigint
    () => imm64(r1, 5),
    // @ts-expect-error 32 bits into 32 need no sign
    () => alu32.movsx32(r1, r1),
    // @ts-expect-error a string is no code
    () => assemble(['exit']),
  ];
  for (const misuse of misuses) expect(misuse).toThrow(TypeError);

  const places: readonly RawOffset[] = assemble(exit()).offsets;
  // @ts-expect-error the index of an instruction is not its place in slots
  const place: RawOffset = 0;
  expect(places).toEqual([place]);

  const insn: Instruction = exit();
  // @ts-expect-error instructions do not change
  expect(() => (insn.imm = 1)).toThrow(TypeError);
  expect(registers.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});
