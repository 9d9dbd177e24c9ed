import { describe, expect, test } from 'vitest';
import { NotSupportedError, SyscallError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { waitForRunningPrograms } from '../../../src/sys/membarrier.ts';
import { errno, syscall, trySyscall } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { FakeNative } from '../../helpers/fake-native.ts';

describe('syscall', () => {
  test('six words: what is not given is zero, null too; buffers travel as addresses', () => {
    const fake = new FakeNative(() => 5);
    const buffer = Buffer.from([1, 2, 3]);
    expect(withNative(fake, () => syscall('ioctl', [7, -1, null, buffer, 2n ** 63n]))).toBe(5);
    const [{ name, args }] = fake.calls as [(typeof fake.calls)[0]];
    expect(name).toBe('ioctl');
    expect(args.map((word, i) => (i === 3 ? fake.at(word).toString('hex') : word))).toEqual([
      7n,
      2n ** 64n - 1n,
      0n,
      '010203',
      2n ** 63n,
      0n,
    ]);
  });

  test('-1 becomes an error that names the call', () => {
    const fake = new FakeNative(() => -errno.EBADF);
    const error = thrown(SyscallError, () => withNative(fake, () => syscall('ioctl', [1], 'ioctl(ENABLE)')));
    expect(error).toMatchObject({ call: 'ioctl(ENABLE)', errnoName: 'EBADF' });
    expect(thrown(SyscallError, () => withNative(fake, () => syscall('ioctl', [1]))).call).toBe('ioctl');
    expect(withNative(fake, () => trySyscall('ioctl', [1]))).toBe(-errno.EBADF);
  });

  test('-1 as a bigint is a failure too', () => {
    const fake = Object.assign(new FakeNative(() => 0), { syscall: () => -1n, errno: () => errno.EFAULT });
    expect(withNative(fake, () => trySyscall('ioctl', []))).toBe(-errno.EFAULT);
  });

  test('an address in the upper half is no failure', () => {
    const fake = new FakeNative(() => 0x7fff_ffff_f000n);
    expect(withNative(fake, () => trySyscall('mmap', []))).toBe(0x7fff_ffff_f000);
  });

  test('a processor without a table', () => {
    const arch = Object.getOwnPropertyDescriptor(process, 'arch')!;
    Object.defineProperty(process, 'arch', { ...arch, value: 's390x' });
    try {
      const fake = new FakeNative(() => 0);
      const error = thrown(NotSupportedError, () => withNative(fake, () => syscall('bpf', [])));
      expect(error.message).toBe('this kernel has no system call table for s390x');
      expect(error.hint).toBe('skbdrop runs on x86-64 and arm64');
      expect(fake.calls).toEqual([]);
    } finally {
      Object.defineProperty(process, 'arch', arch);
    }
  });

  test('the real thing', () => {
    expect(trySyscall('read', [-1, Buffer.alloc(1), 1])).toBe(-errno.EBADF);
  });
});

describe('membarrier', () => {
  test.each([
    [0, true],
    [-errno.EINVAL, false],
    [-errno.ENOSYS, false],
  ])('%i: %s', (outcome, waited) => {
    const fake = new FakeNative(() => outcome);
    expect(withNative(fake, waitForRunningPrograms)).toBe(waited);
    const MEMBARRIER_CMD_GLOBAL = 1n;
    expect(fake.calls).toEqual([{ name: 'membarrier', args: [MEMBARRIER_CMD_GLOBAL, 0n, 0n, 0n, 0n, 0n] }]);
  });
});
