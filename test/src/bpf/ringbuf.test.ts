import { describe, expect, test } from 'vitest';
import { BpfMap } from '../../../src/bpf/map.ts';
import { RingBuffer, ringSize } from '../../../src/bpf/ringbuf.ts';
import { Fd } from '../../../src/sys/fd.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { pageSize } from '../../../src/sys/memory.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';
import { RingProducer } from '../../helpers/ring-producer.ts';

noLeaks();

const page = pageSize();
const size = 4 * page;
const [CONSUMER, PRODUCER] = [0x7f00_1000_0000n, 0x7f00_2000_0000n];

/** A mapped ring with its producer, and everything that was asked of the kernel. */
function mapped(refuse?: string): { fake: FakeNative; producer: RingProducer; map: BpfMap } {
  const producer = new RingProducer(size, 0n, page);
  const fake = new FakeNative(({ name, args }) => {
    if (name === refuse && (name !== 'mmap' || args[5] !== 0n)) return -errno.EPERM;
    if (name === 'mmap') return args[5] === 0n ? CONSUMER : PRODUCER;
    if (name === 'epoll_create1') return realFd();
    return name === 'epoll_pwait' ? 1 : 0;
  });
  fake.memory.set(CONSUMER, producer.memory.consumer).set(PRODUCER, producer.memory.producer);
  const spec = { name: 'ring', type: 'RINGBUF', keySize: 0, valueSize: 0, maxEntries: size } as const;
  return { fake, producer, map: new BpfMap(spec, new Fd(realFd(), 'map ring')) };
}

describe('RingBuffer', () => {
  test('maps one page to write and the rest to read, and unmaps both', () => {
    const { fake, map } = mapped();
    using owner = map;
    withNative(fake, () => {
      const ring = new RingBuffer(owner);
      ring.close();
      ring.close();
    });
    const pages = fake.calls.map(({ name, args }) => [
      name,
      Number(args[1]),
      name === 'mmap' ? Number(args[2]) : undefined,
      name === 'mmap' ? Number(args[5]) : undefined,
    ]);
    const [READ, READ_WRITE] = [1, 3];
    expect(pages.slice(0, 2)).toEqual([
      ['mmap', page, READ_WRITE, 0],
      ['mmap', page + 2 * size, READ, page],
    ]);
    expect(
      pages
        .slice(2)
        .map(([name, length]) => [name, length])
        .sort(),
    ).toEqual(
      [
        ['munmap', page],
        ['munmap', page + 2 * size],
      ].sort(),
    );
  });

  test('the second mapping fails: the first is undone', () => {
    const { fake, map } = mapped('mmap');
    using owner = map;
    expect(() => withNative(fake, () => new RingBuffer(owner))).toThrow('mmap(map ring): EPERM');
    expect(fake.calls.map(({ name }) => name)).toEqual(['mmap', 'mmap', 'munmap']);
  });

  test('drains what is there; closed, it refuses', () => {
    const { fake, producer, map } = mapped();
    using owner = map;
    const ring = withNative(fake, () => new RingBuffer(owner));
    producer.output(Buffer.from('abc'));
    let got = '';
    const take = (data: DataView, offset: number, length: number): void => {
      for (let i = 0; i < length; i++) got += String.fromCharCode(data.getUint8(offset + i));
    };
    expect(ring.drain(take)).toBe(1);
    expect(got).toBe('abc');
    withNative(fake, () => ring.close());
    expect(() => ring.drain(take)).toThrow(new TypeError('this ring buffer is closed'));
  });

  test('wait() ends soon after the descriptor becomes readable', async () => {
    const { fake, map } = mapped();
    using owner = map;
    const ring = withNative(fake, () => new RingBuffer(owner));
    const woken = withNative(fake, () => ring.wait());
    withNative(fake, () => fake.watched[0]!.onReadable());
    await woken;
    const again = withNative(fake, () => ring.wait());
    withNative(fake, () => fake.watched[0]!.onReadable());
    await again;
    expect(fake.watched, 'one watch for all waits').toHaveLength(1);
    const control = fake.calls.filter(({ name }) => name === 'epoll_ctl').map(({ args }) => args[1]);
    const [ADD, MOD] = [1n, 3n];
    expect(control).toEqual([ADD, MOD]);
    withNative(fake, () => ring.close());
    expect(fake.watched[0]!.closed).toBe(true);
  });

  test.each(['wake', 'close'] as const)('%s() ends a wait', async (how) => {
    const { fake, map } = mapped();
    using owner = map;
    const ring = withNative(fake, () => new RingBuffer(owner));
    const waiting = withNative(fake, () => ring.wait());
    withNative(fake, () => ring[how]());
    await waiting;
    withNative(fake, () => ring.close());
    await withNative(fake, () => ring.wait());
  });
});

test.each([
  [1, page],
  [page, page],
  [page + 1, 2 * page],
  [3 * page, 4 * page],
  [8 * 1024 * 1024, 8 * 1024 * 1024],
  [8 * 1024 * 1024 + 1, 16 * 1024 * 1024],
])('a ring of %i bytes is made of %i', (wanted, made) => {
  expect(ringSize(wanted)).toBe(made);
});
