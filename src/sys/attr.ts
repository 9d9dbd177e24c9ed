import { native } from './ffi.ts';

/**
 * Layouts of the structures that bpf(2) and perf_event_open(2) read, each declared once.
 * Source: include/uapi/linux/bpf.h and perf_event.h, v6.18; a test compares them with the running kernel's BTF.
 *
 * `[offset, size]` in bytes; `size` 'ptr' is a 64-bit field that takes the address of a buffer.
 */
export type Layout = Readonly<Record<string, readonly [offset: number, size: 1 | 2 | 4 | 8 | 'ptr' | 'name']>>;

/** Bytes of a `name` field: BPF_OBJ_NAME_LEN, the closing NUL included. */
const NAME_LENGTH = 16;

/** sizeof(union bpf_attr) in v6.18. A kernel that knows fewer bytes accepts the rest where it is zero. */
export const BPF_ATTR_SIZE = 168;

export const bpfAttr = {
  MAP_CREATE: {
    map_type: [0, 4],
    key_size: [4, 4],
    value_size: [8, 4],
    max_entries: [12, 4],
    map_flags: [16, 4],
    map_name: [28, 'name'],
  },
  MAP_ELEM: { map_fd: [0, 4], key: [8, 'ptr'], value: [16, 'ptr'], flags: [24, 8] },
  MAP_BATCH: {
    in_batch: [0, 'ptr'],
    out_batch: [8, 'ptr'],
    keys: [16, 'ptr'],
    values: [24, 'ptr'],
    count: [32, 4],
    map_fd: [36, 4],
    elem_flags: [40, 8],
    flags: [48, 8],
  },
  PROG_LOAD: {
    prog_type: [0, 4],
    insn_cnt: [4, 4],
    insns: [8, 'ptr'],
    license: [16, 'ptr'],
    log_level: [24, 4],
    log_size: [28, 4],
    log_buf: [32, 'ptr'],
    prog_flags: [44, 4],
    prog_name: [48, 'name'],
    expected_attach_type: [68, 4],
    attach_btf_id: [108, 4],
    log_true_size: [140, 4],
  },
  TEST_RUN: {
    prog_fd: [0, 4],
    retval: [4, 4],
    data_size_in: [8, 4],
    data_size_out: [12, 4],
    data_in: [16, 'ptr'],
    data_out: [24, 'ptr'],
    repeat: [32, 4],
    duration: [36, 4],
    ctx_size_in: [40, 4],
    ctx_size_out: [44, 4],
    ctx_in: [48, 'ptr'],
    ctx_out: [56, 'ptr'],
    flags: [64, 4],
    cpu: [68, 4],
    batch_size: [72, 4],
  },
  INFO_BY_FD: { bpf_fd: [0, 4], info_len: [4, 4], info: [8, 'ptr'] },
  GET_ID: { id: [0, 4], next_id: [4, 4], open_flags: [8, 4] },
  RAW_TRACEPOINT_OPEN: { name: [0, 'ptr'], prog_fd: [8, 4], cookie: [16, 8] },
  LINK_CREATE: { prog_fd: [0, 4], target_fd: [4, 4], attach_type: [8, 4] },
  ENABLE_STATS: { type: [0, 4] },
} as const;

/** struct bpf_prog_info, as far as it is read. */
export const progInfo = {
  type: [0, 4],
  id: [4, 4],
  jited_prog_len: [16, 4],
  xlated_prog_len: [20, 4],
  name: [64, 'name'],
  run_time_ns: [192, 8],
  run_cnt: [200, 8],
  recursion_misses: [208, 8],
  verified_insns: [216, 4],
} as const;

/** sizeof(struct bpf_prog_info) in v6.18. */
export const PROG_INFO_SIZE = 232;

/** struct bpf_btf_info. */
export const btfInfo = {
  btf: [0, 'ptr'],
  btf_size: [8, 4],
  id: [12, 4],
  name: [16, 'ptr'],
  name_len: [24, 4],
  kernel_btf: [28, 4],
} as const;

export const BTF_INFO_SIZE = 32;

/** struct perf_event_attr, PERF_ATTR_SIZE_VER5 (112 bytes), as far as it is written. */
export const perfEventAttr = {
  type: [0, 4],
  size: [4, 4],
  config: [8, 8],
  sample_period: [16, 8],
} as const;

export const PERF_ATTR_SIZE = 112;

export type Values<L extends Layout> = { readonly [K in keyof L]?: number | bigint | string | ArrayBufferView };

/** A zero-filled structure with named fields. It holds on to every buffer whose address it carries. */
export class Struct<L extends Layout> {
  readonly bytes: Buffer;
  readonly #layout: L;
  readonly #pointees: ArrayBufferView[] = [];

  /** `size` bytes, all zero (the kernel refuses stray bits in fields a command does not use), then `values`. */
  constructor(layout: L, size: number, values: Values<L> = {}) {
    this.#layout = layout;
    this.bytes = Buffer.alloc(size);
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined) this.#set(name, value as number | bigint | string | ArrayBufferView);
    }
  }

  #set(field: string, value: number | bigint | string | ArrayBufferView): void {
    const [offset, size] = this.#place(field);
    if (size === 'name') {
      this.bytes.write(String(value).slice(0, NAME_LENGTH - 1), offset, 'latin1');
    } else if (size === 'ptr') {
      this.bytes.writeBigUInt64LE(this.#pointer(value), offset);
    } else if (size === 8) {
      this.bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as number | bigint)), offset);
    } else {
      // Signed values (a CPU of -1) are stored as their two's complement.
      const width = size * 8;
      this.bytes.writeUIntLE(Number(BigInt.asUintN(width, BigInt(value as number | bigint))), offset, size);
    }
  }

  #pointer(value: number | bigint | string | ArrayBufferView): bigint {
    if (typeof value === 'number' || typeof value === 'bigint') return BigInt(value);
    const buffer = typeof value === 'string' ? Buffer.from(`${value}\0`) : value;
    this.#pointees.push(buffer);
    return native().address(buffer);
  }

  /** A field of up to four bytes, as a number. */
  u32(field: keyof L & string): number {
    return this.bytes.readUInt32LE(this.#place(field)[0]);
  }

  u64(field: keyof L & string): bigint {
    return this.bytes.readBigUInt64LE(this.#place(field)[0]);
  }

  #place(field: string): readonly [number, 1 | 2 | 4 | 8 | 'ptr' | 'name'] {
    const place = this.#layout[field];
    if (place === undefined) throw new TypeError(`no field ${field} in this structure`);
    return place;
  }
}
