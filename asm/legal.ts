/**
 * Which encodings exist (RFC 9669). `encode` and `decode` both ask here, so what one makes the other reads.
 *
 * An unused field must be zero. Writing r10 or dividing by the number 0 has an encoding, so it is legal here; the
 * constructors refuse it because the kernel does.
 */

import { S16_MAX, S16_MIN, S32_MAX, S32_MIN } from './check.ts';
import type { Fields } from './instruction.ts';
import {
  AluOp,
  AtomicOp,
  CallKind,
  Class,
  classOf,
  JumpOp,
  Mode,
  modeOf,
  operationOf,
  Size,
  Source,
  SwapOrder,
  sizeOf,
  sourceOf,
  WIDE_OPCODE,
  WideSource,
} from './opcode.ts';

/** What is wrong with the encoding, or undefined if an instruction has it. */
export function illegality(insn: Fields): string | undefined {
  return unfit(insn) ?? unencoded(insn);
}

/** An instruction is plain data, so it may hold numbers that its fields have no room for. */
function unfit(insn: Fields): string | undefined {
  const { opcode, dst, src, off, imm, nextImm = 0 } = insn;
  if (!isFrom(opcode, 0, 0xff)) return `opcode ${opcode} is not a byte`;
  if (!isFrom(dst, 0, 15)) return `dst ${dst} has more than 4 bits`;
  if (!isFrom(src, 0, 15)) return `src ${src} has more than 4 bits`;
  if (!isFrom(off, S16_MIN, S16_MAX)) return `off ${off} has more than 16 bits`;
  if (!isFrom(imm, S32_MIN, S32_MAX)) return `imm ${imm} has more than 32 bits`;
  if (!isFrom(nextImm, S32_MIN, S32_MAX)) return `nextImm ${nextImm} has more than 32 bits`;
  if (insn.nextImm !== undefined && opcode !== WIDE_OPCODE) return 'only wide instructions have nextImm';
  return undefined;
}

function isFrom(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function unencoded(insn: Fields): string | undefined {
  switch (classOf(insn.opcode)) {
    case Class.ld:
      return insn.opcode === WIDE_OPCODE ? wide(insn) : packet(insn);
    case Class.ldx:
      return load(insn);
    case Class.st:
      return modeOf(insn.opcode) === Mode.mem ? unused(insn, 'src') : reserved(insn);
    case Class.stx:
      return store(insn);
    case Class.alu32:
    case Class.alu64:
      return arithmetic(insn);
    case Class.jump:
      return jump(insn);
    default:
      return jump32(insn);
  }
}

type Field = 'dst' | 'src' | 'off' | 'imm';

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}

function reserved(insn: Fields): string {
  return `opcode ${hex(insn.opcode)} is reserved`;
}

/** The fields named must be zero; dst and src that are not named must be registers. */
function unused(insn: Fields, ...fields: readonly Field[]): string | undefined {
  for (const field of fields) {
    if (insn[field] !== 0) return `opcode ${hex(insn.opcode)} has no ${field}, but it is ${insn[field]}`;
  }
  if (insn.dst > 10) return `there is no register r${insn.dst}`;
  if (insn.src > 10) return `there is no register r${insn.src}`;
  return undefined;
}

function wide(insn: Fields): string | undefined {
  const { dst, src, off, nextImm } = insn;
  if (nextImm === undefined) return 'the second slot of a wide instruction is missing';
  if (dst > 10) return `there is no register r${dst}`;
  if (off !== 0) return `a wide instruction has no off, but it is ${off}`;
  switch (src) {
    case WideSource.value:
    case WideSource.mapValue:
    case WideSource.mapValueIndex:
    case WideSource.variable: // the fd of a module's BTF, which the kernel takes and the RFC leaves out
      return undefined;
    case WideSource.mapFd:
    case WideSource.code:
    case WideSource.mapIndex:
      return nextImm === 0 ? undefined : `wide source ${src} has no second imm, but it is ${nextImm}`;
    default:
      return `wide source ${src} is reserved`;
  }
}

function packet(insn: Fields): string | undefined {
  if (sizeOf(insn.opcode) === Size.double) return reserved(insn);
  switch (modeOf(insn.opcode)) {
    case Mode.abs:
      return unused(insn, 'dst', 'src', 'off');
    case Mode.ind:
      return unused(insn, 'dst', 'off');
    default:
      return reserved(insn);
  }
}

function load(insn: Fields): string | undefined {
  const mode = modeOf(insn.opcode);
  const signExtending = mode === Mode.memsx && sizeOf(insn.opcode) !== Size.double;
  return mode === Mode.mem || signExtending ? unused(insn, 'imm') : reserved(insn);
}

const ATOMIC_OPS: ReadonlySet<number> = new Set(Object.values(AtomicOp));

function store(insn: Fields): string | undefined {
  const mode = modeOf(insn.opcode);
  if (mode === Mode.mem) return unused(insn, 'imm');
  if (mode !== Mode.atomic) return reserved(insn);
  if (insn.imm === AtomicOp.loadAcquire || insn.imm === AtomicOp.storeRelease) return unused(insn);
  const size = sizeOf(insn.opcode);
  if (size !== Size.word && size !== Size.double) return reserved(insn);
  return ATOMIC_OPS.has(insn.imm) ? unused(insn) : `atomic operation ${insn.imm} is reserved`;
}

function arithmetic(insn: Fields): string | undefined {
  const { opcode, off } = insn;
  const register = sourceOf(opcode) === Source.reg;
  switch (operationOf(opcode)) {
    case AluOp.neg:
      return register ? reserved(insn) : unused(insn, 'src', 'off', 'imm');
    case AluOp.end:
      return swap(insn);
    case AluOp.div:
    case AluOp.mod:
      if (off !== 0 && off !== 1) return `opcode ${hex(opcode)} with off ${off} is reserved`;
      return unused(insn, register ? 'imm' : 'src');
    case AluOp.mov:
      if (off !== 0 && !(register && signExtendingMove(insn)))
        return `opcode ${hex(opcode)} with off ${off} is reserved`;
      return unused(insn, register ? 'imm' : 'src');
    case 0xe0:
    case 0xf0:
      return reserved(insn);
    default:
      return unused(insn, 'off', register ? 'imm' : 'src');
  }
}

function signExtendingMove({ opcode, off }: Fields): boolean {
  return off === 8 || off === 16 || (off === 32 && classOf(opcode) === Class.alu64);
}

function swap(insn: Fields): string | undefined {
  const { opcode, imm } = insn;
  if (classOf(opcode) === Class.alu64 && sourceOf(opcode) === SwapOrder.toBig) return reserved(insn);
  if (imm !== 16 && imm !== 32 && imm !== 64) return `a byte swap of ${imm} bits is reserved`;
  return unused(insn, 'src', 'off');
}

function jump(insn: Fields): string | undefined {
  const register = sourceOf(insn.opcode) === Source.reg;
  switch (operationOf(insn.opcode)) {
    case JumpOp.always:
      return register ? reserved(insn) : unused(insn, 'dst', 'src', 'imm');
    case JumpOp.call:
      return register ? reserved(insn) : call(insn);
    case JumpOp.exit:
      return register ? reserved(insn) : unused(insn, 'dst', 'src', 'off', 'imm');
    default:
      return condition(insn);
  }
}

function call(insn: Fields): string | undefined {
  switch (insn.src) {
    case CallKind.helper:
    case CallKind.local:
      return unused(insn, 'dst', 'off');
    case CallKind.kfunc: // off: place of a module's BTF in the fd array, which the kernel takes and the RFC leaves out
      return insn.off < 0 ? `a call of a kernel function with off ${insn.off} is reserved` : unused(insn, 'dst');
    default:
      return `call kind ${insn.src} is reserved`;
  }
}

function jump32(insn: Fields): string | undefined {
  switch (operationOf(insn.opcode)) {
    case JumpOp.always:
      return sourceOf(insn.opcode) === Source.reg ? reserved(insn) : unused(insn, 'dst', 'src', 'off');
    case JumpOp.call:
    case JumpOp.exit:
      return reserved(insn);
    default:
      return condition(insn);
  }
}

function condition(insn: Fields): string | undefined {
  const operation = operationOf(insn.opcode);
  if (operation === 0xe0 || operation === 0xf0) return reserved(insn);
  return unused(insn, sourceOf(insn.opcode) === Source.reg ? 'imm' : 'src');
}
