import { describe, expect, test } from 'vitest';
import {
  btfById,
  btfIds,
  enableStats,
  mapCreate,
  mapLookup,
  mapLookupBatch,
  mapNextKey,
  mapUpdate,
  progInfoByFd,
  progLoad,
  progTestRun,
  rawTracepointOpen,
} from '../../../src/sys/bpf.ts';
import { SyscallError } from '../../../src/sys/errors.ts';
import { Fd } from '../../../src/sys/fd.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';

// enum bpf_cmd, include/uapi/linux/bpf.h.
const cmd = {
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
  ENABLE_STATS: 32,
} as const;

/** What the kernel reads and writes: the attribute of the call, and whatever it points at. */
interface Bpf {
  readonly command: number;
  readonly attr: Buffer;
  readonly fake: FakeNative;
}

/** Runs `body` with a kernel that answers bpf(2) like this; gives its result and the attributes it saw. */
function bpf<T>(
  answer: (call: Bpf) => number,
  body: () => T,
): { result: T; seen: { command: number; attr: Buffer }[] } {
  const seen: { command: number; attr: Buffer }[] = [];
  const fake = new FakeNative(({ name, args }, fake) => {
    expect(name).toBe('bpf');
    const [command, pointer, size] = args;
    expect(size, 'sizeof(union bpf_attr)').toBe(168n);
    const attr = fake.at(pointer!, 168);
    seen.push({ command: Number(command), attr: Buffer.from(attr) });
    return answer({ command: Number(command), attr, fake });
  });
  return { result: withNative(fake, body), seen };
}

/** 168 bytes, zero but for these: `[offset, size, value]`. */
function attribute(...fields: readonly [offset: number, size: number, value: number | bigint | string][]): string {
  const bytes = Buffer.alloc(168);
  for (const [offset, size, value] of fields) {
    if (typeof value === 'string') bytes.write(value, offset, size, 'latin1');
    else bytes.writeUIntLE(Number(value), offset, Math.min(size, 6));
  }
  return bytes.toString('hex');
}

noLeaks();
const map = (): Fd => new Fd(realFd(), 'map test');

describe('BPF_MAP_CREATE', () => {
  test('the attribute', () => {
    const { result, seen } = bpf(realFd, () =>
      mapCreate({ type: 6, keySize: 4, valueSize: 2080, maxEntries: 1, name: 'books' }),
    );
    using fd = result;
    expect(fd.what).toBe('map books');
    expect(seen.map(({ command }) => command)).toEqual([cmd.MAP_CREATE]);
    expect(seen[0]!.attr.toString('hex')).toBe(
      attribute([0, 4, 6], [4, 4, 4], [8, 4, 2080], [12, 4, 1], [28, 16, 'books']),
    );
  });

  test('a refusal names the call', () => {
    const error = thrown(SyscallError, () =>
      bpf(
        () => -errno.EPERM,
        () => mapCreate({ type: 1, keySize: 4, valueSize: 8, maxEntries: 1, name: 'x' }),
      ),
    );
    expect(error).toMatchObject({ call: 'bpf(BPF_MAP_CREATE)', errnoName: 'EPERM' });
  });
});

describe('one element', () => {
  const key = Buffer.from('01020304', 'hex');

  test('lookup fills the value', () => {
    using owner = map();
    const value = Buffer.alloc(8);
    const { result, seen } = bpf(
      ({ attr, fake }) => {
        expect(fake.at(attr.readBigUInt64LE(8)).toString('hex')).toBe('01020304');
        fake.at(attr.readBigUInt64LE(16), 8).writeBigUInt64LE(77n);
        return 0;
      },
      () => mapLookup(owner, key, value),
    );
    expect(result).toBe(true);
    expect(value.readBigUInt64LE()).toBe(77n);
    expect(seen[0]).toMatchObject({ command: cmd.MAP_LOOKUP_ELEM });
    expect(seen[0]!.attr.readUInt32LE(0)).toBe(owner.fd);
    expect(seen[0]!.attr.subarray(24).every((byte) => byte === 0)).toBe(true);
  });

  test.each([
    // errno      outcome
    ['ENOENT', false],
    ['EPERM', 'bpf(BPF_MAP_LOOKUP_ELEM): EPERM (operation not permitted)'],
    ['EFAULT', 'bpf(BPF_MAP_LOOKUP_ELEM): EFAULT (bad address)'],
  ] as const)('lookup, %s', (name, outcome) => {
    using owner = map();
    const run = (): boolean =>
      bpf(
        () => -errno[name],
        () => mapLookup(owner, key, Buffer.alloc(8)),
      ).result;
    if (outcome === false) expect(run()).toBe(false);
    else expect(run).toThrow(outcome);
  });

  test('update', () => {
    using owner = map();
    const { seen } = bpf(
      ({ attr, fake }) => {
        expect(fake.at(attr.readBigUInt64LE(8)).toString('hex')).toBe('01020304');
        expect(fake.at(attr.readBigUInt64LE(16)).toString('hex')).toBe('aabb');
        return 0;
      },
      () => mapUpdate(owner, key, Buffer.from('aabb', 'hex'), 1),
    );
    expect(seen[0]!.command).toBe(cmd.MAP_UPDATE_ELEM);
    expect(seen[0]!.attr.readBigUInt64LE(24)).toBe(1n);
    expect(() =>
      bpf(
        () => -errno.E2BIG,
        () => mapUpdate(owner, key, key),
      ),
    ).toThrow('BPF_MAP_UPDATE_ELEM): E2BIG');
  });

  test('next key: from nothing, from a key, at the end, and what else goes wrong', () => {
    using owner = map();
    const next = Buffer.alloc(4);
    const first = bpf(
      ({ attr, fake }) => {
        fake.at(attr.readBigUInt64LE(16)).writeUInt32LE(9);
        return 0;
      },
      () => mapNextKey(owner, undefined, next),
    );
    expect(first.result).toBe(true);
    expect(next.readUInt32LE()).toBe(9);
    expect(first.seen[0]!.command).toBe(cmd.MAP_GET_NEXT_KEY);
    expect(first.seen[0]!.attr.readBigUInt64LE(8), 'no key is the null pointer').toBe(0n);
    bpf(
      ({ attr, fake }) => {
        expect(fake.at(attr.readBigUInt64LE(8)).toString('hex')).toBe('01020304');
        return 0;
      },
      () => mapNextKey(owner, key, next),
    );
    expect(
      bpf(
        () => -errno.ENOENT,
        () => mapNextKey(owner, key, next),
      ).result,
    ).toBe(false);
    expect(() =>
      bpf(
        () => -errno.EINVAL,
        () => mapNextKey(owner, key, next),
      ),
    ).toThrow('BPF_MAP_GET_NEXT_KEY): EINVAL');
  });
});

describe('BPF_MAP_LOOKUP_BATCH', () => {
  function lookup(
    outcome: number,
    filled: number,
    from?: Buffer,
  ): ReturnType<typeof bpf<ReturnType<typeof mapLookupBatch>>> {
    using owner = map();
    return bpf(
      ({ attr }) => {
        expect(attr.readUInt32LE(36)).toBe(owner.fd);
        expect(attr.readUInt32LE(32), 'count').toBe(16);
        attr.writeUInt32LE(filled, 32);
        return outcome;
      },
      () => mapLookupBatch(owner, from, Buffer.alloc(8), Buffer.alloc(64), Buffer.alloc(128), 16),
    );
  }

  test.each<[string, number, number, ReturnType<typeof mapLookupBatch>]>([
    ['more to come', 0, 16, { filled: 16, last: false }],
    ['the last, whose count is valid', -errno.ENOENT, 5, { filled: 5, last: true }],
    ['the last, empty', -errno.ENOENT, 0, { filled: 0, last: true }],
    ['a bucket that does not fit', -errno.ENOSPC, 0, -errno.ENOSPC],
    ['a map without batches', -errno.EINVAL, 0, -errno.EINVAL],
    ['the same, of old', -524, 0, -524],
  ])('%s', (_, outcome, filled, expected) => {
    expect(lookup(outcome, filled).result).toEqual(expected);
  });

  test('the cursor: null at first, then what the kernel gave', () => {
    expect(lookup(0, 1).seen[0]!.attr.readBigUInt64LE(0)).toBe(0n);
    expect(lookup(0, 1, Buffer.alloc(8)).seen[0]!.attr.readBigUInt64LE(0)).not.toBe(0n);
    expect(lookup(0, 1).seen[0]!.command).toBe(cmd.MAP_LOOKUP_BATCH);
  });
});

describe('BPF_PROG_LOAD', () => {
  const insns = Buffer.from('b7000000000000009500000000000000', 'hex');

  test('without a log', () => {
    const { result, seen } = bpf(
      ({ attr, fake }) => {
        expect(fake.at(attr.readBigUInt64LE(8)).equals(insns)).toBe(true);
        expect(fake.text(attr.readBigUInt64LE(16))).toBe('GPL');
        return realFd();
      },
      () => progLoad({ type: 26, name: 'skbdrop_count', insns, expectedAttachType: 23, attachBtfId: 93471 }),
    );
    expect(result).toBeInstanceOf(Fd);
    using fd = result as Fd;
    expect(fd.what).toBe('program skbdrop_count');
    const { attr, command } = seen[0]!;
    expect(command).toBe(cmd.PROG_LOAD);
    // The two addresses are the fake's; everything else is this.
    attr.fill(0, 8, 24);
    expect(attr.toString('hex')).toBe(
      attribute([0, 4, 26], [4, 4, 2], [48, 16, 'skbdrop_count'], [68, 4, 23], [108, 4, 93471]),
    );
  });

  test('with a log', () => {
    const buffer = Buffer.alloc(4096);
    const { result, seen } = bpf(
      ({ attr, fake }) => {
        fake.at(attr.readBigUInt64LE(32), 4096).write('R0 !read_ok\n');
        return -errno.EACCES;
      },
      () => progLoad({ type: 5, name: 'x', insns, log: { level: 1, buffer } }),
    );
    expect(result).toBe(-errno.EACCES);
    expect(buffer.toString('latin1', 0, 11)).toBe('R0 !read_ok');
    const { attr } = seen[0]!;
    expect([attr.readUInt32LE(24), attr.readUInt32LE(28)]).toEqual([1, 4096]);
    expect([attr.readUInt32LE(68), attr.readUInt32LE(108)]).toEqual([0, 0]);
  });
});

test('BPF_PROG_TEST_RUN', () => {
  using program = new Fd(realFd(), 'program');
  const { result, seen } = bpf(
    ({ attr, fake }) => {
      expect(fake.at(attr.readBigUInt64LE(16)).toString('hex')).toBe('0102');
      expect(fake.at(attr.readBigUInt64LE(48)).length).toBe(16);
      attr.writeUInt32LE(0xfffffffe, 4);
      return 0;
    },
    () =>
      progTestRun(program, {
        data: Buffer.from([1, 2]),
        context: Buffer.alloc(16),
        repeat: 64,
        flags: 2,
        batchSize: 64,
      }),
  );
  expect(result).toBe(0xfffffffe);
  const { attr, command } = seen[0]!;
  expect(command).toBe(cmd.PROG_TEST_RUN);
  attr.fill(0, 16, 24).fill(0, 48, 56);
  expect(attr.toString('hex')).toBe(
    attribute([0, 4, program.fd], [8, 4, 2], [32, 4, 64], [40, 4, 16], [64, 4, 2], [72, 4, 64]),
  );
  expect(() =>
    bpf(
      () => -524,
      () => progTestRun(program, {}),
    ),
  ).toThrow('BPF_PROG_TEST_RUN): ENOTSUPP');
});

describe('BPF_RAW_TRACEPOINT_OPEN', () => {
  test.each([
    ['kfree_skb', 'link kfree_skb'],
    [undefined, 'link program count'],
  ])('%s', (name, what) => {
    using program = new Fd(realFd(), 'program count');
    const { result, seen } = bpf(
      ({ attr, fake }) => {
        const pointer = attr.readBigUInt64LE(0);
        expect(pointer === 0n ? undefined : fake.text(pointer)).toBe(name);
        return realFd();
      },
      () => rawTracepointOpen(program, name),
    );
    using link = result;
    expect(link.what).toBe(what);
    const { attr, command } = seen[0]!;
    expect(command).toBe(cmd.RAW_TRACEPOINT_OPEN);
    expect(attr.fill(0, 0, 8).toString('hex')).toBe(attribute([8, 4, program.fd]));
  });
});

describe('BPF_OBJ_GET_INFO_BY_FD', () => {
  test('a program', () => {
    using program = new Fd(realFd(), 'program');
    const { result, seen } = bpf(
      ({ attr, fake }) => {
        expect([attr.readUInt32LE(0), attr.readUInt32LE(4)]).toEqual([program.fd, 232]);
        const info = fake.at(attr.readBigUInt64LE(8), 232);
        info.writeUInt32LE(42, 4);
        info.writeUInt32LE(512, 16);
        info.writeUInt32LE(800, 20);
        info.writeBigUInt64LE(123_456_789_012n, 192);
        info.writeBigUInt64LE(5n, 200);
        info.writeBigUInt64LE(3n, 208);
        info.writeUInt32LE(99, 216);
        attr.writeUInt32LE(224, 4);
        return 0;
      },
      () => progInfoByFd(program),
    );
    expect(seen[0]!.command).toBe(cmd.OBJ_GET_INFO_BY_FD);
    expect(result).toEqual({
      id: 42,
      runTimeNs: 123_456_789_012n,
      runCount: 5n,
      recursionMisses: 3n,
      verifiedInsns: 99,
      xlatedLength: 800,
      jitedLength: 512,
      length: 224,
    });
  });

  test('a BTF object: its size first, then its bytes; its descriptor is closed', () => {
    const bytes = Buffer.from('9feb0100deadbeef', 'hex');
    let object = 0;
    const { result, seen } = bpf(
      ({ command, attr, fake }) => {
        if (command === cmd.BTF_GET_FD_BY_ID) {
          expect(attr.readUInt32LE(0)).toBe(7);
          object = realFd();
          return object;
        }
        expect([attr.readUInt32LE(0), attr.readUInt32LE(4)]).toEqual([object, 32]);
        const info = fake.at(attr.readBigUInt64LE(8), 32);
        const room = info.readUInt32LE(8);
        if (room > 0) fake.at(info.readBigUInt64LE(0), room).set(bytes);
        else expect(info.readBigUInt64LE(0)).toBe(0n);
        info.writeUInt32LE(bytes.length, 8);
        expect(info.readUInt32LE(24)).toBe(64);
        fake.at(info.readBigUInt64LE(16), 64).write('nf_tables\0');
        info.writeUInt32LE(1, 28);
        return 0;
      },
      () => btfById(7),
    );
    expect(result).toEqual({ name: 'nf_tables', bytes, ofKernel: true });
    expect(seen.map(({ command }) => command)).toEqual([
      cmd.BTF_GET_FD_BY_ID,
      cmd.OBJ_GET_INFO_BY_FD,
      cmd.OBJ_GET_INFO_BY_FD,
    ]);
  });

  test('a BTF object that cannot be read: its descriptor is closed all the same', () => {
    expect(() =>
      bpf(
        ({ command }) => (command === cmd.BTF_GET_FD_BY_ID ? realFd() : -errno.EPERM),
        () => btfById(7),
      ),
    ).toThrow('BPF_OBJ_GET_INFO_BY_FD): EPERM');
  });
});

describe('the ids of BTF objects', () => {
  test('each in turn, until there are no more', () => {
    const ids = [1, 2, 9, 40];
    const { result, seen } = bpf(
      ({ attr }) => {
        const next = ids.find((id) => id > attr.readUInt32LE(0));
        if (next === undefined) return -errno.ENOENT;
        attr.writeUInt32LE(next, 4);
        return 0;
      },
      () => [...btfIds()],
    );
    expect(result).toEqual(ids);
    expect(seen.every(({ command }) => command === cmd.BTF_GET_NEXT_ID)).toBe(true);
  });

  test('not permitted', () => {
    expect(() =>
      bpf(
        () => -errno.EPERM,
        () => [...btfIds()],
      ),
    ).toThrow('BPF_BTF_GET_NEXT_ID): EPERM');
  });
});

test('BPF_ENABLE_STATS', () => {
  const { result, seen } = bpf(realFd, enableStats);
  using fd = result;
  expect(fd.what).toBe('statistics');
  expect(seen[0]).toMatchObject({ command: cmd.ENABLE_STATS });
  expect(seen[0]!.attr.toString('hex')).toBe(attribute());
});
