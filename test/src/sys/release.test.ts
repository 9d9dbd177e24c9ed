import { expect, test } from 'vitest';
import { isBefore } from '../../../src/sys/release.ts';

test.each([
  // running                    wanted   before
  ['5.10.0-32-cloud-amd64', '5.11', true],
  ['5.11.0', '5.11', false],
  ['5.9', '5.11', true],
  ['4.18.0-553.el8', '5.8', true],
  ['6.1.0', '5.18', false],
  ['6.12.107+deb13', '6.17', true],
  ['7.2.13', '6.17', false],
])('%s is before %s: %s', (running, wanted, before) => {
  expect(isBefore(wanted, running)).toBe(before);
});
