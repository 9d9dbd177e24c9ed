import { closeSync } from 'node:fs';
import {
  AtomicOp,
  Class,
  classOf,
  decode,
  type Instruction,
  JumpOp,
  Mode,
  modeOf,
  operationOf,
} from '../../asm/index.ts';
import { possibleCpus } from '../../src/sys/cpus.ts';
import { errno } from '../../src/sys/syscall.ts';
import { FakeNative, realFd } from './fake-native.ts';
import { Cpu, type Memory } from './interpret.ts';

const type = { HASH: 1, ARRAY: 2, PERCPU_HASH: 5, PERCPU_ARRAY: 6, STACK_TRACE: 7, QUEUE: 22, RINGBUF: 27 } as const;

/** A map as the kernel keeps it: for each key a value, or one for each CPU. */
class FakeMap {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly name: string;
  /** By key in hexadecimal; one value a CPU, or one in all. */
  readonly values: Map<string, Memory[]> = new Map();
  /** Records of a ring buffer, values of a queue. */
  readonly records: Buffer[] = [];
  readonly #start: bigint;
  #used = 0n;

  constructor(attr: Buffer, start: bigint) {
    this.type = attr.readUInt32LE(0);
    this.keySize = attr.readUInt32LE(4);
    this.valueSize = attr.readUInt32LE(8);
    this.maxEntries = attr.readUInt32LE(12);
    this.name = attr.toString('latin1', 28, 44).replace(/\0.*$/s, '');
    this.#start = start;
    if (this.type !== type.ARRAY && this.type !== type.PERCPU_ARRAY) return;
    for (let i = 0; i < this.maxEntries; i++) this.add(Buffer.from(Uint32Array.of(i).buffer));
  }

  get perCpu(): boolean {
    return this.type === type.PERCPU_ARRAY || this.type === type.PERCPU_HASH;
  }

  add(key: Buffer): Memory[] {
    const values = Array.from({ length: this.perCpu ? possibleCpus() : 1 }, () => {
      const memory = { start: this.#start + this.#used, bytes: Buffer.alloc(Math.ceil(this.valueSize / 8) * 8) };
      this.#used += BigInt(memory.bytes.length + 4096);
      return memory;
    });
    this.values.set(key.toString('hex'), values);
    return values;
  }

  /** What a system call reads: all CPUs' values, one after the other. */
  copyOut(key: string): Buffer | undefined {
    const values = this.values.get(key);
    return values && Buffer.concat(values.map(({ bytes }) => bytes));
  }
}

/** A kernel that has maps and programs, and runs the programs when told to. */
export class FakeKernel extends FakeNative {
  readonly maps: Map<number, FakeMap> = new Map();
  readonly programs: Map<number, Uint8Array> = new Map();
  /** Maps so far, the closed ones too, whose descriptors come again: each has memory of its own. */
  #made = 0;
  /** What the next call of a bpf command is refused with, once. */
  readonly refuse: Map<number, number> = new Map();
  /** Whether maps can be read in batches. */
  batches = true;
  /** Entries that a batch call brings at most. */
  batchSize: number = Number.POSITIVE_INFINITY;
  /** CLOCK_MONOTONIC. */
  time = 0n;
  /** The answer of bpf_get_stackid(), or of the first and the second call. */
  stackIds: readonly number[] = [0];
  /** Arguments of the tracepoint: 2 before Linux 5.17. */
  arguments = 4;
  /** Whether there are atomic instructions that fetch: since Linux 5.12. */
  fetches = true;
  /** Whether programs may read memory: not under lockdown=confidentiality. */
  reads = true;
  /** Room for records in each ring buffer. */
  ringRoom: number = Number.POSITIVE_INFINITY;

  constructor() {
    super((call) => {
      if (call.name === 'perf_event_open') return realFd();
      if (call.name !== 'bpf') return 0;
      const command = Number(call.args[0]);
      const refusal = this.refuse.get(command);
      this.refuse.delete(command);
      return refusal === undefined ? this.#bpf(command, this.at(call.args[1]!, 168)) : -refusal;
    });
  }

  map(name: string): FakeMap {
    const found = [...this.maps.values()].find((map) => map.name === name);
    if (found === undefined) throw new Error(`there is no map ${name}`);
    return found;
  }

  #bpf(command: number, attr: Buffer): number {
    switch (command) {
      case 0: {
        const fd = realFd();
        this.maps.set(fd, new FakeMap(attr, 0xffff_9000_0000_0000n + BigInt(this.#made++) * 0x1_0000_0000n));
        return fd;
      }
      case 1:
        return this.#lookup(attr);
      case 4:
        return this.#nextKey(attr);
      case 5: {
        const code = Buffer.from(this.at(attr.readBigUInt64LE(8), attr.readUInt32LE(4) * 8));
        const objection = this.#objection(decode(code, 'little'));
        if (objection !== undefined) {
          const logSize = attr.readUInt32LE(28);
          if (logSize > 0) this.at(attr.readBigUInt64LE(32), logSize).write(`${objection}\n`);
          return -errno.EINVAL;
        }
        const fd = realFd();
        this.programs.set(fd, code);
        return fd;
      }
      case 15:
        // Of bpf_prog_info everything is zero: nothing was missed.
        return 0;
      case 17:
        return this.#argumentsRead(attr.readUInt32LE(8)) > this.arguments ? -errno.EINVAL : realFd();
      case 24:
        return this.batches ? this.#batch(attr) : -errno.EINVAL;
      default:
        return -errno.EINVAL;
    }
  }

  /** What the verifier of an older or locked-down kernel says (v5.10 kernel/bpf/verifier.c). */
  #objection(code: readonly Instruction[]): string | undefined {
    const isStore = ({ opcode }: Instruction): boolean =>
      classOf(opcode) === Class.stx && modeOf(opcode) === Mode.atomic;
    if (!this.fetches && code.some((insn) => isStore(insn) && insn.imm !== AtomicOp.add)) {
      return 'BPF_STX uses reserved fields';
    }
    const isCall = ({ opcode }: Instruction): boolean =>
      classOf(opcode) === Class.jump && operationOf(opcode) === JumpOp.call;
    if (!this.reads && code.some((insn) => isCall(insn) && insn.imm === 113)) {
      return 'unknown func bpf_probe_read_kernel#113';
    }
    return undefined;
  }

  /** How many arguments a program reads: what it loads from its context, r6, before the first call. */
  #argumentsRead(program: number): number {
    const code = decode(this.programs.get(program)!, 'little');
    const end = code.findIndex(({ opcode }) => classOf(opcode) === Class.jump && operationOf(opcode) === JumpOp.call);
    const loads = code.slice(0, end).filter(({ opcode, src }) => classOf(opcode) === Class.ldx && src === 6);
    return Math.max(0, ...loads.map(({ off }) => off / 8 + 1));
  }

  #lookup(attr: Buffer): number {
    const map = this.maps.get(attr.readUInt32LE(0))!;
    const value = map.copyOut(this.at(attr.readBigUInt64LE(8), map.keySize).toString('hex'));
    if (value === undefined) return -errno.ENOENT;
    this.at(attr.readBigUInt64LE(16), value.length).set(value);
    return 0;
  }

  #nextKey(attr: Buffer): number {
    const map = this.maps.get(attr.readUInt32LE(0))!;
    const keys = [...map.values.keys()];
    const pointer = attr.readBigUInt64LE(8);
    const before = pointer === 0n ? -1 : keys.indexOf(this.at(pointer, map.keySize).toString('hex'));
    const next = keys[before + 1];
    if (next === undefined) return -errno.ENOENT;
    this.at(attr.readBigUInt64LE(16), map.keySize).set(Buffer.from(next, 'hex'));
    return 0;
  }

  #batch(attr: Buffer): number {
    const map = this.maps.get(attr.readUInt32LE(36))!;
    const from = attr.readBigUInt64LE(0) === 0n ? 0 : this.at(attr.readBigUInt64LE(0), 4).readUInt32LE();
    const keys = [...map.values.keys()];
    const wanted = Math.min(attr.readUInt32LE(32), this.batchSize);
    const page = keys.slice(from, from + wanted);
    page.forEach((key, i) => {
      const value = map.copyOut(key)!;
      this.at(attr.readBigUInt64LE(16) + BigInt(i * map.keySize), map.keySize).set(Buffer.from(key, 'hex'));
      this.at(attr.readBigUInt64LE(24) + BigInt(i * value.length), value.length).set(value);
    });
    attr.writeUInt32LE(page.length, 32);
    this.at(attr.readBigUInt64LE(8), 4).writeUInt32LE(from + page.length);
    return from + page.length >= keys.length ? -errno.ENOENT : 0;
  }

  /** Runs a loaded program on a CPU. */
  run(program: number, context: Buffer, memory: readonly Memory[] = [], cpuNumber = 0): bigint {
    let stacks = 0;
    const ofHandle = (address: bigint): FakeMap => this.maps.get(Number(address & 0xffffn))!;
    const key = (cpu: Cpu, map: FakeMap, address: bigint): string => cpu.read(address, map.keySize).toString('hex');
    const cpu = new Cpu({
      code: this.programs.get(program)!,
      context,
      memory,
      unmapped: 'zero',
      mapFd: (fd) => {
        if (!this.maps.has(fd)) throw new Error(`the program names descriptor ${fd}, which is no map`);
        return 0xffff_8a00_0000_0000n | BigInt(fd);
      },
      helpers: {
        1: (cpu, [handle, at]) => {
          const map = ofHandle(handle!);
          const values = map.values.get(key(cpu, map, at!));
          if (values === undefined) return 0;
          const memory = values[map.perCpu ? cpuNumber : 0]!;
          cpu.map(memory);
          return memory.start;
        },
        2: (cpu, [handle, at, from, flags]) => {
          const map = ofHandle(handle!);
          const wanted = key(cpu, map, at!);
          const value = cpu.read(from!, map.valueSize);
          const BPF_NOEXIST = 1n;
          if (flags === BPF_NOEXIST && map.values.has(wanted)) return -errno.EEXIST;
          if (!map.values.has(wanted) && map.values.size >= map.maxEntries) return -errno.E2BIG;
          const values = map.values.get(wanted) ?? map.add(Buffer.from(wanted, 'hex'));
          values[map.perCpu ? cpuNumber : 0]!.bytes.set(value);
          return 0;
        },
        5: () => this.time,
        27: () => this.stackIds[Math.min(stacks++, this.stackIds.length - 1)]!,
        87: (_cpu, [handle]) => {
          const map = ofHandle(handle!);
          if (map.type !== type.QUEUE) throw new Error('bpf_map_push_elem() on what is no queue');
          if (map.records.length >= map.maxEntries) return -errno.E2BIG;
          map.records.push(Buffer.alloc(map.valueSize));
          return 0;
        },
        113: (cpu, [to, size, from]) => {
          const length = Number(size);
          const bytes = cpu.probe(from!, length);
          cpu.write(to!, bytes ?? Buffer.alloc(length));
          return bytes === undefined ? -errno.EFAULT : 0;
        },
        130: (cpu, [handle, from, size, flags]) => {
          const map = ofHandle(handle!);
          if (flags !== 0n) throw new Error('flags of bpf_ringbuf_output()');
          if (map.records.length >= this.ringRoom) return -errno.EAGAIN;
          map.records.push(Buffer.from(cpu.read(from!, Number(size))));
          return 0;
        },
      },
    });
    return cpu.run();
  }

  /** Closes what nobody else has closed. */
  forget(): void {
    for (const fd of [...this.maps.keys(), ...this.programs.keys()]) {
      try {
        closeSync(fd);
      } catch {
        // its owner has
      }
    }
  }
}
