/**
 * The bits of a BPF instruction (RFC 9669, section 3). One basic instruction is one slot of 8 bytes:
 *
 *      0               8       12      16                              32
 *     +---------------+-------+-------+-------------------------------+
 *     |    opcode     |  dst  |  src  |            offset             |   the two register fields are four bits each;
 *     +---------------+-------+-------+-------------------------------+   dst is the low nibble of the byte on a
 *     |                              imm                              |   little-endian machine, the high one on a
 *     +---------------------------------------------------------------+   big-endian machine
 *
 * A wide instruction (`dst = value ll` and its relatives) has a second slot that is zero but for its imm, `next_imm`.
 *
 * The three low bits of the opcode are the class, and the class says what the other five are:
 *
 *      7   6   5   4   3   2   1   0           7   6   5   4   3   2   1   0
 *     +---------------+---+-----------+       +-----------+-------+-----------+
 *     |     code      | s |   class   |       |   mode    | size  |   class   |
 *     +---------------+---+-----------+       +-----------+-------+-----------+
 *      ALU, ALU64, JMP, JMP32                  LD, LDX, ST, STX
 *
 * Names in comments are those of include/uapi/linux/bpf.h and bpf_common.h.
 */

/** Instruction class, bits 0 to 2 (RFC 9669, section 3.3). */
export const Class = {
  ld: 0x00, // BPF_LD
  ldx: 0x01, // BPF_LDX
  st: 0x02, // BPF_ST
  stx: 0x03, // BPF_STX
  alu32: 0x04, // BPF_ALU
  jump: 0x05, // BPF_JMP
  jump32: 0x06, // BPF_JMP32
  alu64: 0x07, // BPF_ALU64
} as const;

/** Where the second operand of arithmetic and jumps comes from, bit 3. */
export const Source = {
  imm: 0x00, // BPF_K
  reg: 0x08, // BPF_X
} as const;

/** Operation of the classes ALU and ALU64, bits 4 to 7 (RFC 9669, section 4.1). */
export const AluOp = {
  add: 0x00, // BPF_ADD
  sub: 0x10, // BPF_SUB
  mul: 0x20, // BPF_MUL
  div: 0x30, // BPF_DIV; with offset 1: signed
  or: 0x40, // BPF_OR
  and: 0x50, // BPF_AND
  lsh: 0x60, // BPF_LSH
  rsh: 0x70, // BPF_RSH
  neg: 0x80, // BPF_NEG
  mod: 0x90, // BPF_MOD; with offset 1: signed
  xor: 0xa0, // BPF_XOR
  mov: 0xb0, // BPF_MOV; with offset 8, 16 or 32: sign extending
  arsh: 0xc0, // BPF_ARSH
  end: 0xd0, // BPF_END
} as const;

/** The source bit of BPF_END chooses a byte order instead (RFC 9669, section 4.2). */
export const SwapOrder = {
  toLittle: 0x00, // BPF_TO_LE; in class ALU64: swap always
  toBig: 0x08, // BPF_TO_BE
} as const;

/** Operation of the classes JMP and JMP32, bits 4 to 7 (RFC 9669, section 4.3). */
export const JumpOp = {
  always: 0x00, // BPF_JA; in class JMP32 the distance is in imm
  eq: 0x10, // BPF_JEQ
  gt: 0x20, // BPF_JGT
  ge: 0x30, // BPF_JGE
  set: 0x40, // BPF_JSET
  ne: 0x50, // BPF_JNE
  sgt: 0x60, // BPF_JSGT
  sge: 0x70, // BPF_JSGE
  call: 0x80, // BPF_CALL
  exit: 0x90, // BPF_EXIT
  lt: 0xa0, // BPF_JLT
  le: 0xb0, // BPF_JLE
  slt: 0xc0, // BPF_JSLT
  sle: 0xd0, // BPF_JSLE
} as const;

/** Width of a memory access, bits 3 and 4 (RFC 9669, section 5). */
export const Size = {
  word: 0x00, // BPF_W, 4 bytes
  half: 0x08, // BPF_H, 2 bytes
  byte: 0x10, // BPF_B
  double: 0x18, // BPF_DW, 8 bytes
} as const;

/** Kind of a memory access, bits 5 to 7 (RFC 9669, section 5). */
export const Mode = {
  imm: 0x00, // BPF_IMM
  abs: 0x20, // BPF_ABS
  ind: 0x40, // BPF_IND
  mem: 0x60, // BPF_MEM
  memsx: 0x80, // BPF_MEMSX
  atomic: 0xc0, // BPF_ATOMIC
} as const;

/** What an atomic instruction does, in its imm (RFC 9669, section 5.3). */
export const AtomicOp = {
  add: 0x00, // BPF_ADD
  or: 0x40, // BPF_OR
  and: 0x50, // BPF_AND
  xor: 0xa0, // BPF_XOR
  fetchAdd: 0x01, // BPF_ADD | BPF_FETCH
  fetchOr: 0x41, // BPF_OR | BPF_FETCH
  fetchAnd: 0x51, // BPF_AND | BPF_FETCH
  fetchXor: 0xa1, // BPF_XOR | BPF_FETCH
  xchg: 0xe1, // BPF_XCHG
  cmpxchg: 0xf1, // BPF_CMPXCHG
  loadAcquire: 0x100, // BPF_LOAD_ACQ; later than RFC 9669
  storeRelease: 0x110, // BPF_STORE_REL; later than RFC 9669
} as const;

/** What a wide instruction loads, in its src field (RFC 9669, section 5.4). */
export const WideSource = {
  value: 0, // a plain 64-bit number
  mapFd: 1, // BPF_PSEUDO_MAP_FD
  mapValue: 2, // BPF_PSEUDO_MAP_VALUE
  variable: 3, // BPF_PSEUDO_BTF_ID
  code: 4, // BPF_PSEUDO_FUNC
  mapIndex: 5, // BPF_PSEUDO_MAP_IDX
  mapValueIndex: 6, // BPF_PSEUDO_MAP_IDX_VALUE
} as const;

/** What a call calls, in its src field (RFC 9669, section 4.3). */
export const CallKind = {
  helper: 0,
  local: 1, // BPF_PSEUDO_CALL
  kfunc: 2, // BPF_PSEUDO_KFUNC_CALL
} as const;

/** Bytes of one slot, `sizeof(struct bpf_insn)`. */
export const SLOT_SIZE = 8;

/** The one opcode that takes two slots: `BPF_LD | BPF_IMM | BPF_DW`. */
export const WIDE_OPCODE: number = Class.ld | Mode.imm | Size.double;

export function classOf(opcode: number): number {
  return opcode & 0x07;
}

/** The operation of arithmetic and jumps: bits 4 to 7. */
export function operationOf(opcode: number): number {
  return opcode & 0xf0;
}

/** `Source.imm` or `Source.reg`, for arithmetic and jumps. */
export function sourceOf(opcode: number): number {
  return opcode & 0x08;
}

/** The width of loads and stores: bits 3 and 4. */
export function sizeOf(opcode: number): number {
  return opcode & 0x18;
}

/** The mode of loads and stores: bits 5 to 7. */
export function modeOf(opcode: number): number {
  return opcode & 0xe0;
}
