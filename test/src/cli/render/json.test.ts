import { describe, expect, test } from 'vitest';
import { countsJson, dropJson, histogramJson, stacksJson, summaryJson } from '../../../../src/cli/render/json.ts';
import { lineFaults } from '../../../helpers/json-lines.ts';
import { bare, facts, stack, summary, TIME } from './samples.ts';

const counts = [
  { reason: 'SKB_DROP_REASON_NO_SOCKET', reasonNumber: 3, count: 20, rate: 1.23456 },
  { reason: 'OPENVSWITCH#5', reasonNumber: 0x20005, count: 1, rate: 0 },
];
const buckets = [
  { low: 0, high: 1, count: 2 },
  { low: 2 ** 31, high: 2 ** 32, count: 1 },
];

const output: readonly (readonly [string, string, object])[] = [
  [
    'a drop',
    dropJson(facts)(TIME),
    {
      type: 'drop',
      time: '2026-03-01T12:34:56.123456Z',
      reason: 'SKB_DROP_REASON_NO_SOCKET',
      len: 60,
      protocol: 2048,
      iface: 'eth0',
      ifindex: 2,
      netns: 0xf0000001,
      iif: 2,
      location: 'tcp_v4_rcv+0x9d',
    },
  ],
  [
    'a drop of which little is known',
    dropJson(bare)(TIME),
    { type: 'drop', time: '2026-03-01T12:34:56.123456Z', reason: 'OPENVSWITCH#5', location: '0xffffffffc0a81234' },
  ],
  [
    'counts',
    countsJson(TIME, 1.00049, counts),
    {
      type: 'counts',
      time: '2026-03-01T12:34:56.123456Z',
      interval: 1,
      total: 21,
      counts: [
        { reason: 'SKB_DROP_REASON_NO_SOCKET', count: 20, rate: 1.235 },
        { reason: 'OPENVSWITCH#5', count: 1, rate: 0 },
      ],
    },
  ],
  [
    'a drop on a kernel that gives no reason',
    dropJson({ ...bare, reason: undefined, reasonNumber: undefined })(TIME),
    { type: 'drop', time: '2026-03-01T12:34:56.123456Z', location: '0xffffffffc0a81234' },
  ],
  [
    'counts on a kernel that gives no reason',
    countsJson(TIME, 1, [{ reason: undefined, reasonNumber: undefined, location: 'ip_rcv+0x4f', count: 2, rate: 2 }]),
    {
      type: 'counts',
      time: '2026-03-01T12:34:56.123456Z',
      interval: 1,
      total: 2,
      counts: [{ location: 'ip_rcv+0x4f', count: 2, rate: 2 }],
    },
  ],
  [
    'no counts',
    countsJson(TIME, 0, []),
    { type: 'counts', time: '2026-03-01T12:34:56.123456Z', interval: 0, total: 0, counts: [] },
  ],
  [
    'a histogram',
    histogramJson(TIME, { total: 3, buckets }),
    { type: 'histogram', time: '2026-03-01T12:34:56.123456Z', of: 'len', unit: 'bytes', total: 3, buckets },
  ],
  [
    'a histogram for a reason',
    histogramJson(TIME, { reason: 'OVS_DROP_METER', total: 3, buckets }),
    {
      type: 'histogram',
      time: '2026-03-01T12:34:56.123456Z',
      of: 'len',
      unit: 'bytes',
      reason: 'OVS_DROP_METER',
      total: 3,
      buckets,
    },
  ],
  [
    'stacks',
    stacksJson(TIME, [stack]),
    {
      type: 'stacks',
      time: '2026-03-01T12:34:56.123456Z',
      total: 1234,
      stacks: [
        {
          reason: 'SKB_DROP_REASON_NOT_SPECIFIED',
          count: 1234,
          frames: ['ip6_mc_input+0x1a2', 'br_pass_frame_up+0x10 [bridge]', '0xffffffffc0001234'],
        },
      ],
    },
  ],
  [
    'the summary',
    summaryJson(summary),
    {
      type: 'summary',
      seen: 1000,
      filtered: 100,
      surplus: 50,
      passed: 850,
      reported: 840,
      lost: 10,
      losses: [
        { way: 'ring_full', reason: 'SKB_DROP_REASON_NO_SOCKET', count: 7 },
        { way: 'ring_full', count: 2 },
        { way: 'output', count: 1 },
      ],
      missed: 0,
      unaccounted: 0,
    },
  ],
];

describe('one object a line', () => {
  test.each(output)('%s', (_, text, value) => {
    expect(JSON.parse(text)).toEqual(value);
    expect(lineFaults(text)).toEqual([]);
  });
});

describe('the schema refuses', () => {
  const drop = { type: 'drop', time: '2026-03-01T12:34:56.123456Z', reason: 'X', location: 'f+0x1' };
  test.each([
    ['a line that is two', `${JSON.stringify(drop)}\n{}\n`, ['not one line']],
    ['no newline', JSON.stringify(drop), ['not one line']],
    ['another type', '{"type":"drops"}\n', ['$.type: drops']],
    ['a field too many', `${JSON.stringify({ ...drop, ttl: 1 })}\n`, ['$.ttl: unknown']],
    ['a field too few', '{"type":"drop","reason":"X","location":"f+0x1"}\n', ['$.time: missing']],
    [
      'milliseconds',
      `${JSON.stringify({ ...drop, time: '2026-03-01T12:34:56.123Z' })}\n`,
      ['$.time: 2026-03-01T12:34:56.123Z'],
    ],
    ['a number as text', `${JSON.stringify({ ...drop, len: '60' })}\n`, ['$.len: not an integer']],
    ['a negative length', `${JSON.stringify({ ...drop, len: -1 })}\n`, ['$.len: -1']],
    ['null', `${JSON.stringify({ ...drop, iface: null })}\n`, ['$.iface: not a string']],
    ['a decimal offset', `${JSON.stringify({ ...drop, location: 'f+12' })}\n`, ['$.location: f+12']],
  ])('%s', (_, text, expected) => {
    expect(lineFaults(text)).toEqual(expected);
  });
});
