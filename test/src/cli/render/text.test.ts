import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  countsText,
  dropText,
  histogramText,
  number,
  protocolName,
  stackText,
  summaryText,
  traceHeader,
} from '../../../../src/cli/render/text.ts';
import { clockTime, now, rfc3339 } from '../../../../src/cli/render/time.ts';
import { bare, facts, stack, summary, TIME } from './samples.ts';

const zone = process.env.TZ;
beforeAll(() => {
  process.env.TZ = 'UTC';
});
afterAll(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

describe('times', () => {
  test.each([
    // microseconds             local (UTC here)    RFC 3339
    [TIME, '12:34:56.123456', '2026-03-01T12:34:56.123456Z'],
    [TIME + 1, '12:34:56.123457', '2026-03-01T12:34:56.123457Z'],
    [TIME - 123_456, '12:34:56.000000', '2026-03-01T12:34:56.000000Z'],
    [TIME - 123_457, '12:34:55.999999', '2026-03-01T12:34:55.999999Z'],
    [0, '00:00:00.000000', '1970-01-01T00:00:00.000000Z'],
    [Date.UTC(2099, 11, 31, 23, 59, 59) * 1000 + 1, '23:59:59.000001', '2099-12-31T23:59:59.000001Z'],
  ])('%i', (time, clock, rfc) => {
    expect([clockTime(time), rfc3339(time)]).toEqual([clock, rfc]);
  });

  test('now is a time in microseconds', () => {
    expect(new Date(now() / 1000).getUTCFullYear()).toBeGreaterThan(2020);
  });
});

describe('a drop', () => {
  test('columns stand under their heads', () => {
    expect(traceHeader(true)).toBe('TIME            REASON                  LEN PROTO  IFACE    FUNCTION\n');
    expect(dropText(facts)(TIME)).toBe('12:34:56.123456 NO_SOCKET                60 IPv4   eth0     tcp_v4_rcv+0x9d\n');
    expect(dropText(bare)(TIME)).toBe(
      '12:34:56.123456 OPENVSWITCH#5             - -      -        0xffffffffc0a81234\n',
    );
  });

  test('no column where the kernel gives no reason', () => {
    const reasonless = { ...facts, reason: undefined, reasonNumber: undefined };
    expect(traceHeader(false)).toBe('TIME               LEN PROTO  IFACE    FUNCTION\n');
    expect(dropText(reasonless)(TIME)).toBe('12:34:56.123456     60 IPv4   eth0     tcp_v4_rcv+0x9d\n');
  });

  test('only the index of the interface is known', () => {
    expect(dropText({ ...bare, iif: 7 })(TIME)).toContain(' if#7 ');
  });

  test.each([
    [undefined, '-'],
    [0x0800, 'IPv4'],
    [0x0806, 'ARP'],
    [0x86dd, 'IPv6'],
    [0x8100, 'VLAN'],
    [0x88a8, 'QinQ'],
    [0x88cc, 'LLDP'],
    [0x88b5, '0x88b5'],
    [5, '0x0005'],
  ])('protocol %i is %s', (protocol, name) => {
    expect(protocolName(protocol)).toBe(name);
  });
});

describe('counts', () => {
  const row = (reason: string, count: number, rate: number) => ({ reason, reasonNumber: 0, count, rate });
  const rows = [
    row('SKB_DROP_REASON_NO_SOCKET', 1_234_567, 12.4),
    row('OVS_DROP_METER', 100, 9.96),
    row('SKB_DROP_REASON_TCP_CSUM', 1, 0),
  ];

  test('a table', () => {
    expect(countsText(rows)).toBe(
      [
        'REASON                           COUNT      RATE/S   SHARE',
        'NO_SOCKET                    1,234,567          12  100.0%',
        'OVS_DROP_METER                     100        10.0    0.0%',
        'TCP_CSUM                             1           0    0.0%',
        '',
      ].join('\n'),
    );
  });

  test('by function where the kernel gives no reason', () => {
    const place = (location: string) => ({ reason: undefined, reasonNumber: undefined, location, count: 2, rate: 0 });
    const places = [place('tcp_v4_rcv+0x9d'), place('br_handle_frame+0x1 [bridge]'), place('ip_rcv+0x4f')];
    expect(countsText(places)).toBe(
      [
        'FUNCTION                             COUNT      RATE/S   SHARE',
        'tcp_v4_rcv+0x9d                          2           0   33.3%',
        'br_handle_frame+0x1 [bridge]             2           0   33.3%',
        'ip_rcv+0x4f                              2           0   33.3%',
        '',
      ].join('\n'),
    );
    expect(countsText(places, 3)).toContain('… 2 more functions');
  });

  test.each([
    // rows of the screen   lines, with the head
    [4, 4],
    [3, 3],
    [2, 2],
  ])('%i lines at most', (limit, lines) => {
    const text = countsText(rows, limit).trimEnd().split('\n');
    expect(text).toHaveLength(lines);
    if (limit === 3) expect(text[2]).toBe('… 2 more reasons                   101        10.0    0.0%');
  });

  test('none', () => {
    expect(countsText([])).toBe('');
  });
});

describe('a histogram', () => {
  const buckets = [
    { low: 0, high: 1, count: 1 },
    { low: 1, high: 2, count: 0 },
    { low: 32, high: 64, count: 80 },
  ];

  test('with block characters', () => {
    expect(histogramText({ total: 81, buckets }, true)).toBe(
      [
        'skb->len of 81 drops',
        '                  BYTES         COUNT   SHARE',
        '                      0             1    1.2%  ▌',
        '                      1             0    0.0%',
        `                32 - 63            80   98.8%  ${'█'.repeat(40)}`,
        '',
      ].join('\n'),
    );
  });

  test('without', () => {
    const text = histogramText(
      { reason: 'SKB_DROP_REASON_NO_SOCKET', total: 1, buckets: [{ low: 1024, high: 2048, count: 1 }] },
      false,
    );
    expect(text.split('\n')[0]).toBe('NO_SOCKET: skb->len of 1 drop');
    expect(text).toContain(`            1024 - 2047             1  100.0%  ${'#'.repeat(40)}\n`);
  });
});

test('a stack', () => {
  expect(stackText(stack, 2468)).toBe(
    '1,234 × NOT_SPECIFIED (50.0%)\n    ip6_mc_input+0x1a2\n    br_pass_frame_up+0x10 [bridge]\n    0xffffffffc0001234\n',
  );
});

describe('the books', () => {
  const quiet = { ...summary, filtered: 0, surplus: 0, lost: 0, losses: [], passed: 1000, reported: 1000 };

  test.each([
    ['nothing lost', quiet, '1,000 drops seen, 1,000 printed, 0 lost'],
    [
      'all at once',
      summary,
      '1,000 drops seen, 100 filtered out, 50 after the limit, 840 printed, 10 lost ' +
        '(the buffer was full: 7 NO_SOCKET, 2; the output did not take them: 1)',
    ],
    [
      'missed',
      { ...quiet, missed: 3 },
      '1,000 drops seen, 1,000 printed, 0 lost; 3 more were never shown to the probe, because it was running on that CPU',
    ],
    [
      'a fault of ours',
      { ...quiet, unaccounted: -2 },
      '1,000 drops seen, 1,000 printed, 0 lost; -2 are not accounted for, which is a fault in skbdrop',
    ],
  ])('%s', (_, books, text) => {
    expect(summaryText(books, 'printed')).toBe(text);
  });
});

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [2 ** 53 - 1, '9,007,199,254,740,991'],
])('%i is %s', (value, text) => {
  expect(number(value)).toBe(text);
});
