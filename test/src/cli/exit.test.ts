import { describe, expect, test } from 'vitest';
import { VerifierError } from '../../../src/bpf/program.ts';
import { describeError, exitStatus } from '../../../src/cli/exit.ts';
import { type ErrorCode, NotSupportedError, SkbdropError, SyscallError } from '../../../src/sys/errors.ts';
import { fixture } from '../../helpers/files.ts';

describe('the status', () => {
  test.each<[ErrorCode, number]>([
    ['usage', 2],
    ['unsupported', 3],
    ['permission', 3],
    ['rejected', 3],
    ['system', 1],
    ['output', 1],
  ])('%s: %i', (code, status) => {
    expect(exitStatus(new SkbdropError(code, 'x'))).toBe(status);
  });

  test.each([new Error('x'), new TypeError('x'), 'text', undefined])('%s: 1', (error) => {
    expect(exitStatus(error)).toBe(1);
  });
});

describe('what is said', () => {
  const cause = new SyscallError('bpf(BPF_PROG_LOAD)', 1);
  const log = fixture('verifier/null-map-value.log');

  test.each<[string, unknown, boolean, string]>([
    ['a message', new SkbdropError('usage', 'no such thing'), false, 'skbdrop: no such thing\n'],
    ['a hint', new SkbdropError('usage', 'no', { hint: 'Do it' }), false, 'skbdrop: no\n         Do it\n'],
    ['details are for -v', new SkbdropError('system', 'no', { details: 'more' }), false, 'skbdrop: no\n'],
    ['-v', new SkbdropError('system', 'no', { details: 'more', hint: 'Do' }), true, 'skbdrop: no\n         Do\nmore\n'],
    [
      "-v, and the cause's details",
      new NotSupportedError('x', { details: 'outer', cause }),
      true,
      'skbdrop: this kernel has no x\nouter\nbpf(BPF_PROG_LOAD) returned EPERM\n',
    ],
    [
      '-v stops at causes of others',
      new SkbdropError('usage', 'no', { cause: new Error('deep') }),
      true,
      'skbdrop: no\n',
    ],
    [
      'the verifier',
      new VerifierError('count', log, cause),
      false,
      "skbdrop: the kernel's verifier refused the program count: R0 invalid mem access 'map_value_or_null' (11 lines before it: -v)\n         The whole verifier log: -v\n",
    ],
    [
      'a fault of ours',
      new TypeError('x is not a function'),
      false,
      'skbdrop: a fault in skbdrop itself: x is not a function (details: -v)\n',
    ],
    ['what is no error', 'text', true, 'skbdrop: a fault in skbdrop itself: text\n'],
    ['nothing', undefined, false, 'skbdrop: a fault in skbdrop itself: undefined (details: -v)\n'],
  ])('%s', (_, error, verbose, text) => {
    expect(describeError(error, verbose)).toBe(text);
  });

  test('-v gives the whole log of the verifier', () => {
    const text = describeError(new VerifierError('count', log, cause), true);
    expect(text).toContain(log.trimEnd());
    expect(text).not.toContain('The whole verifier log');
  });

  test('-v gives the stack of a fault of ours', () => {
    const error = new TypeError('x is not a function');
    expect(describeError(error, true)).toBe(`skbdrop: a fault in skbdrop itself: ${error.stack}\n`);
  });
});
