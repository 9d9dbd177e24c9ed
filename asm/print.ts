/**
 * Instructions to text, in the notation of LLVM and the kernel. Where LLVM has none, for what wide instructions load
 * and calls call, it is the notation of RFC 9669. Every instruction has a text of its own, but for one thing: numbers
 * are printed signed, as they are stored.
 */

import { imm64Value } from './imm64.ts';
import type { Instruction } from './instruction.ts';
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

/** The text of one instruction: `if r2 > -1 goto +5`. One without an encoding prints as `unknown` and its fields. */
export function print(insn: Instruction): string {
  return text(insn) ?? unknown(insn);
}

function text(insn: Instruction): string | undefined {
  switch (classOf(insn.opcode)) {
    case Class.ld:
      return insn.opcode === WIDE_OPCODE ? wide(insn) : packet(insn);
    case Class.ldx:
      return load(insn);
    case Class.st:
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

function unknown({ opcode, dst, src, off, imm }: Instruction): string {
  return `unknown (opcode 0x${opcode.toString(16)}, dst ${dst}, src ${src}, off ${off}, imm ${imm})`;
}

/** `+ 4` or `- 4`, as LLVM sets it between a register and an offset. */
function plus(value: number): string {
  return value < 0 ? `- ${-value}` : `+ ${value}`;
}

/** `+4` or `-4`, as in jumps. */
function signed(value: number): string {
  return value < 0 ? `${value}` : `+${value}`;
}

/** A register by the name its width has: `r1`, or `w1` for the lower half. */
function half(register: number, isHalf: boolean): string {
  return `${isHalf ? 'w' : 'r'}${register}`;
}

const BITS: Readonly<Record<number, number>> = {
  [Size.byte]: 8,
  [Size.half]: 16,
  [Size.word]: 32,
  [Size.double]: 64,
};

function bitsOf(opcode: number): number {
  return BITS[sizeOf(opcode)]!;
}

function wide(insn: Instruction): string | undefined {
  const { dst, src, imm, nextImm = 0, label, map } = insn;
  const off = nextImm >>> 0;
  switch (src) {
    case WideSource.value:
      return `r${dst} = ${number64(imm64Value(insn))} ll`;
    case WideSource.mapFd:
      return `r${dst} = map_by_fd(${map ?? imm})`;
    case WideSource.mapValue:
      return `r${dst} = map_val(map_by_fd(${map ?? imm})) + ${off}`;
    case WideSource.variable:
      return `r${dst} = var_addr(${nextImm === 0 ? imm : `${imm}, ${nextImm}`})`;
    case WideSource.code:
      return `r${dst} = code_addr(${label ?? signed(imm)})`;
    case WideSource.mapIndex:
      return `r${dst} = map_by_idx(${imm})`;
    case WideSource.mapValueIndex:
      return `r${dst} = map_val(map_by_idx(${imm})) + ${off}`;
    default:
      return undefined;
  }
}

/** Decimal while it is short; an address or a mask reads better in hexadecimal. */
function number64(value: bigint): string {
  const small = BigInt.asIntN(64, value);
  return small >= -0x8000_0000n && small <= 0x7fff_ffffn ? `${small}` : `0x${value.toString(16)}`;
}

function packet({ opcode, src, imm }: Instruction): string | undefined {
  const access = `r0 = *(u${bitsOf(opcode)} *)skb`;
  switch (modeOf(opcode)) {
    case Mode.abs:
      return `${access}[${imm}]`;
    case Mode.ind:
      return imm === 0 ? `${access}[r${src}]` : `${access}[r${src} ${plus(imm)}]`;
    default:
      return undefined;
  }
}

function load({ opcode, dst, src, off }: Instruction): string | undefined {
  switch (modeOf(opcode)) {
    case Mode.mem:
      return `r${dst} = *(u${bitsOf(opcode)} *)(r${src} ${plus(off)})`;
    case Mode.memsx:
      return `r${dst} = *(s${bitsOf(opcode)} *)(r${src} ${plus(off)})`;
    default:
      return undefined;
  }
}

function store(insn: Instruction): string | undefined {
  const { opcode, dst, src, off, imm } = insn;
  switch (modeOf(opcode)) {
    case Mode.mem:
      return `*(u${bitsOf(opcode)} *)(r${dst} ${plus(off)}) = ${classOf(opcode) === Class.st ? imm : `r${src}`}`;
    case Mode.atomic:
      return classOf(opcode) === Class.stx ? atomic(insn) : undefined;
    default:
      return undefined;
  }
}

function atomic({ opcode, dst, src, off, imm }: Instruction): string | undefined {
  const bits = bitsOf(opcode);
  const narrow = bits !== 64;
  const value = half(src, narrow);
  const place = `r${dst} ${plus(off)}`;
  const memory = `(u${bits} *)(${place})`;
  switch (imm) {
    case AtomicOp.add:
      return `lock *${memory} += ${value}`;
    case AtomicOp.or:
      return `lock *${memory} |= ${value}`;
    case AtomicOp.and:
      return `lock *${memory} &= ${value}`;
    case AtomicOp.xor:
      return `lock *${memory} ^= ${value}`;
    case AtomicOp.fetchAdd:
      return `${value} = atomic_fetch_add(${memory}, ${value})`;
    case AtomicOp.fetchOr:
      return `${value} = atomic_fetch_or(${memory}, ${value})`;
    case AtomicOp.fetchAnd:
      return `${value} = atomic_fetch_and(${memory}, ${value})`;
    case AtomicOp.fetchXor:
      return `${value} = atomic_fetch_xor(${memory}, ${value})`;
    case AtomicOp.xchg:
      return `${value} = ${narrow ? 'xchg32_32' : 'xchg_64'}(${place}, ${value})`;
    case AtomicOp.cmpxchg:
      return narrow ? `w0 = cmpxchg32_32(${place}, w0, ${value})` : `r0 = cmpxchg_64(${place}, r0, ${value})`;
    case AtomicOp.loadAcquire:
      return `${half(dst, narrow)} = load_acquire((u${bits} *)(r${src} ${plus(off)}))`;
    case AtomicOp.storeRelease:
      return `store_release(${memory}, ${value})`;
    default:
      return undefined;
  }
}

const ALU_SIGN: Readonly<Record<number, string>> = {
  [AluOp.add]: '+=',
  [AluOp.sub]: '-=',
  [AluOp.mul]: '*=',
  [AluOp.div]: '/=',
  [AluOp.or]: '|=',
  [AluOp.and]: '&=',
  [AluOp.lsh]: '<<=',
  [AluOp.rsh]: '>>=',
  [AluOp.mod]: '%=',
  [AluOp.xor]: '^=',
  [AluOp.mov]: '=',
  [AluOp.arsh]: 's>>=',
};

function arithmetic(insn: Instruction): string | undefined {
  const { opcode, off, imm } = insn;
  const narrow = classOf(opcode) === Class.alu32;
  const dst = half(insn.dst, narrow);
  const src = half(insn.src, narrow);
  const operand = sourceOf(opcode) === Source.reg ? src : `${imm}`;
  const operation = operationOf(opcode);
  switch (operation) {
    case AluOp.neg:
      return `${dst} = -${dst}`;
    case AluOp.end:
      return `r${insn.dst} = ${swapName(opcode)}${imm} r${insn.dst}`;
    case AluOp.div:
    case AluOp.mod:
      return `${dst} ${off === 0 ? '' : 's'}${ALU_SIGN[operation]} ${operand}`;
    case AluOp.mov:
      return off === 0 ? `${dst} = ${operand}` : `${dst} = (s${off})${src}`;
    default: {
      const sign = ALU_SIGN[operation];
      return sign === undefined ? undefined : `${dst} ${sign} ${operand}`;
    }
  }
}

function swapName(opcode: number): string {
  if (classOf(opcode) === Class.alu64) return 'bswap';
  return sourceOf(opcode) === SwapOrder.toBig ? 'be' : 'le';
}

const JUMP_SIGN: Readonly<Record<number, string>> = {
  [JumpOp.eq]: '==',
  [JumpOp.ne]: '!=',
  [JumpOp.gt]: '>',
  [JumpOp.ge]: '>=',
  [JumpOp.lt]: '<',
  [JumpOp.le]: '<=',
  [JumpOp.sgt]: 's>',
  [JumpOp.sge]: 's>=',
  [JumpOp.slt]: 's<',
  [JumpOp.sle]: 's<=',
  [JumpOp.set]: '&',
};

function jump(insn: Instruction): string | undefined {
  switch (operationOf(insn.opcode)) {
    case JumpOp.always:
      return `goto ${insn.label ?? signed(insn.off)}`;
    case JumpOp.call:
      return call(insn);
    case JumpOp.exit:
      return 'exit';
    default:
      return condition(insn, false);
  }
}

function jump32(insn: Instruction): string | undefined {
  return operationOf(insn.opcode) === JumpOp.always ? `gotol ${insn.label ?? signed(insn.imm)}` : condition(insn, true);
}

function condition(insn: Instruction, narrow: boolean): string | undefined {
  const sign = JUMP_SIGN[operationOf(insn.opcode)];
  if (sign === undefined) return undefined;
  const operand = sourceOf(insn.opcode) === Source.reg ? half(insn.src, narrow) : `${insn.imm}`;
  return `if ${half(insn.dst, narrow)} ${sign} ${operand} goto ${insn.label ?? signed(insn.off)}`;
}

function call({ src, off, imm, label }: Instruction): string | undefined {
  switch (src) {
    case CallKind.helper:
      return `call ${imm}`;
    case CallKind.local:
      return `call ${label ?? `pc${signed(imm)}`}`;
    case CallKind.kfunc:
      return off === 0 ? `call kfunc ${imm}` : `call kfunc ${imm}, ${off}`;
    default:
      return undefined;
  }
}
