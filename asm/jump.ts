/** Jumps (RFC 9669, section 4.3). Calls and exit, of the same class, are in call.ts. */

import { checkOffset, checkRegister, checkS32, checkWord, isRegisterOperand } from './check.ts';
import { checkLabelName, type Instruction, instruction, type Target } from './instruction.ts';
import { Class, JumpOp, Source } from './opcode.ts';
import type { Register } from './register.ts';

/**
 * Conditional jumps (RFC 9669, section 4.3). `jump` compares whole registers; `jump32` the lower halves (v3, kernel 5.1).
 *
 * A number as `src` is 32 bits wide. `jump` sign-extends it, even for an unsigned comparison, so it takes -2³¹ to
 * 2³¹-1; `jump32` also takes the unsigned reading, up to 2³²-1. The distance is 16 bits, -32768 to 32767 slots.
 * Minimum kernel where nothing is said: 3.18.
 */
export interface Conditions {
  /** `if dst == src goto target` (v1) */
  eq(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst != src goto target` (v1) */
  ne(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst > src goto target`, unsigned (v1) */
  gt(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst >= src goto target`, unsigned (v1) */
  ge(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst < src goto target`, unsigned (v2, kernel 4.14) */
  lt(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst <= src goto target`, unsigned (v2, kernel 4.14) */
  le(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst s> src goto target`, signed (v1) */
  sgt(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst s>= src goto target`, signed (v1) */
  sge(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst s< src goto target`, signed (v2, kernel 4.14) */
  slt(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst s<= src goto target`, signed (v2, kernel 4.14) */
  sle(dst: Register, src: Register | number, target: Target): Instruction;
  /** `if dst & src goto target` (v1) */
  set(dst: Register, src: Register | number, target: Target): Instruction;
}

export interface Jump extends Conditions {
  /** `goto target`: -32768 to 32767 slots (v1) */
  always(target: Target): Instruction;
  /** `gotol target`: as far as any program goes (v4, kernel 6.6) */
  long(target: Target): Instruction;
}

type Condition = (dst: Register, src: Register | number, target: Target) => Instruction;
type Check = (where: string, value: number) => number;

/** The number of slots, or 0 and the label that `assemble` will look up. */
function resolve(where: string, target: Target, checkDistance: Check): { distance: number; label?: string } {
  if (typeof target === 'string') return { distance: 0, label: checkLabelName(where, target) };
  if (typeof target !== 'object' || target === null) {
    throw new TypeError(`${where}: neither the name of a label nor { offset }`);
  }
  return { distance: checkDistance(where, target.offset) };
}

function condition(where: string, opcode: number, checkNumber: Check): Condition {
  return (dst, src, target) => {
    const { distance, label } = resolve(`${where}: target`, target, checkOffset);
    const base = { dst: checkRegister(`${where}: dst`, dst), off: distance };
    const operand = `${where}: src`;
    return isRegisterOperand(operand, src)
      ? instruction({ ...base, opcode: opcode | Source.reg, src: checkRegister(operand, src) }, { label })
      : instruction({ ...base, opcode: opcode | Source.imm, imm: checkNumber(operand, src) }, { label });
  };
}

function checkNumber64(where: string, value: number): number {
  return checkS32(where, value, ' (it is sign-extended to 64 bits; for others load a register with imm64)');
}

function conditions(name: 'jump' | 'jump32', cls: number, check: Check): Conditions {
  return {
    eq: condition(`${name}.eq`, cls | JumpOp.eq, check),
    ne: condition(`${name}.ne`, cls | JumpOp.ne, check),
    gt: condition(`${name}.gt`, cls | JumpOp.gt, check),
    ge: condition(`${name}.ge`, cls | JumpOp.ge, check),
    lt: condition(`${name}.lt`, cls | JumpOp.lt, check),
    le: condition(`${name}.le`, cls | JumpOp.le, check),
    sgt: condition(`${name}.sgt`, cls | JumpOp.sgt, check),
    sge: condition(`${name}.sge`, cls | JumpOp.sge, check),
    slt: condition(`${name}.slt`, cls | JumpOp.slt, check),
    sle: condition(`${name}.sle`, cls | JumpOp.sle, check),
    set: condition(`${name}.set`, cls | JumpOp.set, check),
  };
}

/** Jumps that compare whole registers, and the jumps that compare nothing. */
export const jump: Jump = Object.freeze({
  ...conditions('jump', Class.jump, checkNumber64),
  always(target: Target): Instruction {
    const { distance, label } = resolve('jump.always: target', target, checkOffset);
    return instruction({ opcode: Class.jump | JumpOp.always, off: distance }, { label });
  },
  long(target: Target): Instruction {
    const { distance, label } = resolve('jump.long: target', target, checkS32);
    return instruction({ opcode: Class.jump32 | JumpOp.always, imm: distance }, { label });
  },
});

/** Jumps that compare the lower halves of registers, `if w1 == w2 goto …`. */
export const jump32: Conditions = Object.freeze(conditions('jump32', Class.jump32, checkWord));
