import {
  AluOp,
  AtomicOp,
  Class,
  classOf,
  decode,
  type Instruction,
  JumpOp,
  Mode,
  modeOf,
  operationOf,
  Size,
  Source,
  sizeOf,
  slotsOf,
  sourceOf,
  WideSource,
} from '../../asm/index.ts';

/**
 * Runs BPF, slowly and strictly: reading a register or a byte of the stack that nothing has written is an error, as
 * is leaving a piece of memory. What the verifier checks for all paths is checked here for the one that is taken.
 */
export interface Memory {
  readonly start: bigint;
  readonly bytes: Buffer;
}

export interface Machine {
  /** Instructions as they are loaded, little-endian. */
  readonly code: Uint8Array;
  /** What r1 points at. */
  readonly context: Buffer;
  /** Other memory that programs may read: kernel objects at their addresses. */
  readonly memory?: readonly Memory[];
  /** Whether loads from anywhere else give zero, as loads through BTF pointers do, or end the run. */
  readonly unmapped: 'zero' | 'fault';
  /** bpf_xxx() by number: arguments r1-r5 in, r0 out. */
  readonly helpers: Readonly<Record<number, (cpu: Cpu, args: readonly bigint[]) => bigint | number>>;
  /** What the address of map `fd` is for helpers. */
  readonly mapFd?: (fd: number) => bigint;
}

export class BpfFault extends Error {
  override readonly name = 'BpfFault';
}

const STACK = { start: 0xffff_c900_0000_0000n, size: 512 };
const CONTEXT = 0xffff_c900_1000_0000n;
const U64 = (1n << 64n) - 1n;
const SIZES: Readonly<Record<number, number>> = { [Size.byte]: 1, [Size.half]: 2, [Size.word]: 4, [Size.double]: 8 };

export class Cpu {
  readonly #machine: Machine;
  readonly #stack = Buffer.alloc(STACK.size);
  readonly #written = new Uint8Array(STACK.size);
  readonly #regions: Memory[];
  readonly #registers: (bigint | undefined)[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#regions = [{ start: CONTEXT, bytes: machine.context }, ...(machine.memory ?? [])];
  }

  /** Runs to the exit and gives r0. */
  run(): bigint {
    const slots: (Instruction | undefined)[] = [];
    for (const insn of decode(this.#machine.code, 'little')) slots.push(insn, ...new Array(slotsOf(insn) - 1));
    this.#registers.fill(undefined);
    this.#registers[1] = CONTEXT;
    this.#registers[10] = STACK.start + BigInt(STACK.size);
    for (let at = 0, steps = 0; ; steps++) {
      const insn = slots[at];
      if (insn === undefined) throw new BpfFault(`slot ${at} holds no instruction`);
      if (steps > 100_000) throw new BpfFault('it does not end');
      const next = this.#step(insn, at);
      if (next === undefined) return this.#get(0);
      at = next;
    }
  }

  /** Adds memory that the program may use from now on. */
  map(region: Memory): void {
    if (!this.#regions.includes(region)) this.#regions.push(region);
  }

  /** Bytes for a helper; of the stack only what has been written. */
  read(address: bigint, length: number): Buffer {
    const found = this.#find(address, length, true);
    if (found === undefined) throw new BpfFault(`a helper reads ${length} bytes at 0x${address.toString(16)}`);
    return found;
  }

  /** Memory of the kernel's, as bpf_probe_read_kernel() sees it. */
  probe(address: bigint, length: number): Buffer | undefined {
    return this.#find(address, length, false);
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#target(address, bytes.length).set(bytes);
  }

  #target(address: bigint, length: number): Buffer {
    const offset = this.#onStack(address, length);
    if (offset !== undefined) {
      this.#written.fill(1, offset, offset + length);
      return this.#stack.subarray(offset, offset + length);
    }
    const found = this.#find(address, length, false);
    if (found === undefined) throw new BpfFault(`a write of ${length} bytes at 0x${address.toString(16)}`);
    return found;
  }

  #onStack(address: bigint, length: number): number | undefined {
    const offset = Number(address - STACK.start);
    return offset >= 0 && offset + length <= STACK.size ? offset : undefined;
  }

  #find(address: bigint, length: number, strict: boolean): Buffer | undefined {
    const offset = this.#onStack(address, length);
    if (offset !== undefined) {
      if (strict && this.#written.subarray(offset, offset + length).includes(0)) {
        throw new BpfFault(`fp${offset - STACK.size} is read before it is written`);
      }
      return this.#stack.subarray(offset, offset + length);
    }
    for (const { start, bytes } of this.#regions) {
      const at = address - start;
      if (at >= 0n && at + BigInt(length) <= BigInt(bytes.length)) {
        return bytes.subarray(Number(at), Number(at) + length);
      }
    }
    return undefined;
  }

  #get(index: number): bigint {
    const value = this.#registers[index];
    if (value === undefined) throw new BpfFault(`r${index} is read before it is written`);
    return value;
  }

  #set(index: number, value: bigint): void {
    if (index === 10) throw new BpfFault('r10 is read-only');
    this.#registers[index] = value & U64;
  }

  /** The slot to go on at, or undefined at the exit. */
  #step(insn: Instruction, at: number): number | undefined {
    const next = at + slotsOf(insn);
    const { opcode, dst, src, off, imm } = insn;
    switch (classOf(opcode)) {
      case Class.alu64:
      case Class.alu32:
        this.#arithmetic(insn);
        return next;
      case Class.ld: {
        if (src === WideSource.value) {
          this.#set(dst, (BigInt.asUintN(32, BigInt(insn.nextImm!)) << 32n) | BigInt.asUintN(32, BigInt(imm)));
        } else if (src === WideSource.mapFd && this.#machine.mapFd !== undefined) {
          this.#set(dst, this.#machine.mapFd(imm));
        } else throw new BpfFault(`a wide load of kind ${src}`);
        return next;
      }
      case Class.ldx:
        this.#set(dst, this.#load(this.#get(src) + BigInt(off), SIZES[sizeOf(opcode)]!));
        return next;
      case Class.st:
        this.#store(this.#get(dst) + BigInt(off), SIZES[sizeOf(opcode)]!, BigInt(imm));
        return next;
      case Class.stx:
        if (modeOf(opcode) === Mode.atomic) this.#atomic(insn);
        else this.#store(this.#get(dst) + BigInt(off), SIZES[sizeOf(opcode)]!, this.#get(src));
        return next;
      case Class.jump:
      case Class.jump32:
        return this.#jump(insn, next);
      default:
        throw new BpfFault(`class of opcode ${opcode}`);
    }
  }

  #load(address: bigint, size: number): bigint {
    const bytes = this.#find(address & U64, size, true);
    if (bytes === undefined) {
      if (this.#machine.unmapped === 'zero') return 0n;
      throw new BpfFault(`a load of ${size} bytes at 0x${address.toString(16)}`);
    }
    return size === 8 ? bytes.readBigUInt64LE() : BigInt(bytes.readUIntLE(0, size));
  }

  #store(address: bigint, size: number, value: bigint): void {
    if (this.#onStack(address, size) !== undefined && Number(address) % size !== 0) {
      throw new BpfFault(`a store of ${size} bytes across the stack's slots`);
    }
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
    this.#target(address & U64, size).set(bytes.subarray(0, size));
  }

  #atomic({ opcode, dst, src, off, imm }: Instruction): void {
    const size = SIZES[sizeOf(opcode)]!;
    const address = this.#get(dst) + BigInt(off);
    const before = this.#load(address, size);
    if (imm !== AtomicOp.add && imm !== AtomicOp.fetchAdd) throw new BpfFault(`atomic operation ${imm}`);
    this.#store(address, size, before + this.#get(src));
    if (imm === AtomicOp.fetchAdd) this.#set(src, before);
  }

  #arithmetic({ opcode, dst, src, off, imm }: Instruction): void {
    const bits = classOf(opcode) === Class.alu64 ? 64 : 32;
    const cut = (value: bigint): bigint => BigInt.asUintN(bits, value);
    const operation = operationOf(opcode);
    const right = cut(sourceOf(opcode) === Source.reg ? this.#get(src) : BigInt(imm));
    if (off !== 0) throw new BpfFault('signed arithmetic');
    if (operation === AluOp.mov) {
      this.#set(dst, right);
      return;
    }
    const left = cut(this.#get(dst));
    const shift = right & BigInt(bits - 1);
    const result: Readonly<Record<number, () => bigint>> = {
      [AluOp.add]: () => left + right,
      [AluOp.sub]: () => left - right,
      [AluOp.mul]: () => left * right,
      [AluOp.or]: () => left | right,
      [AluOp.and]: () => left & right,
      [AluOp.xor]: () => left ^ right,
      [AluOp.lsh]: () => left << shift,
      [AluOp.rsh]: () => left >> shift,
      [AluOp.arsh]: () => BigInt.asIntN(bits, left) >> shift,
      [AluOp.neg]: () => -left,
    };
    const compute = result[operation];
    if (compute === undefined) throw new BpfFault(`arithmetic of opcode ${opcode}`);
    this.#set(dst, cut(compute()));
  }

  #jump({ opcode, dst, src, off, imm }: Instruction, next: number): number | undefined {
    const operation = operationOf(opcode);
    if (operation === JumpOp.exit) return undefined;
    if (operation === JumpOp.call) {
      this.#call(imm);
      return next;
    }
    if (operation === JumpOp.always) return next + off;
    const bits = classOf(opcode) === Class.jump ? 64 : 32;
    const left = BigInt.asUintN(bits, this.#get(dst));
    const right = BigInt.asUintN(bits, sourceOf(opcode) === Source.reg ? this.#get(src) : BigInt(imm));
    const [signedLeft, signedRight] = [BigInt.asIntN(bits, left), BigInt.asIntN(bits, right)];
    const taken: Readonly<Record<number, boolean>> = {
      [JumpOp.eq]: left === right,
      [JumpOp.ne]: left !== right,
      [JumpOp.gt]: left > right,
      [JumpOp.ge]: left >= right,
      [JumpOp.lt]: left < right,
      [JumpOp.le]: left <= right,
      [JumpOp.set]: (left & right) !== 0n,
      [JumpOp.sgt]: signedLeft > signedRight,
      [JumpOp.sge]: signedLeft >= signedRight,
      [JumpOp.slt]: signedLeft < signedRight,
      [JumpOp.sle]: signedLeft <= signedRight,
    };
    const jumps = taken[operation];
    if (jumps === undefined) throw new BpfFault(`jump of opcode ${opcode}`);
    return jumps ? next + off : next;
  }

  #call(number: number): void {
    const helper = this.#machine.helpers[number];
    if (helper === undefined) throw new BpfFault(`helper ${number} is not known`);
    // A helper takes what its prototype says; registers that were never written do not matter to it.
    const result = helper(
      this,
      [1, 2, 3, 4, 5].map((index) => this.#registers[index] ?? U64),
    );
    for (let index = 1; index <= 5; index++) this.#registers[index] = undefined;
    this.#set(0, BigInt(result));
  }
}
