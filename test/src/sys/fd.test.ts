import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { describe, expect, test } from 'vitest';
import { Fd } from '../../../src/sys/fd.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { closesFine, FakeNative, realFd } from '../../helpers/fake-native.ts';
import { leftOpen } from '../../helpers/fd-leaks.ts';

/** Runs `body` and gives the descriptors it closed, without closing any. */
function closedBy(body: () => void): number[] {
  const closed: number[] = [];
  const { closeSync } = fs;
  fs.closeSync = (fd) => void closed.push(fd);
  syncBuiltinESMExports();
  try {
    body();
  } finally {
    fs.closeSync = closeSync;
    syncBuiltinESMExports();
  }
  return closed;
}

describe('Fd', () => {
  test('closes once', () => {
    const fd = new Fd(1000, 'test');
    expect(fd.isOpen).toBe(true);
    const closed = closedBy(() => {
      fd.close();
      fd.close();
      fd[Symbol.dispose]();
    });
    expect(closed).toEqual([1000]);
    expect(fd.isOpen).toBe(false);
  });

  test('closes for real', () => {
    const number = realFd();
    new Fd(number, 'test').close();
    expect(closesFine(number)).toBe(false);
  });

  test('`using` closes', () => {
    const closed = closedBy(() => {
      using fd = new Fd(1001, 'test');
      expect(fd.fd).toBe(1001);
    });
    expect(closed).toEqual([1001]);
  });

  test('descriptor 0 is moved away: bpf_attr reads 0 as "none"', () => {
    const fake = new FakeNative(() => 77);
    let fd: Fd | undefined;
    const closed = closedBy(() => {
      fd = withNative(fake, () => new Fd(0, 'map'));
    });
    expect(fd?.fd).toBe(77);
    expect(closed).toEqual([0]);
    const [F_DUPFD_CLOEXEC, lowest] = [1030n, 3n];
    expect(fake.calls).toEqual([{ name: 'fcntl', args: [0n, F_DUPFD_CLOEXEC, lowest, 0n, 0n, 0n] }]);
  });

  test('other descriptors stay where they are', () => {
    const fake = new FakeNative(() => -errno.EBADF);
    expect(withNative(fake, () => new Fd(1, 'x')).fd).toBe(1);
    expect(fake.calls).toEqual([]);
  });
});

test('the leak check sees what is left open, and only that', () => {
  const left = leftOpen(() => {
    new Fd(realFd(), 'closed').close();
    using disposed = new Fd(realFd(), 'disposed');
    expect(disposed.isOpen).toBe(true);
    const forgotten = new Fd(realFd(), 'forgotten');
    closesFine(forgotten.fd);
  });
  expect(left).toEqual(['forgotten']);
});
