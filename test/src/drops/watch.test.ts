import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { countDrops } from '../../../src/drops/count.ts';
import { dropHistogram } from '../../../src/drops/histogram.ts';
import type { WatchOptions } from '../../../src/drops/session.ts';
import { dropStacks } from '../../../src/drops/stacks.ts';
import { NoReasonsError } from '../../../src/kernel/reasons.ts';
import type { AttachMode } from '../../../src/probes/context.ts';
import { PermissionError } from '../../../src/sys/capabilities.ts';
import { SkbdropError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { kernelBlob, offsets } from '../../helpers/fake-host.ts';
import { FakeKernel } from '../../helpers/fake-kernel.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';
import { fixture, withFiles, withFolder } from '../../helpers/files.ts';

noLeaks();

const { blob } = kernelBlob();
const [PROG_LOAD, RAW_TRACEPOINT_OPEN] = [5, 17];
const SKB = 0xffff_8881_0000_0000n;

/** Linux 5.10, as far as it matters here. */
const old = {
  blob: kernelBlob({ parameters: ['skb', 'location'], reasons: [], guardsReentry: false }).blob,
  format: '5.10',
};

interface Machine {
  /** undefined: there is no BTF. */
  readonly blob: Uint8Array | undefined;
  readonly format: string;
}

/** Runs `body` on a kernel that is not there: its BTF is a file, its symbols are few, its capabilities all. */
function on(
  kernel: FakeKernel,
  body: (options: WatchOptions) => void,
  machine: Machine = { blob, format: '6.18' },
): void {
  const folder = '/sys/kernel/tracing/events/skb/kfree_skb';
  const lockdown = kernel.reads ? '[none] integrity confidentiality\n' : 'none integrity [confidentiality]\n';
  const files = {
    '/sys/kernel/tracing/events': '',
    [folder]: '',
    [`${folder}/format`]: fixture(`format/${machine.format}.format`),
    [`${folder}/id`]: '2310\n',
    '/proc/kallsyms': 'ffffffff81000000 T tcp_v4_rcv\nffffffff81001000 T ip_rcv\nffffffff81002000 D data\n',
    '/proc/self/status': 'CapEff:\t000001ffffffffff\n',
    '/sys/kernel/security/lockdown': lockdown,
    ...(machine.blob === undefined ? { '/sys/kernel/btf/vmlinux': undefined } : {}),
  };
  if (machine.blob === undefined) {
    withNative(kernel, () => withFiles(files, () => body({})));
    return;
  }
  const { blob } = machine;
  withFolder((folder) => {
    const btf = join(folder, 'btf');
    writeFileSync(btf, blob);
    withNative(kernel, () => withFiles(files, () => body({ btf })));
  });
}

function drop(kernel: FakeKernel, reason: number, len = 0, location = 0xffffffff81000001n): void {
  const context = Buffer.alloc(32);
  context.writeBigUInt64LE(SKB, 0);
  context.writeBigUInt64LE(location, 8);
  context.writeUInt32LE(reason, 16);
  const skb = { start: SKB, bytes: Buffer.alloc(offsets.skb.size) };
  skb.bytes.writeUInt32LE(len, offsets.skb.len);
  kernel.run([...kernel.programs.keys()].at(-1)!, context, [skb]);
}

/** A drop on a kernel that gives no reason. */
function dropAt(kernel: FakeKernel, mode: AttachMode, location: bigint): void {
  const context = Buffer.alloc(40);
  const [skbAt, locationAt] = mode === 'tracepoint' ? [8, 16] : [0, 8];
  context.writeBigUInt64LE(SKB, skbAt);
  context.writeBigUInt64LE(location, locationAt);
  kernel.run([...kernel.programs.keys()].at(-1)!, context);
}

test('counts: the most frequent first, equal ones by name; the books close', () => {
  const kernel = new FakeKernel();
  on(kernel, (options) => {
    using watch = countDrops({ ...options, notReasons: ['TCP_CSUM'], limit: 6 });
    expect(watch.mode).toBe('tp_btf');
    expect(watch.read()).toEqual([]);
    for (const reason of [3, 12, 10, 3, 0x20005, 12, 4, 5]) drop(kernel, reason);
    expect(watch.limitReached).toBe(true);
    expect(watch.read().map(({ reason, count }) => [reason, count])).toEqual([
      ['SKB_DROP_REASON_NETFILTER_DROP', 2],
      ['SKB_DROP_REASON_NO_SOCKET', 2],
      ['SKB_DROP_REASON_SOCKET_CLOSE', 1],
      ['subsystem 2#5', 1],
    ]);
    watch.detach();
    const books = { seen: 8, filtered: 1, surplus: 1, passed: 6, reported: 6, lost: 0, unaccounted: 0 };
    expect(watch.summary()).toMatchObject(books);
    watch.close();
    watch.close();
    expect(watch.summary(), 'still there').toMatchObject(books);
  });
});

test('histograms: from the shortest that occurred to the longest, the fullest first', () => {
  const kernel = new FakeKernel();
  on(kernel, (options) => {
    using one = dropHistogram(options);
    for (const len of [0, 5, 40, 0xffffffff]) drop(kernel, 3, len);
    const [histogram] = one.read();
    expect(histogram?.buckets.length).toBe(33);
    expect(histogram?.buckets.filter(({ count }) => count > 0)).toEqual([
      { low: 0, high: 1, count: 1 },
      { low: 4, high: 8, count: 1 },
      { low: 32, high: 64, count: 1 },
      { low: 2 ** 31, high: 2 ** 32, count: 1 },
    ]);
  });
  const other = new FakeKernel();
  on(other, (options) => {
    using split = dropHistogram({ ...options, by: 'reason' });
    expect(split.read()).toEqual([]);
    drop(other, 3, 40);
    drop(other, 12, 2);
    drop(other, 12, 10);
    expect(split.read()).toEqual([
      {
        reason: 'SKB_DROP_REASON_NETFILTER_DROP',
        reasonNumber: 12,
        total: 2,
        buckets: [
          { low: 2, high: 4, count: 1 },
          { low: 4, high: 8, count: 0 },
          { low: 8, high: 16, count: 1 },
        ],
      },
      { reason: 'SKB_DROP_REASON_NO_SOCKET', reasonNumber: 3, total: 1, buckets: [{ low: 32, high: 64, count: 1 }] },
    ]);
    expect(split.summary()).toMatchObject({ passed: 3, reported: 3, unaccounted: 0 });
  });
});

test('stacks: the story begins where the packet was given up; without -r, those without a reason', () => {
  const kernel = new FakeKernel();
  const [location, caller, head, other] = [
    0xffffffff81000011n,
    0xffffffff81001022n,
    0xffffffff81001fffn,
    0xffffffff81001ffen,
  ];
  on(kernel, (options) => {
    using watch = dropStacks(options);
    const keep = (id: number, ...frames: bigint[]): void => {
      const memory = kernel.map('stacks').add(Buffer.from(Uint32Array.of(id).buffer))[0]!;
      frames.forEach((frame, i) => void memory.bytes.writeBigUInt64LE(frame, i * 8));
    };
    keep(1, head, location, caller);
    keep(2, head, other, location, caller);
    for (const [id, reason] of [
      [1, 2],
      [2, 2],
      [1, 3],
      [1, 2],
    ] as const) {
      kernel.stackIds = [id];
      drop(kernel, reason, 0, location);
    }
    const stacks = watch.read();
    expect(stacks.map(({ reason, count, frames }) => [reason, count, frames.map(({ text }) => text)])).toEqual([
      ['SKB_DROP_REASON_NOT_SPECIFIED', 3, ['tcp_v4_rcv+0x11', 'ip_rcv+0x22']],
    ]);
    expect(stacks[0]!.head, 'the longer of the two').toHaveLength(2);
    expect(watch.summary()).toMatchObject({ seen: 4, filtered: 1, reported: 3, unaccounted: 0 });
  });
});

describe('a kernel that gives no reason', () => {
  const oldKernel = (): FakeKernel => Object.assign(new FakeKernel(), { arguments: 2, fetches: false });

  test.each([
    // BTF                        how
    ['with BTF', 'auto', old, 'tp_btf'],
    ['with BTF', 'raw_tp', old, 'raw_tp'],
    ['with BTF', 'tracepoint', old, 'tracepoint'],
    ['without BTF', 'auto', { ...old, blob: undefined }, 'raw_tp'],
    ['without BTF', 'tracepoint', { ...old, blob: undefined }, 'tracepoint'],
  ] as const)('%s, %s: counted by function', (_, attach, machine, mode) => {
    const kernel = oldKernel();
    on(
      kernel,
      (options) => {
        using watch = countDrops({ ...options, attach, limit: 4 });
        expect([watch.mode, watch.hasReasons]).toEqual([mode, false]);
        for (const location of [0xffffffff81000011n, 0xffffffff81001022n, 0xffffffff81000011n]) {
          dropAt(kernel, mode, location);
        }
        expect(watch.read()).toEqual([
          { reason: undefined, reasonNumber: undefined, location: 'tcp_v4_rcv+0x11', count: 2 },
          { reason: undefined, reasonNumber: undefined, location: 'ip_rcv+0x22', count: 1 },
        ]);
        expect(watch.limitReached).toBe(false);
        for (let i = 0; i < 3; i++) dropAt(kernel, mode, 0xffffffff81001022n);
        expect(watch.limitReached).toBe(true);
        const books = { seen: 6, surplus: 2, passed: 4, reported: 4, lost: 0, losses: [], unaccounted: 0 };
        expect(watch.summary()).toMatchObject(books);
        expect(watch.notes.join('\n')).not.toContain('drop reasons have names');
      },
      machine,
    );
  });

  test.each([
    [{ reasons: ['NO_SOCKET'] }],
    [{ notReasons: ['NO_SOCKET'] }],
    [{ reasons: ['*'], notReasons: ['TCP_*'] }],
  ])('%j cannot be chosen, with BTF or without', (selection) => {
    for (const machine of [old, { ...old, blob: undefined }]) {
      on(
        oldKernel(),
        (options) => {
          const error = thrown(NoReasonsError, () => countDrops({ ...options, ...selection }));
          expect(error.code).toBe('unsupported');
          expect(error.message).toBe(
            'this kernel gives no reason for a drop (Linux 5.17 and later do), so none can be chosen',
          );
        },
        machine,
      );
    }
  });

  test('everything can be chosen', () => {
    on(oldKernel(), (options) => countDrops({ ...options, reasons: ['*'] }).close(), old);
  });

  test('stacks are those of all drops, and have no reason', () => {
    const kernel = oldKernel();
    on(
      kernel,
      (options) => {
        using watch = dropStacks(options);
        dropAt(kernel, 'tp_btf', 0xffffffff81000011n);
        expect(watch.read()).toMatchObject([{ reason: undefined, count: 1 }]);
        expect(watch.summary()).toMatchObject({ seen: 1, filtered: 0, reported: 1, unaccounted: 0 });
      },
      old,
    );
  });

  test('lengths are counted, but not by reason', () => {
    on(
      oldKernel(),
      (options) => {
        dropHistogram(options).close();
        expect(() => dropHistogram({ ...options, by: 'reason' })).toThrow(NoReasonsError);
      },
      old,
    );
  });
});

describe('a kernel that is locked down', () => {
  test.each(['raw_tp', 'tracepoint'] as const)('%s: counts work, lengths do not, and it says why', (attach) => {
    const kernel = Object.assign(new FakeKernel(), { reads: false });
    on(kernel, (options) => {
      countDrops({ ...options, attach }).close();
      const error = thrown(SkbdropError, () => dropHistogram({ ...options, attach }));
      expect([error.code, error.message]).toEqual([
        'permission',
        'cannot read the lengths of packets: the kernel is locked down (confidentiality)',
      ]);
    });
  });

  test('tp_btf reads without the helper', () => {
    const kernel = Object.assign(new FakeKernel(), { reads: false });
    on(kernel, (options) => {
      using watch = dropHistogram(options);
      expect(watch.mode).toBe('tp_btf');
    });
  });
});

test('-n without atomic fetches is as exact', () => {
  const kernel = Object.assign(new FakeKernel(), { fetches: false });
  on(kernel, (options) => {
    using watch = countDrops({ ...options, limit: 3 });
    for (const reason of [3, 12, 10, 3, 4]) drop(kernel, reason);
    expect(watch.summary()).toMatchObject({ seen: 5, surplus: 2, passed: 3, reported: 3, unaccounted: 0 });
    expect(watch.notes.some((note) => note.includes('room in a queue'))).toBe(true);
  });
});

describe('ways to attach', () => {
  test.each([
    [[], 'tp_btf'],
    [[PROG_LOAD], 'tp_btf'],
    [[RAW_TRACEPOINT_OPEN], 'raw_tp'],
  ] as const)('where %j is refused once with EINVAL: %s', (commands, mode) => {
    const kernel = new FakeKernel();
    for (const command of commands) kernel.refuse.set(command, errno.EINVAL);
    on(kernel, (options) => {
      using watch = countDrops(options);
      expect(watch.mode).toBe(mode);
      expect(watch.notes.some((note) => note.startsWith('tp_btf does not work here: '))).toBe(mode !== 'tp_btf');
    });
  });

  test('a way that was asked for is the only one that is tried', () => {
    const kernel = new FakeKernel();
    kernel.refuse.set(RAW_TRACEPOINT_OPEN, errno.EINVAL);
    on(kernel, (options) => {
      expect(() => countDrops({ ...options, attach: 'tp_btf' })).toThrow('BPF_RAW_TRACEPOINT_OPEN): EINVAL');
    });
  });

  test('not permitted, with every capability', () => {
    const kernel = new FakeKernel();
    kernel.refuse.set(PROG_LOAD, errno.EPERM);
    on(kernel, (options) => {
      const error = thrown(PermissionError, () => countDrops({ ...options, attach: 'raw_tp' }));
      expect(error.missing).toEqual([]);
    });
  });

  test('a reason that is none is wrong usage, before anything is loaded', () => {
    const kernel = new FakeKernel();
    on(kernel, (options) => {
      expect(thrown(SkbdropError, () => countDrops({ ...options, reasons: ['NOPE'] })).code).toBe('usage');
      expect(kernel.calls).toEqual([]);
    });
  });
});
