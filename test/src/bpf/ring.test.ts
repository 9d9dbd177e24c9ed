import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Ring } from '../../../src/bpf/ring.ts';
import { RingProducer } from '../../helpers/ring-producer.ts';

const SIZE = 4096;

/** A payload of `length` bytes that no other number gives. */
function payload(length: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (seed * 37 + i * 11) & 0xff));
}

function copy(data: DataView, offset: number, length: number): Buffer {
  return Buffer.from(new Uint8Array(data.buffer, data.byteOffset + offset, length));
}

/** Everything that is in the ring now. */
function drain(ring: Ring, limit?: number): Buffer[] {
  const records: Buffer[] = [];
  const taken = ring.drain((data, offset, length) => {
    records.push(copy(data, offset, length));
  }, limit);
  expect(taken).toBe(records.length);
  return records;
}

/** Bytes of a record in the ring. */
const step = (length: number): number => 8 + Math.ceil(length / 8) * 8;

describe('what goes in comes out, in order', () => {
  // The largest ring that holds records of 56 bytes exactly is full with 63 of them, one byte short of 64.
  const capacity = Math.floor((SIZE - 1) / step(56));

  test.each([
    ['none', 0],
    ['one', 1],
    ['half', capacity >> 1],
    ['one less than fit', capacity - 1],
    ['all that fit', capacity],
  ])('%s', (_, count) => {
    const producer = new RingProducer(SIZE);
    const ring = new Ring(producer.memory);
    const sent = Array.from({ length: count }, (_, i) => payload(56, i));
    for (const record of sent) expect(producer.output(record)).toBe(true);
    expect(ring.pending).toBe(count * step(56));
    expect(drain(ring)).toEqual(sent);
    expect(ring.pending).toBe(0);
    expect(producer.consumed).toBe(producer.produced);
    expect(drain(ring)).toEqual([]);
  });

  test('one too many does not fit, and fits when one is read', () => {
    const producer = new RingProducer(SIZE);
    const ring = new Ring(producer.memory);
    for (let i = 0; i < capacity; i++) producer.output(payload(56, i));
    expect(producer.output(payload(56, 99))).toBe(false);
    expect(drain(ring, 1)).toEqual([payload(56, 0)]);
    expect(producer.output(payload(56, 99))).toBe(true);
    expect(drain(ring).at(-1)).toEqual(payload(56, 99));
  });

  test('eight times what fits, through a ring that wraps', () => {
    const producer = new RingProducer(SIZE);
    const ring = new Ring(producer.memory);
    const sent: Buffer[] = [];
    const got: Buffer[] = [];
    for (let i = 0; i < 8 * capacity; i++) {
      const record = payload(1 + (i % 61), i);
      while (!producer.output(record)) got.push(...drain(ring));
      sent.push(record);
    }
    got.push(...drain(ring));
    expect(got).toEqual(sent);
    expect(producer.produced).toBeGreaterThan(2n * BigInt(SIZE));
  });

  test.each([0, 1, 7, 8, 9, 55, 56, 57, 2040, SIZE - 16])('records of %i bytes', (length) => {
    const producer = new RingProducer(SIZE);
    const ring = new Ring(producer.memory);
    for (let i = 0; i < 5; i++) {
      expect(producer.output(payload(length, i))).toBe(true);
      expect(drain(ring)).toEqual([payload(length, i)]);
    }
  });

  test('a record that wraps is one piece', () => {
    const start = BigInt(SIZE - 16);
    const producer = new RingProducer(SIZE, start);
    producer.output(payload(100, 1));
    expect(drain(new Ring(producer.memory))).toEqual([payload(100, 1)]);
  });

  test.each([
    ['2^31', 2n ** 31n],
    ['2^32 - 64', 2n ** 32n - 64n],
    ['2^32', 2n ** 32n],
    ['2^33 + 8', 2n ** 33n + 8n],
    ['2^52', 2n ** 52n],
  ])('positions around %s', (_, start) => {
    const producer = new RingProducer(SIZE, start);
    const ring = new Ring(producer.memory);
    const sent = Array.from({ length: 20 }, (_, i) => payload(40, i));
    for (const record of sent) producer.output(record);
    expect(drain(ring)).toEqual(sent);
    expect(producer.consumed).toBe(start + 20n * BigInt(step(40)));
  });
});

describe('records that are not ready', () => {
  test('a busy record ends the drain, and nothing behind it is seen', () => {
    const producer = new RingProducer(SIZE);
    const ring = new Ring(producer.memory);
    producer.output(payload(8, 0));
    const busy = producer.reserve(16)!;
    producer.output(payload(8, 2));
    expect(drain(ring)).toEqual([payload(8, 0)]);
    expect(drain(ring)).toEqual([]);
    expect(producer.consumed).toBe(busy);
    expect(ring.pending).toBe(step(16) + step(8));
    producer.commit(busy, payload(16, 1));
    expect(drain(ring)).toEqual([payload(16, 1), payload(8, 2)]);
  });

  test('a discarded record is passed over, counted by nobody, and its room is free again', () => {
    const producer = new RingProducer(SIZE);
    const ring = new Ring(producer.memory);
    producer.output(payload(24, 0), true);
    producer.output(payload(8, 1));
    producer.output(payload(24, 2), true);
    expect(drain(ring)).toEqual([payload(8, 1)]);
    expect(producer.consumed).toBe(producer.produced);
    producer.output(payload(24, 3), true);
    expect(drain(ring, 1)).toEqual([]);
    expect(producer.consumed).toBe(producer.produced);
  });
});

describe('how far it goes', () => {
  function filled(count: number): { producer: RingProducer; ring: Ring } {
    const producer = new RingProducer(SIZE);
    for (let i = 0; i < count; i++) producer.output(payload(8, i));
    return { producer, ring: new Ring(producer.memory) };
  }

  test.each([
    [0, 0],
    [1, 1],
    [4, 4],
    [10, 10],
    [11, 10],
    [Infinity, 10],
  ])('a limit of %f takes %i of ten', (limit, taken) => {
    const { ring, producer } = filled(10);
    expect(drain(ring, limit)).toHaveLength(taken);
    expect(producer.consumed).toBe(BigInt(taken * step(8)));
    expect(drain(ring)).toHaveLength(10 - taken);
  });

  test('what throws is handed the record again', () => {
    const { ring, producer } = filled(2);
    expect(() =>
      ring.drain(() => {
        throw new Error('of the reader');
      }),
    ).toThrow('of the reader');
    expect(producer.consumed).toBe(0n);
    expect(drain(ring)).toEqual([payload(8, 0), payload(8, 1)]);
  });

  test('the position is published now and then, never ahead of what is read, and at the end', () => {
    const producer = new RingProducer(65_536);
    const ring = new Ring(producer.memory);
    const count = 2000;
    for (let i = 0; i < count; i++) producer.output(payload(8, i));
    const published = new Set<bigint>();
    let read = 0n;
    ring.drain(() => {
      published.add(producer.consumed);
      expect(producer.consumed).toBeLessThanOrEqual(read);
      read += BigInt(step(8));
    });
    expect(published.size, 'the producer sees room while a long drain goes on').toBeGreaterThan(2);
    expect(producer.consumed).toBe(BigInt(count * step(8)));
  });

  test('what is written while it drains is seen before it sleeps', () => {
    const { ring, producer } = filled(1);
    let more = 3;
    const got: Buffer[] = [];
    ring.drain((data, offset, length) => {
      got.push(copy(data, offset, length));
      if (more-- > 0) producer.output(payload(8, 100 + more));
    });
    expect(got).toEqual([payload(8, 0), payload(8, 102), payload(8, 101), payload(8, 100)]);
  });
});

describe('damage', () => {
  test.each([
    ['longer than what was produced', 64],
    ['longer than the ring', SIZE],
    ['as long as can be said', 0x3fff_ffff],
  ])('a record %s', (_, length) => {
    const producer = new RingProducer(SIZE);
    const ring = new Ring(producer.memory);
    producer.output(payload(8, 0));
    const before = producer.produced;
    producer.output(payload(8, 1));
    producer.setHeader(before, length);
    const got: number[] = [];
    const run = (): number =>
      ring.drain((_, offset) => {
        got.push(offset);
      });
    expect(run).toThrow(RangeError);
    expect(run, 'and again').toThrow(`a record of ${length} bytes at ${before} ends past ${producer.produced}`);
    expect(got, 'only the sound record was handed over').toHaveLength(1);
    expect(producer.consumed).toBeLessThanOrEqual(before);
  });

  test('a discarded record may be damaged too', () => {
    const producer = new RingProducer(SIZE);
    producer.output(payload(8, 0));
    producer.setHeader(0n, (0x4000_0000 | 4000) >>> 0);
    expect(() => drain(new Ring(producer.memory))).toThrow(RangeError);
  });

  test.each([0, -4096, 3000, 4097, 12288])('a ring of %i bytes', (size) => {
    const { consumer } = new RingProducer(SIZE).memory;
    const producer = new ArrayBuffer(4096 + 32768);
    expect(() => new Ring({ consumer, producer, dataOffset: 4096, size })).toThrow('not a power of two');
  });

  test('data that is mapped once', () => {
    const { consumer, producer } = new RingProducer(SIZE).memory;
    expect(() => new Ring({ consumer, producer: producer.slice(0, -1), dataOffset: 4096, size: SIZE })).toThrow(
      'mapped twice',
    );
  });
});

test('a ring that somebody has read before goes on where they stopped', () => {
  const producer = new RingProducer(SIZE);
  producer.output(payload(8, 0));
  producer.output(payload(8, 1));
  drain(new Ring(producer.memory), 1);
  expect(drain(new Ring(producer.memory))).toEqual([payload(8, 1)]);
});

describe('against a model', () => {
  type Step =
    | { kind: 'output' | 'discard' | 'reserve'; length: number }
    | { kind: 'finish'; which: number; discard: boolean }
    | { kind: 'drain'; limit: number };

  const steps: fc.Arbitrary<Step[]> = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constantFrom('output', 'discard', 'reserve'), length: fc.integer({ min: 0, max: 300 }) }),
      fc.record({ kind: fc.constant('finish' as const), which: fc.nat(8), discard: fc.boolean() }),
      fc.record({ kind: fc.constant('drain' as const), limit: fc.integer({ min: 0, max: 12 }) }),
    ) as fc.Arbitrary<Step>,
    { maxLength: 120 },
  );

  test('any interleaving of producer and consumer', () => {
    fc.assert(
      fc.property(steps, fc.bigInt({ min: 0n, max: 2n ** 40n }), (script, start) => {
        const producer = new RingProducer(1024, start & ~7n);
        const ring = new Ring(producer.memory);
        /** Records in order of reservation: what they hold, and in which state they are. */
        const model: { at: bigint; bytes: Buffer; state: 'busy' | 'ready' | 'discarded' }[] = [];
        let seed = 0;
        for (const move of script) {
          if (move.kind === 'drain') {
            const expected: Buffer[] = [];
            while (expected.length < move.limit && model.length > 0 && model[0]!.state !== 'busy') {
              const { state, bytes } = model.shift()!;
              if (state === 'ready') expected.push(bytes);
            }
            expect(drain(ring, move.limit)).toEqual(expected);
            expect(producer.consumed).toBe(move.limit > 0 && model.length > 0 ? model[0]!.at : producer.consumed);
          } else if (move.kind === 'finish') {
            const busy = model.filter(({ state }) => state === 'busy');
            const record = busy[move.which % Math.max(busy.length, 1)];
            if (record === undefined) continue;
            record.state = move.discard ? 'discarded' : 'ready';
            producer.commit(record.at, record.bytes, move.discard);
          } else {
            const bytes = payload(move.length, seed++);
            const at = producer.reserve(move.length);
            if (at === undefined) continue;
            const state = move.kind === 'reserve' ? 'busy' : move.kind === 'output' ? 'ready' : 'discarded';
            if (state !== 'busy') producer.commit(at, bytes, state === 'discarded');
            model.push({ at, bytes, state });
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
