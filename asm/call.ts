/**
 * Calls and exit (RFC 9669, section 4.3).
 *
 * There is no call through a register: LLVM writes `callx r1` as opcode 0x8d, which RFC 9669 does not define and the
 * kernel refuses, so neither do constructors make it nor does `decode` accept it.
 */

import { checkInteger, S16_MAX, S32_MAX } from './check.ts';
import { checkLabelName, type Instruction, instruction } from './instruction.ts';
import { CallKind, Class, JumpOp } from './opcode.ts';

const CALL = Class.jump | JumpOp.call;

/** `call helper`: arguments in r1 to r5, result in r0 (v1). `name` is for people. RFC 9669, section 4.3.1. */
export function call(helper: number, name?: string): Instruction {
  const imm = checkInteger('call: helper', helper, 0, S32_MAX);
  return instruction({ opcode: CALL, src: CallKind.helper, imm }, { name });
}

/**
 * `call kfunc btfId`: a kernel function by its id in the BTF of vmlinux (kernel 5.13), or in that of a module whose
 * BTF fd stands at `fdArrayIndex` of the fd array given at load (kernel 5.16; 0 is vmlinux). RFC 9669, section 4.3.1.
 */
export function callKfunc(btfId: number, fdArrayIndex = 0, name?: string): Instruction {
  const imm = checkInteger('callKfunc: btfId', btfId, 1, S32_MAX);
  const off = checkInteger('callKfunc: fdArrayIndex', fdArrayIndex, 0, S16_MAX);
  return instruction({ opcode: CALL, src: CallKind.kfunc, imm, off }, { name });
}

/** `call label`: a function of this program (kernel 4.16). RFC 9669, section 4.3.2. */
export function callLocal(label: string): Instruction {
  return instruction({ opcode: CALL, src: CallKind.local }, { label: checkLabelName('callLocal: label', label) });
}

/** `exit`: return r0 from the program or the local function (v1). */
export function exit(): Instruction {
  return instruction({ opcode: Class.jump | JumpOp.exit });
}
