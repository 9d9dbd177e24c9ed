import { describe, expect, test } from 'vitest';
import {
  beforeLastMaps,
  clearScreen,
  countsMap,
  histogramMap,
  reasonLine,
  stacksMap,
} from '../../../../src/cli/render/bpftrace.ts';
import { fixture } from '../../../helpers/files.ts';
import { bare, facts, frame, unknownFrame } from './samples.ts';

test('clearing the screen, and the lines before the last maps', () => {
  expect([clearScreen, beforeLastMaps]).toEqual(['\x1b[H\x1b[J\n', '\n\n']);
});

test.each([
  [facts, 'SKB_DROP_REASON_NO_SOCKET\n'],
  // bpftrace knows the core's enum only.
  [bare, '131077\n'],
])('a reason', (drop, text) => {
  expect(reasonLine(drop)()).toBe(text);
});

describe('counts', () => {
  const entry = (reason: string, reasonNumber: number, count: number) => ({ reason, reasonNumber, count });

  test('the most frequent last', () => {
    const counts = [
      entry('SKB_DROP_REASON_NO_SOCKET', 3, 12),
      entry('OVS_DROP_METER', 0x20005, 5),
      entry('reason#131', 131, 1),
    ];
    expect(countsMap(counts)).toBe('@[131]: 1\n@[131077]: 5\n@[SKB_DROP_REASON_NO_SOCKET]: 12\n');
  });

  test('none', () => {
    expect(countsMap([])).toBe('');
  });
});

describe('histograms', () => {
  /** Buckets from the first length to the last, as drops/histogram.ts makes them. */
  function buckets(lengths: Readonly<Record<number, number>>): {
    total: number;
    buckets: { low: number; high: number; count: number }[];
  } {
    const bucketOf = (len: number): number => (len === 0 ? 0 : 1 + Math.floor(Math.log2(len)));
    const counts = new Map(Object.entries(lengths).map(([len, count]) => [bucketOf(Number(len)), count]));
    const [first, last] = [Math.min(...counts.keys()), Math.max(...counts.keys())];
    return {
      total: 0,
      buckets: Array.from({ length: last - first + 1 }, (_, i) => ({
        low: first + i === 0 ? 0 : 2 ** (first + i - 1),
        high: 2 ** (first + i),
        count: counts.get(first + i) ?? 0,
      })),
    };
  }

  test('as bpftrace 0.27.1 printed it', () => {
    const histogram = buckets({ 0: 1, 1: 1, 8: 26, 16: 15, 1500: 1, 65535: 1, 1048577: 1, 3000000000: 1 });
    expect(histogramMap([histogram])).toBe(fixture('bpftrace/hist.txt'));
  });

  test('one bucket fills the bar', () => {
    expect(histogramMap([buckets({ 60: 5 })])).toBe(`@skb_len:\n[32, 64)               5 |${'@'.repeat(52)}|\n\n`);
  });

  test('counts wider than their column', () => {
    expect(histogramMap([buckets({ 0: 1234567890 })])).toBe(
      `@skb_len:\n[0]             1234567890 |${'@'.repeat(52)}|\n\n`,
    );
  });

  test('for each reason, as bpftrace prints @skb_len[args->reason], the fullest last', () => {
    const many = { ...buckets({ 60: 2 }), total: 2, reason: 'SKB_DROP_REASON_IP_CSUM', reasonNumber: 13 };
    const few = { ...buckets({ 60: 1 }), total: 1, reason: 'OVS_DROP_METER', reasonNumber: 0x20005 };
    const line = (count: number): string => `[32, 64)               ${count} |${'@'.repeat(52)}|\n\n`;
    expect(histogramMap([many, few])).toBe(
      `@skb_len[131077]:\n${line(1)}@skb_len[SKB_DROP_REASON_IP_CSUM]:\n${line(2)}`,
    );
  });

  test('no histogram', () => {
    expect(histogramMap([])).toBe('');
  });
});

describe('stacks', () => {
  const make = (count: number, frames: Parameters<typeof frame>[], head: Parameters<typeof frame>[] = []) => ({
    reason: 'SKB_DROP_REASON_NOT_SPECIFIED',
    count,
    frames: frames.map((args) => frame(...args)),
    head: head.map((args) => frame(...args)),
  });

  test('eight spaces, decimal offsets, no module, the most frequent last', () => {
    expect(
      stacksMap([
        make(9, [['b', 0x10, 'bridge']]),
        make(2, [
          ['a', 0x9d],
          ['c', 1],
        ]),
      ]),
    ).toBe('@[\n        a+157\n        c+1\n]: 2\n@[\n        b+16\n]: 9\n');
  });

  test('an address without a name', () => {
    const stack = { ...make(1, []), frames: [unknownFrame] };
    expect(stacksMap([stack])).toBe('@[\n        0xffffffffc0001234\n]: 1\n');
  });

  test('of the head, what called the tracepoint; not the machinery of raw tracepoints', () => {
    const head: Parameters<typeof frame>[] = [
      ['bpf_prog_0123456789abcdef_stacks', 1],
      ['bpf_trace_run4', 2],
      ['__traceiter_kfree_skb', 3],
      ['sk_skb_reason_drop', 4],
    ];
    expect(stacksMap([make(1, [['ip_rcv', 5]], head)])).toBe(
      '@[\n        __traceiter_kfree_skb+3\n        sk_skb_reason_drop+4\n        ip_rcv+5\n]: 1\n',
    );
  });
});
