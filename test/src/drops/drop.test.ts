import { describe, expect, test } from 'vitest';
import { type DropFacts, DropReader } from '../../../src/drops/drop.ts';
import { dropContext } from '../../../src/probes/context.ts';
import { RECORD_SIZE, TraceProbe } from '../../../src/probes/trace.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { fakeHost } from '../../helpers/fake-host.ts';
import { FakeNative } from '../../helpers/fake-native.ts';

const host = fakeHost();
const probe = new TraceProbe(
  { context: dropContext('tp_btf', host), filter: { kind: 'all' }, limit: undefined, guardsReentry: true },
  65_536,
);

/** Nanoseconds that the wall clock is ahead of the monotonic one. */
const AHEAD = 1_790_000_000_000_000_000n;

/** Clocks that stand at 5 seconds of uptime; `moved` says by how much somebody has set the wall clock since. */
function clocks(moved: () => bigint): FakeNative {
  return new FakeNative(({ args }, fake) => {
    const time = args[0] === 0n ? 5_000_000_000n + AHEAD + moved() : 5_000_000_000n;
    const timespec = fake.at(args[1]!, 16);
    timespec.writeBigInt64LE(time / 1_000_000_000n, 0);
    timespec.writeBigInt64LE(time % 1_000_000_000n, 8);
    return 0;
  });
}

function record(time: bigint, reason = 3, len = 60, location = 0xffffffff81000001n): DataView {
  const bytes = Buffer.alloc(RECORD_SIZE);
  bytes.writeBigUInt64LE(time, 0);
  bytes.writeBigUInt64LE(location, 8);
  bytes.writeUInt32LE(reason, 16);
  bytes.writeUInt32LE(len, 20);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

describe('DropReader', () => {
  test('names, and the date', () => {
    const reader = new DropReader(host, probe, (facts) => facts);
    const { time, what } = withNative(
      clocks(() => 0n),
      () => reader.read(record(123_456_789n), 0, RECORD_SIZE),
    );
    expect(time).toBe(Number(AHEAD / 1000n) + 123_456);
    expect(what).toEqual({
      reason: 'SKB_DROP_REASON_NO_SOCKET',
      reasonNumber: 3,
      location: '0xffffffff81000001',
      len: 60,
    });
  });

  test('the clocks are compared once a second, and when somebody sets one it is noticed', () => {
    let moved = 0n;
    const fake = clocks(() => moved);
    const reader = new DropReader(host, probe, () => undefined);
    const read = (time: bigint): number => withNative(fake, () => reader.read(record(time), 0, RECORD_SIZE).time);
    const first = read(1_000_000_000n);
    const asked = fake.calls.length;
    moved = 3_600_000_000_000n;
    expect(read(1_999_999_000n) - first).toBe(999_999);
    expect(fake.calls).toHaveLength(asked);
    expect(read(2_000_000_000n) - first).toBe(3_601_000_000);
    expect(fake.calls.length).toBeGreaterThan(asked);
  });

  test('what is the same but for its time is made once; what differs in anything is not', () => {
    const made: DropFacts[] = [];
    const reader = new DropReader(host, probe, (facts) => made.push(facts));
    withNative(
      clocks(() => 0n),
      () => {
        const read = (data: DataView): number => reader.read(data, 0, RECORD_SIZE).what;
        const one = read(record(1n));
        expect(read(record(2n))).toBe(one);
        const others = [record(1n, 4), record(1n, 3, 61), record(1n, 3, 60, 0xffffffff81000002n), record(1n, 0x20003)];
        const results = others.map(read);
        expect(new Set([one, ...results]).size).toBe(5);
        expect(others.map(read), 'and all of them are remembered').toEqual(results);
        expect(made).toHaveLength(5);
      },
    );
  });

  test('drops that fall into one place of its memory are still two', () => {
    // FNV-1a by the word, as the reader does it: the last word (the end of the device's name) makes up the difference.
    const hash = (data: DataView): number => {
      let value = 0x811c9dc5;
      for (let at = 8; at < RECORD_SIZE - 4; at += 4) value = Math.imul(value ^ data.getUint32(at, true), 0x01000193);
      return value;
    };
    const [one, other] = [record(1n, 3, 60), record(1n, 3, 61)];
    other.setUint32(RECORD_SIZE - 4, (hash(one) ^ hash(other)) >>> 0, true);
    const reader = new DropReader(host, probe, ({ len }) => len);
    const lengths = withNative(
      clocks(() => 0n),
      () => [one, other, one, other].map((data) => reader.read(data, 0, RECORD_SIZE).what),
    );
    expect(lengths).toEqual([60, 61, 60, 61]);
  });

  test('more different drops than it remembers', () => {
    const reader = new DropReader(host, probe, ({ len }) => len);
    withNative(
      clocks(() => 0n),
      () => {
        for (let i = 0; i < 10_000; i++) expect(reader.read(record(1n, 3, i), 0, RECORD_SIZE).what).toBe(i);
        expect(reader.read(record(1n, 3, 17), 0, RECORD_SIZE).what).toBe(17);
      },
    );
  });

  test.each([0, RECORD_SIZE - 1, RECORD_SIZE + 8])('a record of %i bytes is none of ours', (length) => {
    const reader = new DropReader(host, probe, (facts) => facts);
    expect(() => reader.read(record(1n), 0, length)).toThrow(RangeError);
  });
});
