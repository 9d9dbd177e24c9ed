import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { errnoName, NotSupportedError, SkbdropError, SyscallError } from '../../../src/sys/errors.ts';

describe('SyscallError', () => {
  test.each([
    // errno  name          message
    [1, 'EPERM', 'bpf(X): EPERM (operation not permitted)'],
    [2, 'ENOENT', 'bpf(X): ENOENT (no such thing)'],
    [7, 'E2BIG', 'bpf(X): E2BIG (too long, or an attribute this kernel does not know)'],
    [11, 'EAGAIN', 'bpf(X): EAGAIN (try again)'],
    [12, 'ENOMEM', 'bpf(X): ENOMEM (out of memory, or over the limit of locked memory)'],
    [28, 'ENOSPC', 'bpf(X): ENOSPC (no space left)'],
    [38, 'ENOSYS', 'bpf(X): ENOSYS (this kernel has no such system call)'],
    [40, 'ELOOP', 'bpf(X): ELOOP (see errno(3))'],
    [95, 'EOPNOTSUPP', 'bpf(X): EOPNOTSUPP (operation not supported)'],
    [524, 'ENOTSUPP', 'bpf(X): ENOTSUPP (operation not supported)'],
    [4095, 'errno 4095', 'bpf(X): errno 4095 (see errno(3))'],
  ])('%i is %s', (errno, name, message) => {
    const error = new SyscallError('bpf(X)', errno);
    expect(error).toMatchObject({
      name: 'SyscallError',
      code: 'system',
      call: 'bpf(X)',
      errno,
      errnoName: name,
      message,
    });
    expect(error.details).toBe(`bpf(X) returned ${name}`);
  });

  test('`what` takes the place of the call in the message only', () => {
    const error = new SyscallError('mmap', 22, 'cannot map the ring');
    expect(error.message).toBe('cannot map the ring: EINVAL (invalid argument)');
    expect(error.call).toBe('mmap');
  });
});

test('every errno that Node knows has a name', () => {
  for (const [name, number] of Object.entries(constants.errno)) {
    expect(constants.errno[errnoName(number) as 'EPERM'], name).toBe(number);
  }
});

test('NotSupportedError says since when', () => {
  expect(new NotSupportedError('ring buffer', { minimum: '5.8' })).toMatchObject({
    name: 'NotSupportedError',
    code: 'unsupported',
    feature: 'ring buffer',
    minimum: '5.8',
    message: 'this kernel has no ring buffer (Linux 5.8 and later have it)',
  });
  expect(new NotSupportedError('reason').message).toBe('this kernel has no reason');
});

test('SkbdropError carries what it was given, and a cause only where there is one', () => {
  const cause = new Error('below');
  const error = new SkbdropError('output', 'no', { hint: 'do', details: 'more', cause });
  expect(error).toMatchObject({ name: 'SkbdropError', code: 'output', hint: 'do', details: 'more', cause });
  expect('cause' in new SkbdropError('usage', 'no')).toBe(false);
});
