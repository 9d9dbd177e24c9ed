import { describe, expect, test } from 'vitest';
import { BpfMap, createMap, type MapSpec, sumCounters, u32Key } from '../../../src/bpf/map.ts';
import { possibleCpus } from '../../../src/sys/cpus.ts';
import { Fd } from '../../../src/sys/fd.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';

noLeaks();

const hash: MapSpec = { name: 'counts', type: 'HASH', keySize: 4, valueSize: 8, maxEntries: 10_000 };

describe('sumCounters', () => {
  /** Words as the kernel copies them out. */
  const words = (...values: (number | bigint)[]): Buffer => Buffer.from(BigUint64Array.from(values, BigInt).buffer);

  test.each<[string, Buffer, number, number, number, number[]]>([
    //            value                      stride words offset  sums
    ['one CPU', words(5), 8, 1, 0, [5]],
    ['three CPUs', words(1, 2, 3), 8, 1, 0, [6]],
    ['two words a CPU', words(1, 10, 2, 20), 16, 2, 0, [3, 30]],
    ['from an offset', words(9, 1, 10, 9, 2, 20), 24, 2, 8, [3, 30]],
    ['beyond 32 bits', words(2n ** 32n, 2n ** 40n + 1n), 8, 1, 0, [2 ** 32 + 2 ** 40 + 1]],
    ['up to 2^53', words(2n ** 53n - 2n, 1), 8, 1, 0, [2 ** 53 - 1]],
    ['both halves of a word', words(0xffff_ffffn, 0xffff_ffff_0000n), 8, 1, 0, [0xffffffff + 0xffffffff0000]],
    ['no CPU', Buffer.alloc(0), 8, 2, 0, [0, 0]],
  ])('%s', (_, value, stride, count, offset, sums) => {
    expect([...sumCounters(value, stride, count, offset)]).toEqual(sums);
  });
});

describe('how values are laid out', () => {
  const cpus = possibleCpus();
  test.each<[MapSpec['type'], number, number, number]>([
    // type          value  stride  bytes
    ['HASH', 8, 8, 8],
    ['ARRAY', 12, 16, 12],
    ['PERCPU_ARRAY', 8, 8, 8 * cpus],
    ['PERCPU_ARRAY', 12, 16, 16 * cpus],
    ['PERCPU_HASH', 1, 8, 8 * cpus],
    ['PERCPU_HASH', 264, 264, 264 * cpus],
    ['STACK_TRACE', 1016, 1016, 1016],
  ])('%s of %i bytes', (type, valueSize, stride, bytes) => {
    using map = new BpfMap({ ...hash, type, valueSize }, new Fd(realFd(), 'map'));
    expect([map.valueStride, map.valueBytes]).toEqual([stride, bytes]);
  });
});

test('u32Key', () => {
  expect(u32Key(0x01020304).toString('hex')).toBe('04030201');
  expect(u32Key(0xffffffff).toString('hex')).toBe('ffffffff');
});

test.each([
  ['HASH', 1],
  ['ARRAY', 2],
  ['PERCPU_HASH', 5],
  ['PERCPU_ARRAY', 6],
  ['STACK_TRACE', 7],
  ['RINGBUF', 27],
] as const)('createMap makes %s as type %i', (type, number) => {
  const fake = new FakeNative(({ args }, kernel) => {
    expect(kernel.at(args[1]!, 168).readUInt32LE(0)).toBe(number);
    return realFd();
  });
  using map = withNative(fake, () => createMap({ ...hash, type }));
  expect(map.fd.what).toBe('map counts');
});

describe('entries()', () => {
  const BATCH = 24n;
  const NEXT_KEY = 4n;

  /** A kernel with a hash of the keys 0 … size-1, each with its square, that answers batches as `batch` says. */
  function reading(
    size: number,
    batch: (call: { n: number; from: number; count: number }) => { filled: number; result: number } | number,
  ): { fake: FakeNative; counts: number[] } {
    const counts: number[] = [];
    const fake = new FakeNative(({ args }, kernel) => {
      const attr = kernel.at(args[1]!, 168);
      if (args[0] === BATCH) {
        const cursor = attr.readBigUInt64LE(0);
        const from = cursor === 0n ? 0 : kernel.at(cursor).readUInt32LE();
        const count = attr.readUInt32LE(32);
        counts.push(count);
        const answer = batch({ n: counts.length, from, count });
        if (typeof answer === 'number') return answer;
        const [keys, values] = [kernel.at(attr.readBigUInt64LE(16)), kernel.at(attr.readBigUInt64LE(24))];
        for (let i = 0; i < answer.filled; i++) {
          keys.writeUInt32LE(from + i, i * 4);
          values.writeBigUInt64LE(BigInt(from + i) ** 2n, i * 8);
        }
        attr.writeUInt32LE(answer.filled, 32);
        kernel.at(attr.readBigUInt64LE(8)).writeUInt32LE(from + answer.filled);
        return answer.result;
      }
      const pointer = attr.readBigUInt64LE(8);
      const key = pointer === 0n ? -1 : kernel.at(pointer).readUInt32LE();
      if (args[0] === NEXT_KEY) {
        if (key + 1 >= size) return -errno.ENOENT;
        kernel.at(attr.readBigUInt64LE(16)).writeUInt32LE(key + 1);
        return 0;
      }
      // Key 3 goes while we look.
      if (key === 3) return -errno.ENOENT;
      kernel.at(attr.readBigUInt64LE(16)).writeBigUInt64LE(BigInt(key) ** 2n);
      return 0;
    });
    return { fake, counts };
  }

  function entries(fake: FakeNative, spec = hash): [number, number][] {
    using map = new BpfMap(spec, new Fd(realFd(), 'map'));
    return withNative(fake, () =>
      [...map.entries()].map(
        ([key, value]) => [key.readUInt32LE(), Number(value.readBigUInt64LE())] as [number, number],
      ),
    );
  }
  const squares = (n: number): [number, number][] => Array.from({ length: n }, (_, i) => [i, i * i]);

  test.each([
    ['none', 0],
    ['one', 1],
    ['one batch, full', 512],
    ['several', 1300],
  ])('in batches: %s', (_, size) => {
    const { fake } = reading(size, ({ from, count }) => {
      const filled = Math.min(count, size - from);
      return { filled, result: from + filled >= size ? -errno.ENOENT : 0 };
    });
    expect(entries(fake)).toEqual(squares(size));
  });

  test('a batch that is empty and not the last', () => {
    const { fake } = reading(3, ({ n }) => (n === 1 ? { filled: 0, result: 0 } : { filled: 3, result: -errno.ENOENT }));
    expect(entries(fake)).toEqual(squares(3));
  });

  test('a bucket that is fuller than the batch: twice the room, and nothing twice', () => {
    const { fake, counts } = reading(1100, ({ n, from, count }) => {
      if (n === 2 || n === 3) return -errno.ENOSPC;
      const filled = Math.min(count, 1100 - from);
      return { filled, result: from + filled >= 1100 ? -errno.ENOENT : 0 };
    });
    expect(entries(fake)).toEqual(squares(1100));
    expect(counts).toEqual([512, 512, 1024, 2048]);
  });

  test('a small map is not asked for more than it can hold', () => {
    const { fake, counts } = reading(2, () => ({ filled: 2, result: -errno.ENOENT }));
    expect(entries(fake, { ...hash, maxEntries: 16 })).toEqual(squares(2));
    expect(counts).toEqual([16]);
  });

  test.each([
    ['EINVAL', -errno.EINVAL],
    ['ENOTSUPP', -524],
  ])('%s: key by key, without those that go meanwhile', (_, refusal) => {
    const { fake } = reading(6, () => refusal);
    expect(entries(fake)).toEqual(squares(6).filter(([key]) => key !== 3));
  });

  test.each([
    ['at the start', 1, -errno.EPERM],
    ['in the middle', 2, -errno.EINVAL],
  ])('what else goes wrong, %s, is an error', (_, when, refusal) => {
    const { fake } = reading(2000, ({ n, count }) => (n === when ? refusal : { filled: count, result: 0 }));
    expect(() => entries(fake)).toThrow('bpf(BPF_MAP_LOOKUP_BATCH)');
  });
});
