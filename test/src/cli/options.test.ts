import { describe, expect, test } from 'vitest';
import { commonOptions, parseCount, parseSize, parseTime, type RawOptions } from '../../../src/cli/options.ts';
import { SkbdropError } from '../../../src/sys/errors.ts';
import { thrown } from '../../asm/helpers.ts';

describe('parseTime', () => {
  test.each([
    ['1ms', 1],
    ['500ms', 500],
    ['1.5ms', 1.5],
    ['10s', 10_000],
    ['10', 10_000],
    ['0.5', 500],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    [' 3s ', 3000],
    ['2147483647ms', 2 ** 31 - 1],
    ['596h', 596 * 3_600_000],
  ])('%j is %f ms', (text, milliseconds) => {
    expect(parseTime(text, '--duration')).toBe(milliseconds);
  });

  test.each([
    '',
    '0',
    '0s',
    '0.9ms',
    '-1s',
    '1 s',
    '1d',
    's',
    '1e3',
    '.5s',
    '1.s',
    '0x10',
    'Infinity',
    '2147483648ms',
    '597h',
    '١s',
  ])('%j is none', (text) => {
    const error = thrown(SkbdropError, () => parseTime(text, '--interval'));
    expect(error.code).toBe('usage');
    expect(error.message).toBe(`--interval ${JSON.stringify(text)} is not a time`);
    expect(error.hint).toContain('500ms, 10s, 5m or 2h');
  });
});

describe('parseCount', () => {
  test.each([
    ['1', 1],
    ['007', 7],
    [' 5 ', 5],
    ['2147483647', 2 ** 31 - 1],
  ])('%j is %i', (text, count) => {
    expect(parseCount(text, '--count')).toBe(count);
  });

  test.each(['', '0', '-1', '1.5', '1e3', '0x10', '2147483648', '99999999999999999999', 'ten', '1k'])(
    '%j is none',
    (text) => {
      const error = thrown(SkbdropError, () => parseCount(text, '--count'));
      expect(error.code).toBe('usage');
      expect(error.message).toBe(`--count ${JSON.stringify(text)} is not a whole number from 1 to 2147483647`);
    },
  );
});

describe('parseSize', () => {
  test.each([
    ['1', 1],
    ['65536', 65_536],
    ['512k', 524_288],
    ['512K', 524_288],
    ['8M', 8_388_608],
    ['8MB', 8_388_608],
    ['8MiB', 8_388_608],
    ['64kib', 65_536],
    ['1g', 2 ** 30],
    ['10b', 10],
    [' 4k ', 4096],
  ])('%j is %i bytes', (text, bytes) => {
    expect(parseSize(text, '--buffer-size')).toBe(bytes);
  });

  test.each(['', '0', '0k', '-1', '1.5M', '1T', 'M', '2G', '1073741825', '1 M', '8Mi', '1e6'])('%j is none', (text) => {
    const error = thrown(SkbdropError, () => parseSize(text, '--buffer-size'));
    expect([error.code, error.message]).toEqual(['usage', `--buffer-size ${JSON.stringify(text)} is not a size`]);
  });
});

describe('commonOptions', () => {
  test('nothing said', () => {
    expect(commonOptions({}, undefined)).toMatchObject({
      child: undefined,
      duration: undefined,
      interval: undefined,
      count: undefined,
      reasons: [],
      notReasons: [],
      format: 'text',
      output: undefined,
      attach: 'auto',
      btf: undefined,
      readyFile: undefined,
      failOnLoss: false,
      verbose: false,
      quiet: false,
    });
  });

  test.each<[string, RawOptions, readonly string[] | undefined, object]>([
    ['-c', { cmd: 'sleep 1; true' }, undefined, { child: ['/bin/sh', '-c', 'sleep 1; true'] }],
    ['--', {}, ['ls', '-l', 'a b'], { child: ['ls', '-l', 'a b'] }],
    [
      '-d 5s -i 100ms -n 3',
      { duration: '5s', interval: '100ms', count: '3' },
      undefined,
      { duration: 5000, interval: 100, count: 3 },
    ],
    ['-r a,b -r c', { reason: ['a,b', 'c'] }, undefined, { reasons: ['a', 'b', 'c'] }],
    ['-R with blanks', { notReason: [' a , ,b,'] }, undefined, { notReasons: ['a', 'b'] }],
    [
      'what is passed on',
      { format: 'json', attach: 'raw_tp', btf: 'f', output: 'o', readyFile: 'r' },
      undefined,
      { format: 'json', attach: 'raw_tp', btf: 'f', output: 'o', readyFile: 'r' },
    ],
    [
      'flags',
      { failOnLoss: true, verbose: true, quiet: true },
      undefined,
      { failOnLoss: true, verbose: true, quiet: true },
    ],
  ])('%s', (_, raw, words, expected) => {
    expect(commonOptions(raw, words)).toMatchObject(expected);
  });

  test.each<[string, RawOptions, readonly string[] | undefined, RegExp]>([
    ['-c and --', { cmd: 'true' }, ['true'], /a command was given twice/],
    ['-- and nothing', {}, [], /no command behind --/],
    ['-d', { duration: 'soon' }, undefined, /^--duration "soon" is not a time/],
    ['-i', { interval: '0' }, undefined, /^--interval "0" is not a time/],
    ['-n', { count: '0' }, undefined, /^--count "0" is not a whole number/],
  ])('wrong: %s', (_, raw, words, message) => {
    const error = thrown(SkbdropError, () => commonOptions(raw, words));
    expect(error.code).toBe('usage');
    expect(error.message).toMatch(message);
  });
});
