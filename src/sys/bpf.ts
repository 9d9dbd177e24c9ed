import type { Values } from './attr.ts';
import {
  BPF_ATTR_SIZE,
  BTF_INFO_SIZE,
  bpfAttr,
  btfInfo,
  type Layout,
  PROG_INFO_SIZE,
  progInfo,
  Struct,
} from './attr.ts';
import { SyscallError } from './errors.ts';
import { Fd } from './fd.ts';
import { errno, trySyscall } from './syscall.ts';

/** enum bpf_cmd, include/uapi/linux/bpf.h. */
const BPF = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  PROG_TEST_RUN: 10,
  OBJ_GET_INFO_BY_FD: 15,
  RAW_TRACEPOINT_OPEN: 17,
  BTF_GET_FD_BY_ID: 19,
  BTF_GET_NEXT_ID: 23,
  MAP_LOOKUP_BATCH: 24,
  LINK_CREATE: 28,
  ENABLE_STATS: 32,
} as const;

/** enum bpf_map_type. */
export const MapType = {
  HASH: 1,
  ARRAY: 2,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  STACK_TRACE: 7,
  QUEUE: 22,
  RINGBUF: 27,
} as const;

/** enum bpf_prog_type. */
export const ProgType = { TRACEPOINT: 5, XDP: 6, RAW_TRACEPOINT: 17, TRACING: 26 } as const;

/** enum bpf_attach_type. */
export const AttachType = { TRACE_RAW_TP: 23, XDP: 37, PERF_EVENT: 41 } as const;

/** Flags of a map update. */
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;

/** BPF_PROG_TEST_RUN flags. */
export const BPF_F_TEST_XDP_LIVE_FRAMES = 2;

const BPF_STATS_RUN_TIME = 0;

function bpf<L extends Layout>(command: keyof typeof BPF, layout: L, values: Values<L>): [number, Struct<L>] {
  const attr = new Struct(layout, BPF_ATTR_SIZE, values);
  return [trySyscall('bpf', [BPF[command], attr.bytes, BPF_ATTR_SIZE]), attr];
}

function check(command: keyof typeof BPF, result: number): number {
  if (result < 0) throw new SyscallError(`bpf(BPF_${command})`, -result);
  return result;
}

export interface MapCreate {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly name: string;
}

/** BPF_MAP_CREATE. Requires Linux 3.18 (names: 4.15). */
export function mapCreate(map: MapCreate): Fd {
  const [result] = bpf('MAP_CREATE', bpfAttr.MAP_CREATE, {
    map_type: map.type,
    key_size: map.keySize,
    value_size: map.valueSize,
    max_entries: map.maxEntries,
    map_name: map.name,
  });
  return new Fd(check('MAP_CREATE', result), `map ${map.name}`);
}

/** BPF_MAP_LOOKUP_ELEM: fills `value`; false where the key is not there. */
export function mapLookup(map: Fd, key: Uint8Array, value: Uint8Array): boolean {
  const [result] = bpf('MAP_LOOKUP_ELEM', bpfAttr.MAP_ELEM, { map_fd: map.fd, key, value });
  if (result === -errno.ENOENT) return false;
  check('MAP_LOOKUP_ELEM', result);
  return true;
}

/** BPF_MAP_UPDATE_ELEM. */
export function mapUpdate(map: Fd, key: Uint8Array, value: Uint8Array, flags: number = BPF_ANY): void {
  const [result] = bpf('MAP_UPDATE_ELEM', bpfAttr.MAP_ELEM, { map_fd: map.fd, key, value, flags });
  check('MAP_UPDATE_ELEM', result);
}

/** BPF_MAP_GET_NEXT_KEY: fills `next` with the key after `key` (the first one for undefined); false at the end. */
export function mapNextKey(map: Fd, key: Uint8Array | undefined, next: Uint8Array): boolean {
  const [result] = bpf('MAP_GET_NEXT_KEY', bpfAttr.MAP_ELEM, { map_fd: map.fd, key: key ?? 0, value: next });
  if (result === -errno.ENOENT) return false;
  check('MAP_GET_NEXT_KEY', result);
  return true;
}

/** What one BPF_MAP_LOOKUP_BATCH brought: `filled` entries, and whether they were the last. */
export interface Batch {
  readonly filled: number;
  readonly last: boolean;
}

/**
 * BPF_MAP_LOOKUP_BATCH: up to `count` entries after the cursor `from` (undefined: from the start) into `keys` and
 * `values`, the next cursor into `next`. Requires Linux 5.6 for hashes.
 *
 * @returns a batch, or the negative errno: -EINVAL and -ENOTSUPP mean that this map has no batch operations,
 *          -ENOSPC that a hash bucket holds more than `count` entries
 */
export function mapLookupBatch(
  map: Fd,
  from: Uint8Array | undefined,
  next: Uint8Array,
  keys: Uint8Array,
  values: Uint8Array,
  count: number,
): Batch | number {
  const [result, attr] = bpf('MAP_LOOKUP_BATCH', bpfAttr.MAP_BATCH, {
    in_batch: from ?? 0,
    out_batch: next,
    keys,
    values,
    count,
    map_fd: map.fd,
  });
  // At the end of the map the call fails with ENOENT, and yet `count` is valid (v6.12 kernel/bpf/hashtab.c).
  if (result === 0 || result === -errno.ENOENT) return { filled: attr.u32('count'), last: result !== 0 };
  return result;
}

export interface ProgLoad {
  readonly type: number;
  readonly name: string;
  readonly insns: Uint8Array;
  readonly expectedAttachType?: number;
  readonly attachBtfId?: number;
  readonly log?: { readonly level: number; readonly buffer: Uint8Array };
}

/** Helpers such as bpf_get_stackid() and bpf_probe_read_kernel() are for GPL-compatible programs only. */
const LICENSE = 'GPL';

/**
 * BPF_PROG_LOAD.
 *
 * @returns the program, or the negative errno
 */
export function progLoad(program: ProgLoad): Fd | number {
  const { log } = program;
  const [result] = bpf('PROG_LOAD', bpfAttr.PROG_LOAD, {
    prog_type: program.type,
    insn_cnt: program.insns.length / 8,
    insns: program.insns,
    license: LICENSE,
    prog_name: program.name,
    expected_attach_type: program.expectedAttachType ?? 0,
    attach_btf_id: program.attachBtfId ?? 0,
    ...(log === undefined ? {} : { log_level: log.level, log_size: log.buffer.length, log_buf: log.buffer }),
  });
  return result < 0 ? result : new Fd(result, `program ${program.name}`);
}

export interface TestRun {
  readonly data?: Uint8Array;
  readonly context?: Uint8Array;
  readonly repeat?: number;
  readonly flags?: number;
  readonly batchSize?: number;
}

/** BPF_PROG_TEST_RUN: runs a program once (or `repeat` times) on data of ours; its return value. */
export function progTestRun(program: Fd, run: TestRun): number {
  const { data, context } = run;
  const [result, attr] = bpf('PROG_TEST_RUN', bpfAttr.TEST_RUN, {
    prog_fd: program.fd,
    ...(data === undefined ? {} : { data_in: data, data_size_in: data.length }),
    ...(context === undefined ? {} : { ctx_in: context, ctx_size_in: context.length }),
    repeat: run.repeat ?? 0,
    flags: run.flags ?? 0,
    batch_size: run.batchSize ?? 0,
  });
  check('PROG_TEST_RUN', result);
  return attr.u32('retval');
}

/** BPF_RAW_TRACEPOINT_OPEN: attaches until the result is closed. `name` is undefined for BTF tracepoints. */
export function rawTracepointOpen(program: Fd, name: string | undefined): Fd {
  const [result] = bpf('RAW_TRACEPOINT_OPEN', bpfAttr.RAW_TRACEPOINT_OPEN, { name: name ?? 0, prog_fd: program.fd });
  return new Fd(check('RAW_TRACEPOINT_OPEN', result), `link ${name ?? program.what}`);
}

/**
 * BPF_LINK_CREATE: binds a program to what `target` is a descriptor of. Requires Linux 5.7; of perf events, 5.15.
 *
 * @returns the link, or the negative errno
 */
export function linkCreate(program: Fd, target: number, attachType: number): Fd | number {
  const [result] = bpf('LINK_CREATE', bpfAttr.LINK_CREATE, {
    prog_fd: program.fd,
    target_fd: target,
    attach_type: attachType,
  });
  return result < 0 ? result : new Fd(result, `link ${program.what}`);
}

/** What the kernel says of a loaded program. Fields an older kernel does not fill are zero; `length` tells. */
export interface ProgramInfo {
  readonly id: number;
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
  /** Runs the kernel skipped because the program was already running on that CPU. Counted since Linux 5.12. */
  readonly recursionMisses: bigint;
  readonly verifiedInsns: number;
  /** Bytes of the program as the kernel rewrote it, and as machine code. */
  readonly xlatedLength: number;
  readonly jitedLength: number;
  /** Bytes of the structure that this kernel filled. */
  readonly length: number;
}

/** BPF_OBJ_GET_INFO_BY_FD of a program. */
export function progInfoByFd(program: Fd): ProgramInfo {
  const info = new Struct(progInfo, PROG_INFO_SIZE);
  const [result, attr] = bpf('OBJ_GET_INFO_BY_FD', bpfAttr.INFO_BY_FD, {
    bpf_fd: program.fd,
    info_len: PROG_INFO_SIZE,
    info: info.bytes,
  });
  check('OBJ_GET_INFO_BY_FD', result);
  return {
    id: info.u32('id'),
    runTimeNs: info.u64('run_time_ns'),
    runCount: info.u64('run_cnt'),
    recursionMisses: info.u64('recursion_misses'),
    verifiedInsns: info.u32('verified_insns'),
    xlatedLength: info.u32('xlated_prog_len'),
    jitedLength: info.u32('jited_prog_len'),
    length: attr.u32('info_len'),
  };
}

/** BPF_ENABLE_STATS: the kernel times every program's runs until the result is closed. Requires Linux 5.8. */
export function enableStats(): Fd {
  const [result] = bpf('ENABLE_STATS', bpfAttr.ENABLE_STATS, { type: BPF_STATS_RUN_TIME });
  return new Fd(check('ENABLE_STATS', result), 'statistics');
}

/** The ids of the BTF objects in the kernel, in order. Requires Linux 5.4 and CAP_SYS_ADMIN. */
export function* btfIds(): Generator<number> {
  let id = 0;
  for (;;) {
    const [result, attr] = bpf('BTF_GET_NEXT_ID', bpfAttr.GET_ID, { id });
    if (result === -errno.ENOENT) return;
    check('BTF_GET_NEXT_ID', result);
    id = attr.u32('next_id');
    yield id;
  }
}

/** A BTF object of the kernel: its name (`vmlinux`, or a module) and its bytes. */
export function btfById(id: number): { readonly name: string; readonly bytes: Uint8Array; readonly ofKernel: boolean } {
  const [result] = bpf('BTF_GET_FD_BY_ID', bpfAttr.GET_ID, { id });
  using fd = new Fd(check('BTF_GET_FD_BY_ID', result), `BTF ${id}`);
  const read = (bytes: Uint8Array | undefined, name: Uint8Array): Struct<typeof btfInfo> => {
    const info = new Struct(btfInfo, BTF_INFO_SIZE, {
      name,
      name_len: name.length,
      ...(bytes === undefined ? {} : { btf: bytes, btf_size: bytes.length }),
    });
    const [outcome] = bpf('OBJ_GET_INFO_BY_FD', bpfAttr.INFO_BY_FD, {
      bpf_fd: fd.fd,
      info_len: BTF_INFO_SIZE,
      info: info.bytes,
    });
    check('OBJ_GET_INFO_BY_FD', outcome);
    return info;
  };
  const name = Buffer.alloc(64);
  const info = read(undefined, name);
  const bytes = Buffer.alloc(info.u32('btf_size'));
  read(bytes, name);
  return {
    name: name.toString('latin1', 0, name.indexOf(0)),
    bytes,
    ofKernel: info.u32('kernel_btf') !== 0,
  };
}
