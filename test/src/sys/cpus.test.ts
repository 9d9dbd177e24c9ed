import { describe, expect, test } from 'vitest';
import { countCpus, possibleCpus } from '../../../src/sys/cpus.ts';

describe('countCpus', () => {
  test.each([
    // list (/sys/devices/system/cpu/possible)   CPUs
    ['0\n', 1],
    ['0-1\n', 2],
    ['0-3,8\n', 5],
    ['0-3,8-11\n', 8],
    ['2,4,6', 3],
    ['7-7', 1],
    ['0-1023\n', 1024],
  ])('%j is %i', (list, count) => {
    expect(countCpus(list)).toBe(count);
  });

  test.each(['', '\n', 'all', '0-', '-3', '3-1', '0,,1', '0-1-2', '0x1', '0 1', '1.5'])('%j is no list', (list) => {
    expect(() => countCpus(list)).toThrow(RangeError);
  });

  test('this machine has at least one', () => {
    expect(possibleCpus()).toBeGreaterThan(0);
  });
});
