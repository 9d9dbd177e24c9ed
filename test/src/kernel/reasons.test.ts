import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Btf } from '../../../btf/index.ts';
import { ReasonTable, shortName } from '../../../src/kernel/reasons.ts';
import { parseFormat } from '../../../src/kernel/tracefs.ts';
import { BtfBuilder } from '../../btf/builder.ts';
import { kernelBlob, kernelBtf } from '../../helpers/fake-host.ts';
import { fixture } from '../../helpers/files.ts';

const subsystems = [
  ['SKB_DROP_REASON_SUBSYS_CORE', 0],
  ['SKB_DROP_REASON_SUBSYS_MAC80211_UNUSABLE', 1],
  ['SKB_DROP_REASON_SUBSYS_OPENVSWITCH', 2],
  ['SKB_DROP_REASON_SUBSYS_NUM', 3],
] as const;

/** A module's BTF with an enum of its own, on top of a kernel's. */
function moduleBtf(enumName: string, values: readonly (readonly [string, number])[]): { kernel: Btf; module: Btf } {
  const { blob, builder } = kernelBlob({ subsystems });
  const kernel = Btf.parse(blob);
  const split = new BtfBuilder({ base: builder.asBase });
  split.enum(enumName, values);
  return { kernel, module: Btf.parse(split.build(), kernel) };
}

const ovs = [
  ['__OVS_DROP_REASON', 0x20000],
  ['OVS_DROP_LAST_ACTION', 0x20001],
  ['OVS_DROP_METER', 0x20005],
  ['OVS_DROP_MAX', 0x20006],
] as const;

/** The number of NOT_SPECIFIED, which moves from kernel to kernel. */
function notSpecified(table: ReasonTable): number | undefined {
  return table.all.find(({ name }) => name === 'SKB_DROP_REASON_NOT_SPECIFIED')?.number;
}

describe('the core', () => {
  const table = ReasonTable.fromBtf(kernelBtf({ subsystems }), () => []);

  test.each([
    [2, 'SKB_DROP_REASON_NOT_SPECIFIED'],
    [12, 'SKB_DROP_REASON_NETFILTER_DROP'],
    [0, 'SKB_NOT_DROPPED_YET'],
    [131, 'reason#131'],
    [0xffff, 'reason#65535'],
    [0x20005, 'OPENVSWITCH#5'],
    [0x10001, 'MAC80211_UNUSABLE#1'],
    [0x90007, 'subsystem 9#7'],
    [0xffff0001, 'subsystem 65535#1'],
  ])('%i is %s', (number, name) => {
    expect(table.name(number)).toBe(name);
  });

  test('what is no reason is not among them, and they are in order', () => {
    expect(table.all.map(({ number }) => number)).toEqual([2, 3, 4, 5, 10, 11, 12]);
    expect(table.source).toBe('btf');
  });

  test.each([
    [[['SKB_DROP_REASON_NOT_SPECIFIED', 0]], 0],
    [[['SKB_DROP_REASON_NOT_SPECIFIED', 1]], 1],
    [[['SKB_DROP_REASON_NO_SOCKET', 1]], undefined],
    [[], undefined],
  ] as const)('NOT_SPECIFIED of %j is %s', (reasons, number) => {
    expect(notSpecified(ReasonTable.fromBtf(kernelBtf({ reasons }), () => []))).toBe(number);
  });

  test('no enum at all: numbers', () => {
    const none = ReasonTable.fromBtf(kernelBtf({ reasons: [] }), () => []);
    expect([none.all.length, none.name(2), none.name(0x20005)]).toEqual([0, 'reason#2', 'subsystem 2#5']);
  });
});

describe('subsystems', () => {
  test('in the kernel itself', () => {
    const table = ReasonTable.fromBtf(kernelBtf({ subsystems, enums: { ovs_drop_reason: ovs } }), () => []);
    expect(table.name(0x20005)).toBe('OVS_DROP_METER');
    expect(table.all.map(({ name }) => name).filter((name) => name.includes('OVS'))).toEqual([
      'OVS_DROP_LAST_ACTION',
      'OVS_DROP_METER',
    ]);
  });

  test('in a module', () => {
    const { kernel, module } = moduleBtf('mac80211_drop_reason', [
      ['RX_CONTINUE', 1],
      ['___RX_DROP_UNUSABLE', 0x10000],
      ['RX_DROP_U_MIC_FAIL', 0x10001],
    ]);
    const table = ReasonTable.fromBtf(kernel, () => [module]);
    expect(table.name(0x10001)).toBe('RX_DROP_U_MIC_FAIL');
    expect(table.name(0x10000)).toBe('MAC80211_UNUSABLE#0');
    expect(table.name(1), 'what has no subsystem is the core’s').toBe('SKB_CONSUMED');
  });

  test('enums of other names are not looked at', () => {
    const { kernel, module } = moduleBtf('ovs_action_attr', [['OVS_ACTION', 0x20005]]);
    expect(ReasonTable.fromBtf(kernel, () => [module]).name(0x20005)).toBe('OPENVSWITCH#5');
  });

  test('a module that is loaded late is looked for once for each subsystem', () => {
    const { kernel, module } = moduleBtf('ovs_drop_reason', ovs);
    let scans = 0;
    const table = ReasonTable.fromBtf(kernel, () => (++scans > 2 ? [module] : []));
    expect(table.name(0x10001)).toBe('MAC80211_UNUSABLE#1');
    expect(table.name(0x10002)).toBe('MAC80211_UNUSABLE#2');
    expect(scans).toBe(2);
    expect(table.name(0x20005)).toBe('OVS_DROP_METER');
    expect(table.name(0x20004)).toBe('OPENVSWITCH#4');
    expect(table.name(5), 'the core is complete').toBe('SKB_DROP_REASON_SOCKET_FILTER');
    expect(scans).toBe(3);
  });
});

describe('without BTF', () => {
  test('the print format has the core', () => {
    const table = ReasonTable.fromFormat(parseFormat(fixture('format/6.18.format'), 1));
    expect(table.source).toBe('tracefs');
    expect(table.name(3)).toBe('SKB_DROP_REASON_NO_SOCKET');
    expect(table.name(0x20005)).toBe('subsystem 2#5');
    expect(notSpecified(table)).toBe(2);
    expect(table.all).toHaveLength(126);
  });

  test('an old one has nothing, and so has no source at all', () => {
    expect(ReasonTable.fromFormat(parseFormat(fixture('format/5.10.format'), 1)).all).toEqual([]);
    const none = ReasonTable.empty();
    expect([none.source, none.all.length, none.name(2), notSpecified(none)]).toEqual([
      'none',
      0,
      'reason#2',
      undefined,
    ]);
  });
});

test.each([
  ['SKB_DROP_REASON_NO_SOCKET', 'NO_SOCKET'],
  ['OVS_DROP_METER', 'OVS_DROP_METER'],
  ['reason#131', 'reason#131'],
])('%s is %s for short', (name, short) => {
  expect(shortName(name)).toBe(short);
});

const vmlinux = '/sys/kernel/btf/vmlinux';
// The tables above say the same without it.
test.skipIf(!existsSync(vmlinux))("the running kernel's reasons, if it has any, begin where they should", () => {
  const table = ReasonTable.fromBtf(Btf.parse(readFileSync(vmlinux)), () => []);
  if (table.all.length > 0) expect(notSpecified(table)).toBeLessThanOrEqual(2);
  expect(table.all.every(({ name }) => /^[A-Z]\w+$/.test(name))).toBe(true);
});
