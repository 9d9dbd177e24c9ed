import { expect, test } from 'vitest';
import { inInitialUserNamespace, seccompMode } from '../../../src/sys/process.ts';
import { withFiles } from '../../helpers/files.ts';

test.each([
  ['user:[4026531837]', true],
  ['user:[4026532177]', false],
  [undefined, true], // no CONFIG_USER_NS
])('the namespace %s is the first one: %s', (link, answer) => {
  expect(withFiles({ '/proc/self/ns/user': link }, inInitialUserNamespace)).toBe(answer);
});

test.each([
  ['Name:\tnode\nSeccomp:\t0\nSeccomp_filters:\t0\n', 'off'],
  ['Seccomp:\t1\n', 'strict'],
  ['NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n', 'filter'],
  ['Name:\tnode\n', undefined],
])('%j: seccomp is %s', (status, mode) => {
  expect(seccompMode(status)).toBe(mode);
});
