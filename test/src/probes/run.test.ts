import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { loadProgram, type Program } from '../../../src/bpf/program.ts';
import type { AccountOptions, Books } from '../../../src/probes/account.ts';
import { type AttachMode, attachModes, dropContext } from '../../../src/probes/context.ts';
import { CountProbe } from '../../../src/probes/count.ts';
import { BUCKETS, HistProbe } from '../../../src/probes/hist.ts';
import { PlaceProbe } from '../../../src/probes/places.ts';
import type { ReasonFilter } from '../../../src/probes/reason-filter.ts';
import { StackProbe } from '../../../src/probes/stacks.ts';
import { RECORD_SIZE, TraceProbe } from '../../../src/probes/trace.ts';
import { possibleCpus } from '../../../src/sys/cpus.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { fakeHost, offsets } from '../../helpers/fake-host.ts';
import { FakeKernel } from '../../helpers/fake-kernel.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';
import type { Memory } from '../../helpers/interpret.ts';

const host = fakeHost();
noLeaks();
const benches: { readonly program: Program }[] = [];
afterEach(() => {
  for (const { program } of benches.splice(0)) program.close();
});

const SKB = 0xffff_8881_0000_0000n;
const DEVICE = 0xffff_8882_0000_0000n;
const NET = 0xffff_8883_0000_0000n;
const LOCATION = 0xffff_ffff_81ab_cdefn;

interface Packet {
  readonly reason: number;
  readonly location?: bigint;
  readonly len?: number;
  readonly protocol?: number;
  readonly iif?: number;
  readonly dev?: bigint;
  readonly device?: { readonly name: string; readonly ifindex: number; readonly inum: number };
  /** The skb is not in memory. */
  readonly unreadable?: boolean;
}

/** What the program is given in r1. */
function context(mode: AttachMode, { reason, location = LOCATION }: Packet): Buffer {
  const bytes = Buffer.alloc(40);
  if (mode === 'tracepoint') {
    const { fields } = host.tracepoint();
    bytes.writeBigUInt64LE(SKB, fields.get('skbaddr')!.offset);
    bytes.writeBigUInt64LE(location, fields.get('location')!.offset);
    bytes.writeUInt32LE(reason, fields.get('reason')!.offset);
  } else {
    bytes.writeBigUInt64LE(SKB, 0);
    bytes.writeBigUInt64LE(location, 8);
    bytes.writeUInt32LE(reason, 16);
    // What stands above an enum in its word is nobody's promise.
    bytes.writeUInt32LE(0xdeadbeef, 20);
  }
  return bytes;
}

/** The packet and its device, as the kernel has them in memory. */
function memory({ len = 0, protocol = 0, iif = 0, dev, device, unreadable }: Packet): Memory[] {
  const skb = { start: SKB, bytes: Buffer.alloc(offsets.skb.size) };
  skb.bytes.writeBigUInt64LE(dev ?? (device === undefined ? 0n : DEVICE), offsets.skb.dev);
  skb.bytes.writeUInt32LE(len, offsets.skb.len);
  skb.bytes.writeInt32LE(iif, offsets.skb.skb_iif);
  skb.bytes.writeUInt16BE(protocol, offsets.skb.protocol);
  if (unreadable) return [];
  if (device === undefined) return [skb];
  const netDevice = { start: DEVICE, bytes: Buffer.alloc(offsets.device.size) };
  netDevice.bytes.writeInt32LE(device.ifindex, offsets.device.ifindex);
  netDevice.bytes.writeBigUInt64LE(NET, offsets.device.nd_net);
  netDevice.bytes.write(device.name, offsets.device.name, 'latin1');
  const net = { start: NET, bytes: Buffer.alloc(offsets.net.size) };
  net.bytes.writeUInt32LE(device.inum, offsets.net.ns + offsets.net.inum);
  return [skb, netDevice, net];
}

interface Probe {
  readonly spec: Parameters<typeof loadProgram>[0];
  readBooks(program: Program): Books;
}

/** A probe, loaded into a kernel of its own. */
class Bench<P extends Probe> {
  readonly kernel = new FakeKernel();
  readonly probe: P;
  readonly program: Program;
  readonly mode: AttachMode;

  constructor(mode: AttachMode, design: (options: AccountOptions) => P, options: Partial<AccountOptions> = {}) {
    this.mode = mode;
    const all = { kind: 'all' } as const;
    this.probe = design({
      context: dropContext(mode, host),
      filter: all,
      limit: undefined,
      guardsReentry: true,
      ...options,
    });
    this.program = this.in(() => loadProgram(this.probe.spec));
    benches.push(this);
  }

  in<T>(body: () => T): T {
    return withNative(this.kernel, body);
  }

  drop(packet: Packet, cpu = 0): void {
    const result = this.kernel.run(this.program.fd.fd, context(this.mode, packet), memory(packet), cpu);
    // On the tracepoint itself 0 would hide the event from everybody else.
    expect(result, 'r0').toBe(this.mode === 'tracepoint' ? 1n : 0n);
  }

  books(): Books {
    return this.in(() => this.probe.readBooks(this.program));
  }
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, number) => total + number, 0);
const lost = (books: Books): number => sum(books.lost.map(({ count }) => count));
const passed = ({ seen, filtered, surplus }: Books): number => seen - filtered - surplus;

const isIn = (filter: ReasonFilter, reason: number): boolean =>
  filter.kind === 'all' || filter.reasons.has(reason) === (filter.kind === 'only');

/** Numbers around every boundary of the filter: words of the bit set, tables, subsystems, the sign bit. */
const interesting = [
  ...Array.from({ length: 301 }, (_, i) => i),
  0xffff,
  0x10000,
  0x10001,
  0x20005,
  0x30002,
  0x7fffffff,
  0x80000000,
  0xffff0001,
  0xffffffff,
];

describe('the reason filter', () => {
  const filtering = (filter: ReasonFilter): number[] => {
    const bench = new Bench('tp_btf', (options) => new CountProbe(options), { filter });
    for (const reason of interesting) bench.drop({ reason });
    const { counts, books } = bench.in(() => bench.probe.read(bench.program));
    expect(books.seen).toBe(interesting.length);
    expect([...counts].filter(([, count]) => count !== 1)).toEqual([]);
    expect(interesting.filter((r) => !counts.has(r) && isIn(filter, r)).map(String)).toEqual([]);
    expect(sum(counts.values()) + books.filtered).toBe(interesting.length);
    return [...counts.keys()].sort((a, b) => a - b);
  };

  test.each<[string, 'only' | 'not', readonly number[]]>([
    ['one', 'only', [3]],
    ['all but one', 'not', [3]],
    ['a chain, with a subsystem and the sign bit', 'only', [0, 2, 255, 256, 0x20005, 0x80000000, 0xffffffff, 7]],
    ['all but a chain', 'not', [0, 2, 255, 256, 0x20005, 0x80000000, 0xffffffff, 7]],
    ['one more than a chain', 'only', [0, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['every word of the bits', 'only', [0, 63, 64, 127, 128, 191, 192, 255, 31, 32, 95, 96]],
    ['all but every word of the bits', 'not', [0, 63, 64, 127, 128, 191, 192, 255, 31, 32, 95, 96]],
    ['bits and what is beyond', 'only', [0, 63, 64, 127, 128, 191, 192, 255, 256, 300, 0x10000, 0xffffffff]],
    ['all but bits and what is beyond', 'not', [0, 63, 64, 127, 128, 191, 192, 255, 256, 300, 0x10000, 0xffffffff]],
    ['nothing', 'only', []],
  ])('%s: %s', (_, kind, reasons) => {
    const filter = { kind, reasons: new Set(reasons) };
    expect(filtering(filter)).toEqual(interesting.filter((reason) => isIn(filter, reason)));
  });

  test('any set', () => {
    const reason = fc.oneof(fc.nat(300), fc.constantFrom(...interesting), fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(
      fc.property(
        fc.constantFrom('only', 'not'),
        fc.uniqueArray(reason, { minLength: 1, maxLength: 40 }),
        (kind, reasons) => {
          const filter = { kind, reasons: new Set(reasons) } as const;
          expect(filtering(filter)).toEqual(interesting.filter((number) => isIn(filter, number)));
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('count', () => {
  test.each(attachModes.flatMap((mode) => [true, false].map((guardsReentry) => ({ mode, guardsReentry }))))(
    '$mode, guarded $guardsReentry: core reasons, subsystems, all CPUs',
    ({ mode, guardsReentry }) => {
      const bench = new Bench(mode, (options) => new CountProbe(options), { guardsReentry });
      const expected = new Map<number, number>();
      [0, 2, 2, 3, 255, 256, 0x10000, 0x20005, 0x20005, 0xffffffff, 128].forEach((reason, i) => {
        bench.drop({ reason }, i % possibleCpus());
        expected.set(reason, (expected.get(reason) ?? 0) + 1);
      });
      const { counts, books } = bench.in(() => bench.probe.read(bench.program));
      expect(new Map([...counts].sort(([a], [b]) => a - b))).toEqual(new Map([...expected].sort(([a], [b]) => a - b)));
      expect(books).toMatchObject({ seen: 11, filtered: 0, surplus: 0, lost: [] });
    },
  );

  test('the books come out, with filter and limit', () => {
    const filter = { kind: 'not', reasons: new Set([3]) } as const;
    const bench = new Bench('raw_tp', (options) => new CountProbe(options), { filter, limit: 5 });
    for (let i = 0; i < 20; i++) bench.drop({ reason: i % 4 }, i % possibleCpus());
    const { counts, books } = bench.in(() => bench.probe.read(bench.program));
    expect(books).toMatchObject({ seen: 20, filtered: 5, surplus: 10 });
    expect(sum(counts.values())).toBe(5);
    expect(passed(books)).toBe(5);
  });

  test('reasons that find no room are lost, and it is said of how many', () => {
    const bench = new Bench('tp_btf', (options) => new CountProbe(options));
    const room = bench.kernel.map('by_subsystem').maxEntries;
    for (let i = 0; i < room + 7; i++) bench.drop({ reason: 0x10000 + i });
    bench.drop({ reason: 0x10000 });
    const { counts, books } = bench.in(() => bench.probe.read(bench.program));
    expect(books.lost).toEqual([{ way: 'map_full', reason: undefined, count: 7 }]);
    expect(counts.size).toBe(room);
    expect(counts.get(0x10000)).toBe(2);
    expect(passed(books)).toBe(sum(counts.values()) + lost(books));
  });

  test.each([
    ['in batches of all sizes', true],
    ['key by key', false],
  ])('subsystems read %s', (_, batches) => {
    const bench = new Bench('tp_btf', (options) => new CountProbe(options));
    Object.assign(bench.kernel, { batches, batchSize: 3 });
    for (let i = 0; i < 10; i++) bench.drop({ reason: 0x10000 + i });
    expect(bench.in(() => bench.probe.read(bench.program)).counts.size).toBe(10);
  });

  test('counters go past 32 bits', () => {
    const bench = new Bench('tp_btf', (options) => new CountProbe(options));
    bench.drop({ reason: 2 });
    const books = bench.kernel.map('books').values.get('00000000')![0]!.bytes;
    books.writeBigUInt64LE(2n ** 32n - 1n, 0);
    bench.drop({ reason: 2 });
    expect(bench.books().seen).toBe(2 ** 32);
  });
});

describe('hist', () => {
  const bucketOf = (len: number): number => (len === 0 ? 0 : 1 + Math.floor(Math.log2(len)));
  const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 1500, 0xffffffff];
  for (let bit = 2; bit < 32; bit++) lengths.push(2 ** bit - 1, 2 ** bit, 2 ** bit + 1);

  test.each(attachModes)('%s: each length in its power of two', (mode) => {
    const bench = new Bench(mode, (options) => new HistProbe(options, false));
    for (const len of lengths) {
      const before = bench.books().counters.slice();
      bench.drop({ reason: 2, len });
      const grown = bench.books().counters.map((count, i) => count - before[i]!);
      expect([len, grown.indexOf(1), sum(grown)]).toEqual([len, bucketOf(len), 1]);
    }
    const { books, histograms } = bench.in(() => bench.probe.read(bench.program));
    expect(sum(histograms[0]!.counts)).toBe(passed(books));
  });

  test.each(attachModes)('%s, by reason: one for each, subsystems too', (mode) => {
    const bench = new Bench(mode, (options) => new HistProbe(options, true));
    const packets = [
      { reason: 2, len: 0 },
      { reason: 2, len: 60 },
      { reason: 255, len: 1500 },
      { reason: 0x20005, len: 64 },
      { reason: 0x20005, len: 64 },
      { reason: 256, len: 0xffffffff },
    ];
    packets.forEach((packet, i) => {
      bench.drop(packet, i % possibleCpus());
    });
    const { books, histograms } = bench.in(() => bench.probe.read(bench.program));
    const filled = histograms.map(({ reason, counts }) => [
      reason,
      Object.fromEntries([...counts].map((count, i) => [i, count]).filter(([, count]) => count !== 0)),
    ]);
    expect(filled).toEqual([
      [2, { 0: 1, 6: 1 }],
      [255, { 11: 1 }],
      [0x20005, { 7: 2 }],
      [256, { [BUCKETS - 1]: 1 }],
    ]);
    expect(books).toMatchObject({ seen: 6, lost: [] });
  });

  test('by reason: subsystems that find no room are lost', () => {
    const bench = new Bench('tp_btf', (options) => new HistProbe(options, true));
    const room = bench.kernel.map('by_subsystem').maxEntries;
    for (let i = 0; i < room + 3; i++) bench.drop({ reason: 0x10000 + i, len: 1 });
    const { books, histograms } = bench.in(() => bench.probe.read(bench.program));
    expect(books.lost).toEqual([{ way: 'map_full', reason: undefined, count: 3 }]);
    expect(passed(books)).toBe(sum(histograms.map(({ counts }) => sum(counts))) + lost(books));
  });
});

describe('stacks', () => {
  const FRAMES = [LOCATION, 0xffff_ffff_8200_0000n, 0xffff_ffff_8300_0000n];

  function bench(options: Partial<AccountOptions> = {}): Bench<StackProbe> {
    const bench = new Bench('tp_btf', (account) => new StackProbe(account), options);
    const stack = bench.kernel.map('stacks').add(Buffer.from(Uint32Array.of(7).buffer));
    FRAMES.forEach((frame, i) => void stack[0]!.bytes.writeBigUInt64LE(frame, i * 8));
    return bench;
  }

  test('counted by reason, stack and location', () => {
    const { kernel, drop, in: inside, probe, program } = withMethods(bench());
    kernel.stackIds = [7];
    drop({ reason: 2 });
    drop({ reason: 2 });
    drop({ reason: 3 });
    drop({ reason: 2, location: LOCATION + 1n });
    const { stacks } = inside(() => probe.read(program));
    expect(stacks).toEqual([
      { reason: 2, location: LOCATION, frames: FRAMES, count: 2 },
      { reason: 3, location: LOCATION, frames: FRAMES, count: 1 },
      { reason: 2, location: LOCATION + 1n, frames: FRAMES, count: 1 },
    ]);
  });

  test.each([
    // first answer, second      what becomes of the drop
    [[7], []],
    [[0], []],
    [[-errno.EEXIST, 7], []],
    [[-errno.EEXIST, -errno.EEXIST], [{ way: 'stack_collision', reason: 2, count: 1 }]],
    [[-errno.EEXIST, -errno.EFAULT], [{ way: 'stack_unreadable', reason: 2, count: 1 }]],
    [[-errno.EFAULT], [{ way: 'stack_unreadable', reason: 2, count: 1 }]],
  ])('bpf_get_stackid() gives %j', (answers, losses) => {
    const { kernel, drop, books } = withMethods(bench());
    kernel.stackIds = answers;
    drop({ reason: 2 });
    expect(books().lost).toEqual(losses);
    expect(kernel.map('counts').values.size).toBe(losses.length === 0 ? 1 : 0);
  });

  test('lost ones are told by reason; those of subsystems share a counter', () => {
    const { kernel, drop, books } = withMethods(bench());
    kernel.stackIds = [-errno.EFAULT];
    for (const reason of [0, 255, 255, 256, 0x20005, 0xffffffff]) drop({ reason });
    expect(books().lost).toEqual([
      { way: 'stack_unreadable', reason: 0, count: 1 },
      { way: 'stack_unreadable', reason: 255, count: 2 },
      { way: 'stack_unreadable', reason: undefined, count: 3 },
    ]);
  });

  test('a stack that nobody can find has no frames', () => {
    const { kernel, drop, in: inside, probe, program } = withMethods(bench());
    kernel.stackIds = [8];
    drop({ reason: 2 });
    expect(inside(() => probe.read(program)).stacks).toEqual([{ reason: 2, location: LOCATION, frames: [], count: 1 }]);
  });

  function withMethods(made: Bench<StackProbe>) {
    return {
      kernel: made.kernel,
      probe: made.probe,
      program: made.program,
      drop: (packet: Packet) => made.drop(packet),
      in: <T>(body: () => T) => made.in(body),
      books: () => made.books(),
    };
  }
});

describe('a kernel that gives no reason', () => {
  const old = fakeHost({ parameters: ['skb', 'location'], format: '5.10' });
  const without = (mode: AttachMode): Partial<AccountOptions> => ({ context: dropContext(mode, old) });
  /** What stands where newer kernels have the reason is somebody else's, and must not be looked at. */
  const reason = 7;

  test.each(attachModes)('%s: counts by place, on all CPUs', (mode) => {
    const bench = new Bench(mode, (options) => new PlaceProbe(options), without(mode));
    [0n, 0n, 5n, 0n].forEach((offset, i) => {
      bench.drop({ reason, location: LOCATION + offset }, i % possibleCpus());
    });
    expect([...bench.in(() => bench.probe.read(bench.program))]).toEqual([
      [LOCATION, 3],
      [LOCATION + 5n, 1],
    ]);
    expect(bench.books()).toMatchObject({ seen: 4, filtered: 0, surplus: 0, lost: [] });
  });

  test('places that find no room are lost, under no reason', () => {
    const bench = new Bench('raw_tp', (options) => new PlaceProbe(options), without('raw_tp'));
    const room = bench.kernel.map('by_location').maxEntries;
    for (let i = 0; i < room + 7; i++) bench.drop({ reason, location: LOCATION + BigInt(i) });
    const counts = bench.in(() => bench.probe.read(bench.program));
    expect(counts.size).toBe(room);
    expect(bench.books().lost).toEqual([{ way: 'map_full', reason: undefined, count: 7 }]);
  });

  test.each(attachModes)('%s: records without a reason, and what the ring does not take is lost under none', (mode) => {
    const bench = new Bench(mode, (options) => new TraceProbe(options, 65_536), without(mode));
    bench.kernel.ringRoom = 2;
    for (let i = 0; i < 5; i++) bench.drop({ reason, len: 60, protocol: 0x0800 });
    const [record] = bench.kernel.map('ring').records as [Buffer];
    const data = new DataView(record.buffer, record.byteOffset, record.length);
    const expected = { reason: undefined, location: LOCATION, len: 60, protocol: 0x0800 };
    expect(bench.probe.decode(data, 0)).toMatchObject(expected);
    expect(bench.books().lost).toEqual([{ way: 'ring_full', reason: undefined, count: 3 }]);
  });

  test.each(attachModes)('%s: lengths of all drops', (mode) => {
    const bench = new Bench(mode, (options) => new HistProbe(options, false), without(mode));
    for (const len of [60, 61, 1500]) bench.drop({ reason, len });
    const [histogram] = bench.in(() => bench.probe.read(bench.program)).histograms;
    expect([...histogram!.counts.entries()].filter(([, count]) => count > 0)).toEqual([
      [6, 2],
      [11, 1],
    ]);
  });

  test('lengths cannot be told apart by reason', () => {
    const { context } = without('tp_btf');
    const options = { context: context!, filter: { kind: 'all' }, limit: undefined, guardsReentry: true } as const;
    expect(() => new HistProbe(options, true)).toThrow('so lengths cannot be told apart by reason');
  });

  test.each(attachModes)('%s: stacks, with three ways to lose', (mode) => {
    const bench = new Bench(mode, (options) => new StackProbe(options), without(mode));
    bench.drop({ reason });
    bench.kernel.stackIds = [-errno.EEXIST, -errno.EEXIST];
    bench.drop({ reason });
    bench.kernel.stackIds = [-errno.EFAULT];
    bench.drop({ reason });
    bench.drop({ reason });
    const { stacks, books } = bench.in(() => bench.probe.read(bench.program));
    expect(stacks).toEqual([{ reason: undefined, location: LOCATION, frames: [], count: 1 }]);
    expect(books.lost).toEqual([
      { way: 'stack_collision', reason: undefined, count: 1 },
      { way: 'stack_unreadable', reason: undefined, count: 2 },
    ]);
  });
});

describe('a limit without atomic fetches', () => {
  test.each(attachModes)('%s: as many pass as the queue has room for', (mode) => {
    const options = { limit: 5, fetchesAtomically: false };
    const bench = new Bench(mode, (account) => new CountProbe(account), options);
    for (let i = 0; i < 12; i++) bench.drop({ reason: i % 3 }, i % possibleCpus());
    const { counts, books } = bench.in(() => bench.probe.read(bench.program));
    expect(sum(counts.values())).toBe(5);
    expect(books).toMatchObject({ seen: 12, filtered: 0, surplus: 7, lost: [] });
  });
});

describe('trace', () => {
  const eth0 = { name: 'eth0', ifindex: 3, inum: 0xf0000042 };

  function traced(mode: AttachMode, packet: Packet): ReturnType<TraceProbe['decode']> & { time: number } {
    const bench = new Bench(mode, (options) => new TraceProbe(options, 65_536));
    bench.kernel.time = 123_456_789_012_345n;
    bench.drop(packet);
    const [record] = bench.kernel.map('ring').records as [Buffer];
    const data = new DataView(record.buffer, record.byteOffset, record.length);
    expect(record.length).toBe(RECORD_SIZE);
    return { time: bench.probe.time(data, 0), ...bench.probe.decode(data, 0) };
  }

  const base = { time: 123_456_789_012.345, location: LOCATION, reason: 3 };

  test.each(
    attachModes.flatMap((mode) => {
      const rows: readonly [string, Packet, object][] = [
        [
          'everything',
          { reason: 3, len: 1500, protocol: 0x0800, iif: 2, device: eth0 },
          { ...base, len: 1500, protocol: 0x0800, skbIif: 2, device: { name: 'eth0', ifindex: 3, netns: 0xf0000042 } },
        ],
        [
          'no device, no protocol',
          { reason: 3, len: 40 },
          { ...base, len: 40, protocol: undefined, skbIif: 0, device: undefined },
        ],
        [
          'a device pointer that leads nowhere',
          { reason: 3, len: 40, protocol: 0x86dd, iif: 7, dev: 0x0101_0005_8000_0340n },
          { ...base, len: 40, protocol: 0x86dd, skbIif: 7, device: undefined },
        ],
        [
          'a packet that cannot be read',
          { reason: 3, unreadable: true },
          { ...base, len: 0, protocol: undefined, skbIif: 0, device: undefined },
        ],
        [
          'a subsystem and a name of 15',
          { reason: 0x20005, len: 1, device: { ...eth0, name: 'abcdefghijklmno' } },
          {
            ...base,
            reason: 0x20005,
            len: 1,
            protocol: undefined,
            skbIif: 0,
            device: { name: 'abcdefghijklmno', ifindex: 3, netns: 0xf0000042 },
          },
        ],
      ];
      return rows.map(([name, packet, expected]) => ({ mode, name, packet, expected }));
    }),
  )('$mode: $name', ({ mode, packet, expected }) => {
    expect(traced(mode, packet)).toEqual(expected);
  });

  test('what the ring does not take is lost, by reason', () => {
    const bench = new Bench('tp_btf', (options) => new TraceProbe(options, 65_536));
    bench.kernel.ringRoom = 2;
    for (const reason of [2, 3, 3, 3, 0x20005]) bench.drop({ reason });
    const books = bench.books();
    expect(books.lost).toEqual([
      { way: 'ring_full', reason: 3, count: 2 },
      { way: 'ring_full', reason: undefined, count: 1 },
    ]);
    expect(passed(books)).toBe(bench.kernel.map('ring').records.length + lost(books));
  });

  test('any mixture: seen = filtered + surplus + recorded + lost', () => {
    const packet = fc.record({ reason: fc.constantFrom(2, 3, 5, 200, 256, 0x20005), len: fc.nat() });
    const filter = fc.constantFrom<ReasonFilter>(
      { kind: 'all' },
      { kind: 'not', reasons: new Set([3]) },
      { kind: 'only', reasons: new Set([2, 0x20005]) },
    );
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 40 }),
        filter,
        fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
        fc.nat(20),
        fc.boolean(),
        (packets, filter, limit, room, guardsReentry) => {
          const bench = new Bench('tp_btf', (options) => new TraceProbe(options, 65_536), {
            filter,
            limit,
            guardsReentry,
          });
          bench.kernel.ringRoom = room;
          packets.forEach((packet, i) => {
            bench.drop(packet, i % possibleCpus());
          });
          const wanted = packets.filter(({ reason }) => isIn(filter, reason)).length;
          const pass = Math.min(wanted, limit ?? Infinity);
          const books = bench.books();
          expect(books).toMatchObject({
            seen: packets.length,
            filtered: packets.length - wanted,
            surplus: wanted - pass,
          });
          expect(bench.kernel.map('ring').records).toHaveLength(Math.min(pass, room));
          expect(lost(books)).toBe(pass - Math.min(pass, room));
        },
      ),
      { numRuns: 60 },
    );
  });
});
