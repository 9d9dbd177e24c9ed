import { describe, expect, test } from 'vitest';
import { wallClockOffset } from '../../../src/sys/clock.ts';
import { OneShotWatch } from '../../../src/sys/epoll.ts';
import { NotSupportedError, SyscallError } from '../../../src/sys/errors.ts';
import { Fd } from '../../../src/sys/fd.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { Mapping, pageSize } from '../../../src/sys/memory.ts';
import { detachedMount } from '../../../src/sys/mount.ts';
import { openTracepoint } from '../../../src/sys/perf.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { type Call, FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';

noLeaks();

/** The names of the calls that a fake saw. */
const names = (calls: readonly Call[]): string[] => calls.map(({ name }) => name);

describe('detachedMount', () => {
  /** A kernel where this call fails, or none. */
  const mounting = (failing?: string, error: number = errno.EPERM): FakeNative =>
    new FakeNative(({ name }, fake) => {
      if (name === failing) return -error;
      if (name === 'fsopen') expect(fake.text(fake.calls.at(-1)!.args[0]!)).toBe('tracefs');
      return name === 'fsconfig' ? 0 : realFd();
    });

  test('opens, creates, mounts read-only; only the mount stays open', () => {
    const fake = mounting();
    using mount = withNative(fake, () => detachedMount('tracefs'));
    expect(mount.what).toBe('tracefs (mounted nowhere)');
    const [FSOPEN_CLOEXEC, FSCONFIG_CMD_CREATE, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY] = [1n, 6n, 1n, 1n];
    expect(names(fake.calls)).toEqual(['fsopen', 'fsconfig', 'fsmount']);
    expect(fake.calls.map(({ args }) => args[1])).toEqual([FSOPEN_CLOEXEC, FSCONFIG_CMD_CREATE, FSMOUNT_CLOEXEC]);
    expect(fake.calls[1]!.args.slice(2)).toEqual([0n, 0n, 0n, 0n]);
    expect(fake.calls[2]!.args[2]).toBe(MOUNT_ATTR_RDONLY);
  });

  test.each([
    // what fails   how       what is said
    ['fsopen', errno.EPERM, 'fsopen(tracefs): EPERM (operation not permitted)'],
    ['fsopen', errno.ENODEV, 'fsopen(tracefs): ENODEV (no such device)'],
    ['fsconfig', errno.EPERM, 'fsconfig(tracefs): EPERM (operation not permitted)'],
    ['fsmount', errno.EMFILE, 'fsmount(tracefs): EMFILE (too many open files in this process)'],
  ])('%s fails with %i: nothing stays open', (call, error, message) => {
    const fake = mounting(call, error);
    expect(thrown(SyscallError, () => withNative(fake, () => detachedMount('tracefs'))).message).toBe(message);
  });

  test('a kernel without fsopen()', () => {
    const error = thrown(NotSupportedError, () =>
      withNative(mounting('fsopen', errno.ENOSYS), () => detachedMount('tracefs')),
    );
    expect(error.message).toBe('this kernel has no fsopen() (Linux 5.2 and later have it)');
  });
});

describe('openTracepoint', () => {
  const [PERF_EVENT_IOC_SET_BPF, PERF_EVENT_IOC_ENABLE] = [0x40042408n, 0x2400n];

  test('the event, the program, then on', () => {
    using program = new Fd(realFd(), 'program');
    const fake = new FakeNative(({ name, args }, fake) => {
      if (name !== 'perf_event_open') return 0;
      const attr = fake.at(args[0]!, 112);
      const bytes = Buffer.alloc(112);
      // PERF_TYPE_TRACEPOINT, the size, the tracepoint's id, a period of 1.
      bytes.writeUInt32LE(2, 0);
      bytes.writeUInt32LE(112, 4);
      bytes.writeBigUInt64LE(2310n, 8);
      bytes.writeBigUInt64LE(1n, 16);
      expect(attr.toString('hex')).toBe(bytes.toString('hex'));
      const [anyPid, cpu, noGroup, PERF_FLAG_FD_CLOEXEC] = [2n ** 64n - 1n, 0n, 2n ** 64n - 1n, 8n];
      expect(args.slice(1, 5)).toEqual([anyPid, cpu, noGroup, PERF_FLAG_FD_CLOEXEC]);
      return realFd();
    });
    using event = withNative(fake, () => openTracepoint(2310, program));
    expect(event.what).toBe('perf event of tracepoint 2310');
    const fd = BigInt(event.fd);
    expect(fake.calls.slice(1).map(({ args }) => args.slice(0, 3))).toEqual([
      [fd, PERF_EVENT_IOC_SET_BPF, BigInt(program.fd)],
      [fd, PERF_EVENT_IOC_ENABLE, 0n],
    ]);
  });

  test.each([
    [undefined, 'perf_event_open: EACCES'],
    [PERF_EVENT_IOC_SET_BPF, 'ioctl(PERF_EVENT_IOC_SET_BPF): EACCES'],
    [PERF_EVENT_IOC_ENABLE, 'ioctl(PERF_EVENT_IOC_ENABLE): EACCES'],
  ])('a failure of %s leaves nothing open', (failing, message) => {
    using program = new Fd(realFd(), 'program');
    const fake = new FakeNative(({ name, args }) => {
      if (name === 'perf_event_open') return failing === undefined ? -errno.EACCES : realFd();
      return args[1] === failing ? -errno.EACCES : 0;
    });
    expect(() => withNative(fake, () => openTracepoint(1, program))).toThrow(message);
  });
});

describe('wallClockOffset', () => {
  /** Clocks that read these values one after the other: [clock, nanoseconds]. */
  function clocks(readings: readonly (readonly [clock: bigint, time: bigint])[]): FakeNative {
    let next = 0;
    return new FakeNative(({ name, args }, fake) => {
      expect(name).toBe('clock_gettime');
      const [clock, time] = readings[next++]!;
      expect(args[0]).toBe(clock);
      const timespec = fake.at(args[1]!, 16);
      timespec.writeBigInt64LE(time / 1_000_000_000n, 0);
      timespec.writeBigInt64LE(time % 1_000_000_000n, 8);
      return 0;
    });
  }
  const [REALTIME, MONOTONIC] = [0n, 1n];
  /** One look: the monotonic clock, the wall clock, the monotonic one `width` later. */
  const look = (start: bigint, wall: bigint, width: bigint) =>
    [
      [MONOTONIC, start],
      [REALTIME, wall],
      [MONOTONIC, start + width],
    ] as const;
  const EPOCH = 1_790_000_000_123_456_789n;

  test.each<[string, readonly (readonly [bigint, bigint])[], bigint]>([
    [
      'three alike',
      [look(1000n, EPOCH + 1050n, 100n), look(2000n, EPOCH + 2050n, 100n), look(3000n, EPOCH + 3050n, 100n)].flat(),
      EPOCH,
    ],
    [
      'the narrowest counts',
      [look(0n, EPOCH + 9_999n, 5000n), look(10_000n, EPOCH + 10_010n, 20n), look(20_000n, EPOCH, 8000n)].flat(),
      EPOCH,
    ],
    ['the first of equals', [look(0n, EPOCH + 50n, 100n), look(500n, 0n, 100n), look(900n, 0n, 100n)].flat(), EPOCH],
    [
      'a wall clock before the machine started',
      [look(10n ** 12n, 5n, 0n), look(10n ** 12n, 5n, 1n), look(10n ** 12n, 5n, 1n)].flat(),
      5n - 10n ** 12n,
    ],
  ])('%s', (_, readings, offset) => {
    expect(withNative(clocks(readings), wallClockOffset)).toBe(offset);
  });
});

describe('Mapping', () => {
  const [PROT_READ, PROT_WRITE, MAP_SHARED] = [1n, 2n, 1n];

  test.each([
    ['read', PROT_READ],
    ['write', PROT_READ | PROT_WRITE],
  ] as const)('maps for %s, unmaps once', (access, protection) => {
    using fd = new Fd(realFd(), 'map ring');
    const memory = new ArrayBuffer(8192);
    const fake = new FakeNative(({ name }) => (name === 'mmap' ? 0x7f12_3456_7000n : 0));
    fake.memory.set(0x7f12_3456_7000n, memory);
    withNative(fake, () => {
      const mapping = new Mapping(fd, 8192, 4096, access);
      expect(mapping.bytes).toBe(memory);
      mapping.close();
      mapping.close();
      expect(() => mapping.bytes).toThrow(TypeError);
    });
    expect(fake.calls).toEqual([
      { name: 'mmap', args: [0n, 8192n, protection, MAP_SHARED, BigInt(fd.fd), 4096n] },
      { name: 'munmap', args: [0x7f12_3456_7000n, 8192n, 0n, 0n, 0n, 0n] },
    ]);
  });

  test('a refusal says of what', () => {
    using fd = new Fd(realFd(), 'map ring');
    expect(() => withNative(new FakeNative(() => -errno.EPERM), () => new Mapping(fd, 1, 0, 'read'))).toThrow(
      'mmap(map ring): EPERM',
    );
  });
});

test('a page is a power of two, of 4 KiB at least', () => {
  const size = pageSize();
  expect(size).toBeGreaterThanOrEqual(4096);
  expect(size & (size - 1)).toBe(0);
});

describe('OneShotWatch', () => {
  const [EPOLL_CTL_ADD, EPOLL_CTL_MOD] = [1n, 3n];
  const EPOLLIN_ONESHOT = 0x4000_0001;

  /** Epoll where nothing else happens, with `ready` events to be taken. */
  const epoll = (ready: () => number): FakeNative =>
    new FakeNative(({ name, args }, fake) => {
      if (name === 'epoll_create1') return realFd();
      if (name === 'epoll_ctl') expect(fake.at(args[3]!).readUInt32LE(0)).toBe(EPOLLIN_ONESHOT);
      return name === 'epoll_pwait' ? ready() : 0;
    });

  test('adds, hears once, is armed again, closes: the event loop lets go first', async () => {
    using target = new Fd(realFd(), 'map ring');
    let ready = 1;
    let heard = 0;
    const fake = epoll(() => ready);
    const watch = withNative(fake, () => new OneShotWatch(target, () => heard++));
    const [loop] = fake.watched as [(typeof fake.watched)[0]];
    const control = (): (bigint | undefined)[] =>
      fake.calls.filter(({ name }) => name === 'epoll_ctl').map(({ args }) => args[1]);
    expect(control()).toEqual([EPOLL_CTL_ADD]);

    withNative(fake, loop.onReadable);
    expect(heard, 'never from within the callback').toBe(0);
    await Promise.resolve();
    expect(heard).toBe(1);

    ready = 0;
    withNative(fake, loop.onReadable);
    await Promise.resolve();
    expect(heard, 'somebody else was meant').toBe(1);

    withNative(fake, () => watch.arm());
    expect(control()).toEqual([EPOLL_CTL_ADD, EPOLL_CTL_MOD]);

    watch.close();
    watch.close();
    expect(loop.closed).toBe(true);
    withNative(fake, () => watch.arm());
    withNative(fake, loop.onReadable);
    expect(control()).toHaveLength(2);
    expect(names(fake.calls).filter((name) => name === 'epoll_pwait')).toHaveLength(2);
  });

  test('what cannot be polled is an error, and leaves nothing open', () => {
    using target = new Fd(realFd(), 'program x');
    const fake = new FakeNative(({ name }) => (name === 'epoll_create1' ? realFd() : -errno.EPERM));
    expect(() => withNative(fake, () => new OneShotWatch(target, () => {}))).toThrow('epoll_ctl(program x): EPERM');
    expect(fake.watched).toEqual([]);
  });
});
