import { closeSync, constants, openSync } from 'node:fs';
import {
  alu64,
  atomic64,
  type Code,
  call,
  comment,
  exit,
  fp,
  jump,
  label,
  mapFd,
  mov,
  r0,
  r1,
  r2,
  store,
} from '../../asm/index.ts';
import { type MapSpec, u32Key } from '../bpf/map.ts';
import { loadProgram, type Program } from '../bpf/program.ts';
import { BPF_F_TEST_XDP_LIVE_FRAMES, progTestRun } from '../sys/bpf.ts';
import { NotSupportedError, SyscallError } from '../sys/errors.ts';
import { Fd } from '../sys/fd.ts';
import { makeTap } from '../sys/net.ts';
import { errno, syscall, trySyscall } from '../sys/syscall.ts';

export const TUN = '/dev/net/tun';

/** Bytes of the longest frame an interface of ours may send. */
const FRAME_LIMIT = 65_536;

/**
 * A network card with this process for a cable: what is written comes in, what the kernel sends can be read. Requires
 * CONFIG_TUN and CAP_NET_ADMIN.
 */
export class Tap {
  readonly name: string;
  readonly fd: Fd;
  readonly #into: Buffer = Buffer.alloc(FRAME_LIMIT);

  /** @throws NotSupportedError where the kernel or the container has no /dev/net/tun */
  constructor(name: string) {
    let fd: number;
    try {
      fd = openSync(TUN, constants.O_RDWR | constants.O_NONBLOCK);
    } catch (cause) {
      const hint = 'In a container, give it the device: --device /dev/net/tun';
      throw new NotSupportedError(`usable ${TUN}`, { hint, cause });
    }
    this.name = name;
    this.fd = new Fd(fd, `TAP interface ${name}`);
    try {
      makeTap(this.fd, name);
    } catch (error) {
      this.fd.close();
      throw error;
    }
  }

  /** The frame comes in at the interface; all that the kernel does with it is done on return. */
  send(frame: Uint8Array): void {
    syscall('write', [this.fd.fd, frame, frame.length], `write(${this.name})`);
  }

  /** As `send`, for frames that the interface refuses: returns the negative errno, 0 where it took the frame. */
  trySend(frame: Uint8Array): number {
    return Math.min(trySyscall('write', [this.fd.fd, frame, frame.length]), 0);
  }

  /** Hands over a frame that starts at an address of our choice; for addresses where there is nothing. */
  sendFrom(address: bigint, length: number): number {
    return Math.min(trySyscall('write', [this.fd.fd, address, length]), 0);
  }

  /** The next frame that the kernel has sent, as a copy; undefined where none waits. */
  receive(): Buffer | undefined {
    const length = this.#read();
    return length < 0 ? undefined : Buffer.from(this.#into.subarray(0, length));
  }

  /** Takes all frames that the kernel has sent, and throws them away: what is left at the end counts as dropped. */
  drain(): void {
    while (this.#read() >= 0);
  }

  #read(): number {
    const length = trySyscall('read', [this.fd.fd, this.#into, this.#into.length]);
    if (length < 0 && length !== -errno.EAGAIN) throw new SyscallError(`read(${this.name})`, -length);
    return length;
  }

  close(): void {
    this.fd.close();
  }
}

/** Frames that the kernel makes and lets in per call: a batch fills one run of the receive loop (NAPI_POLL_WEIGHT). */
const BATCH = 64;

/** How many frames the program has passed on: the kernel does not say when a signal interrupts it. */
const passed: MapSpec = { name: 'passed', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 1 };

const BPF_MAP_LOOKUP_ELEM = 1;
/** enum xdp_action, include/uapi/linux/bpf.h. */
const XDP_PASS = 2;

/** Counts the frame, and lets the stack have it. */
const passAll: Code = [
  store.u32(fp, -4, 0),
  mapFd(r1, { name: passed.name }),
  mov(r2, fp),
  alu64.add(r2, -4),
  comment('r0 = the counter', call(BPF_MAP_LOOKUP_ELEM, 'bpf_map_lookup_elem')),
  jump.eq(r0, 0, 'pass'),
  mov(r1, 1),
  atomic64.add(r0, 0, r1),
  label('pass'),
  mov(r0, XDP_PASS),
  exit(),
];

/**
 * Lets the kernel itself make copies of a frame and take them in, as fast as it can: BPF_PROG_TEST_RUN of an XDP
 * program that passes everything on, with live frames. Requires Linux 5.18, CAP_BPF and CAP_NET_ADMIN.
 *
 * The copies share pages that the stack may have changed before (v6.12 net/bpf/test_run.c, xdp_test_run_batch()),
 * so this is for frames that are dropped before anything is written to them: not for forwarding.
 */
export class Flood {
  readonly #program: Program;
  readonly #context: Buffer;

  private constructor(program: Program, ifindex: number) {
    this.#program = program;
    this.#context = Buffer.alloc(24);
    this.#frameLength(0);
    this.#context.writeUInt32LE(ifindex, 12);
  }

  /** undefined where this kernel cannot. */
  static open(ifindex: number, probe: Uint8Array): Flood | undefined {
    const program = loadProgram({ name: 'demo', type: 'XDP', maps: [passed], code: passAll });
    const flood = new Flood(program, ifindex);
    try {
      flood.inject(probe, 1);
      return flood;
    } catch (error) {
      flood.close();
      if (error instanceof SyscallError && error.errno === errno.EINVAL) return undefined;
      throw error;
    }
  }

  /** struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. */
  #frameLength(length: number): void {
    this.#context.writeUInt32LE(length, 4);
  }

  get #passed(): number {
    return Number(this.#program.map(passed.name).lookup(u32Key(0))?.readBigUInt64LE() ?? 0);
  }

  /** Up to `count` copies come in; a signal ends it early. @returns how many did */
  inject(frame: Uint8Array, count: number): number {
    this.#frameLength(frame.length);
    const before = this.#passed;
    try {
      progTestRun(this.#program.fd, {
        data: frame,
        context: this.#context,
        repeat: count,
        flags: BPF_F_TEST_XDP_LIVE_FRAMES,
        batchSize: Math.min(count, BATCH),
      });
      return count;
    } catch (error) {
      if (error instanceof SyscallError && error.errno === errno.EINTR) return this.#passed - before;
      throw error;
    }
  }

  close(): void {
    this.#program.close();
  }
}

/** The network namespace that the calling thread is in, held open to come back to. */
export function currentNetwork(): Fd {
  const fd = openSync('/proc/thread-self/ns/net', constants.O_RDONLY);
  try {
    return new Fd(fd, 'network namespace');
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
