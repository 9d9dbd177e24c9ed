import { closeSync, openSync } from 'node:fs';
import type { Native, Word } from '../../src/sys/ffi.ts';
import type { SyscallName } from '../../src/sys/syscall.ts';

/** The numbers of both architectures, written down once more: include/uapi/asm-generic/unistd.h and syscall_64.tbl. */
const numbers: Readonly<Record<string, readonly [x64: number, arm64: number]>> = {
  ioctl: [16, 29],
  mmap: [9, 222],
  munmap: [11, 215],
  fcntl: [72, 25],
  clock_gettime: [228, 113],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  epoll_pwait: [281, 22],
  perf_event_open: [298, 241],
  prlimit64: [302, 261],
  bpf: [321, 280],
  membarrier: [324, 283],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
} satisfies Partial<Record<SyscallName, readonly [number, number]>>;

const nameOf = new Map(
  Object.entries(numbers).map(([name, [x64, arm64]]) => [process.arch === 'x64' ? x64 : arm64, name]),
);

/** A system call as it reached the kernel's door. */
export interface Call {
  readonly name: string;
  readonly args: readonly bigint[];
}

/** Answers a call: the result, or a negative errno. */
export type Answer = (call: Call, kernel: FakeNative) => number | bigint;

/** Stands where the kernel would be: records every call, and knows the memory that addresses point at. */
export class FakeNative implements Native {
  readonly calls: Call[] = [];
  /** What `view` gives out, by address. */
  readonly memory: Map<bigint, ArrayBuffer> = new Map();
  readonly watched: { fd: number; onReadable: () => void; closed: boolean }[] = [];
  readonly #answer: Answer;
  readonly #buffers: { start: bigint; bytes: Uint8Array }[] = [];
  #next = 0x7f00_0000_0000n;
  #errno = 0;

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  // Functions, not methods: callers take them off the object.
  readonly syscall = (number: number, ...words: Word[]): number | bigint => {
    const name = nameOf.get(number);
    if (name === undefined) throw new Error(`system call ${number} is not expected here`);
    const call = { name, args: words.map((word) => BigInt.asUintN(64, BigInt(word))) };
    this.calls.push(call);
    const result = this.#answer(call, this);
    if (result >= 0) return result;
    this.#errno = -Number(result);
    return -1;
  };

  readonly errno = (): number => this.#errno;

  readonly address = (buffer: ArrayBufferView): bigint => {
    const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const start = this.#next;
    this.#buffers.push({ start, bytes });
    // A gap after each buffer, so that an address one past the end is nobody's.
    this.#next += BigInt(Math.ceil((bytes.length + 1) / 4096) * 4096);
    return start;
  };

  view(address: bigint, length: number): ArrayBuffer {
    const memory = this.memory.get(address);
    if (memory === undefined || memory.byteLength !== length) throw new Error(`nothing is mapped at ${address}`);
    return memory;
  }

  watchReadable(fd: number, onReadable: () => void): { close(): void } {
    const watch = { fd, onReadable, closed: false };
    this.watched.push(watch);
    return {
      close: () => {
        watch.closed = true;
      },
    };
  }

  /** The memory behind an address that was given out, from there to its buffer's end. */
  at(address: bigint, length?: number): Buffer {
    const found = this.#buffers.find(
      ({ start, bytes }) => address >= start && address < start + BigInt(Math.max(bytes.length, 1)),
    );
    if (found === undefined) throw new Error(`0x${address.toString(16)} points at no buffer of ours`);
    const from = Number(address - found.start);
    const size = length ?? found.bytes.length - from;
    if (from + size > found.bytes.length) throw new Error(`${size} bytes reach past a buffer of ${found.bytes.length}`);
    return Buffer.from(found.bytes.buffer, found.bytes.byteOffset + from, size);
  }

  /** The text behind an address, which must end with NUL. */
  text(address: bigint): string {
    const bytes = this.at(address);
    const end = bytes.indexOf(0);
    if (end < 0) throw new Error('a string without its NUL');
    return bytes.toString('latin1', 0, end);
  }
}

/** A descriptor that is open, for answers that have to be one: the owner will close it. */
export function realFd(): number {
  return openSync('/dev/null', 'r');
}

/** Whether `fd` is open. Closes it, so ask once. */
export function closesFine(fd: number): boolean {
  try {
    closeSync(fd);
    return true;
  } catch {
    return false;
  }
}
