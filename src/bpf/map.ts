import { MapType, mapCreate, mapLookup, mapLookupBatch, mapNextKey, mapUpdate } from '../sys/bpf.ts';
import { explainPermission } from '../sys/capabilities.ts';
import { possibleCpus } from '../sys/cpus.ts';
import { SyscallError } from '../sys/errors.ts';
import type { Fd } from '../sys/fd.ts';
import { errno } from '../sys/syscall.ts';
import { chargingMemory } from './memlock.ts';

/** What a map should be. Plain data; `createMap` makes the kernel's object of it. */
export interface MapSpec {
  /** Up to 15 characters; programs name the map by it. */
  readonly name: string;
  readonly type: keyof typeof MapType;
  /** Bytes. */
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

/** A map in the kernel, owned: it goes when it and every program that uses it are closed. */
export class BpfMap {
  readonly spec: MapSpec;
  readonly fd: Fd;
  readonly #perCpu: boolean;

  constructor(spec: MapSpec, fd: Fd) {
    this.spec = spec;
    this.fd = fd;
    this.#perCpu = spec.type === 'PERCPU_ARRAY' || spec.type === 'PERCPU_HASH';
  }

  /** Bytes of a value as the kernel copies it out: per-CPU values are padded to 8 bytes and stand one per CPU. */
  get valueBytes(): number {
    return this.#perCpu ? this.valueStride * possibleCpus() : this.spec.valueSize;
  }

  /** Bytes from one CPU's value to the next (v6.12 kernel/bpf/arraymap.c: round_up(value_size, 8)). */
  get valueStride(): number {
    return Math.ceil(this.spec.valueSize / 8) * 8;
  }

  /** The value at `key`, all CPUs' one after the other where it is a per-CPU map; undefined where there is none. */
  lookup(key: Uint8Array): Buffer | undefined {
    const value = Buffer.alloc(this.valueBytes);
    return mapLookup(this.fd, key, value) ? value : undefined;
  }

  update(key: Uint8Array, value: Uint8Array): void {
    mapUpdate(this.fd, key, value);
  }

  /**
   * Every entry of a hash, each once. Entries that are added meanwhile may or may not be among them. In batches
   * where the kernel has them (Linux 5.6), else key by key.
   */
  *entries(): Generator<readonly [key: Buffer, value: Buffer]> {
    const { keySize } = this.spec;
    const valueBytes = this.valueBytes;
    let count = Math.min(this.spec.maxEntries, BATCH);
    let cursor: Buffer | undefined;
    for (;;) {
      const keys = Buffer.alloc(keySize * count);
      const values = Buffer.alloc(valueBytes * count);
      const next = Buffer.alloc(Math.max(keySize, 8));
      const batch = mapLookupBatch(this.fd, cursor, next, keys, values, count);
      if (typeof batch === 'number') {
        if (batch === -errno.ENOSPC) {
          count *= 2;
          continue;
        }
        if (cursor === undefined && (batch === -errno.EINVAL || batch === -errno.ENOTSUPP)) {
          yield* this.#entriesOneByOne();
          return;
        }
        throw new SyscallError('bpf(BPF_MAP_LOOKUP_BATCH)', -batch);
      }
      for (let i = 0; i < batch.filled; i++) {
        yield [
          keys.subarray(i * keySize, (i + 1) * keySize),
          values.subarray(i * valueBytes, (i + 1) * valueBytes),
        ] as const;
      }
      if (batch.last) return;
      cursor = next;
    }
  }

  *#entriesOneByOne(): Generator<readonly [key: Buffer, value: Buffer]> {
    let key: Buffer | undefined;
    for (;;) {
      const next = Buffer.alloc(this.spec.keySize);
      if (!mapNextKey(this.fd, key, next)) return;
      const value = this.lookup(next);
      if (value !== undefined) yield [next, value] as const;
      key = next;
    }
  }

  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Entries asked for at a time; the kernel doubles nothing for us, but a bucket rarely holds more than a few. */
const BATCH = 512;

/** A map alone takes less; the program that it is for takes both. */
const WANTED = ['CAP_BPF', 'CAP_PERFMON'] as const;

/**
 * Creates the map in the kernel.
 *
 * @throws PermissionError without CAP_BPF and CAP_PERFMON, which the program will want too; SyscallError, ENOMEM where it does not fit
 */
export function createMap(spec: MapSpec): BpfMap {
  const what = `create the map ${spec.name}`;
  const fd = explainPermission(what, WANTED, () =>
    chargingMemory(what, WANTED, () => mapCreate({ ...spec, type: MapType[spec.type] })),
  );
  return new BpfMap(spec, fd);
}

/**
 * Adds up the u64 counters of a per-CPU value over all CPUs: `words` of them, the first at byte `offset` of each
 * CPU's value. Exact up to 2^53.
 */
export function sumCounters(value: Buffer, stride: number, words: number, offset = 0): Float64Array {
  const sums = new Float64Array(words);
  for (let cpu = 0; cpu + stride <= value.length; cpu += stride) {
    for (let i = 0; i < words; i++) {
      const at = cpu + offset + i * 8;
      sums[i]! += value.readUInt32LE(at) + value.readUInt32LE(at + 4) * 0x1_0000_0000;
    }
  }
  return sums;
}

/** A 4-byte key: the index of an array's element. */
export function u32Key(index: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(index);
  return key;
}
