import { describe, expect, test } from 'vitest';
import { parseFormat, tracepointFormat } from '../../../src/kernel/tracefs.ts';
import { PermissionError } from '../../../src/sys/capabilities.ts';
import { NotSupportedError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';
import { fixture, withFiles } from '../../helpers/files.ts';

noLeaks();

const format = (name: string): ReturnType<typeof parseFormat> => parseFormat(fixture(`format/${name}.format`), 2310);

describe('where the fields stand', () => {
  test.each<[string, Readonly<Record<string, readonly [number, number]>>]>([
    ['5.10', { skbaddr: [8, 8], location: [16, 8], protocol: [24, 2] }],
    ['5.15', { skbaddr: [8, 8], location: [16, 8], protocol: [24, 2], reason: [28, 4] }],
    ['6.1', { skbaddr: [8, 8], location: [16, 8], protocol: [24, 2], reason: [28, 4] }],
    ['6.18', { skbaddr: [8, 8], location: [16, 8], rx_sk: [24, 8], protocol: [32, 2], reason: [36, 4] }],
    ['el9-rt', { skbaddr: [16, 8], location: [24, 8], protocol: [32, 2], reason: [36, 4] }],
  ])('%s', (name, places) => {
    const own = [...format(name).fields.values()].filter(({ name }) => !name.startsWith('common_'));
    expect(Object.fromEntries(own.map(({ name, offset, size }) => [name, [offset, size]]))).toEqual(places);
  });

  test('types and signs', () => {
    const { fields, id } = format('6.18');
    expect(id).toBe(2310);
    expect(fields.get('skbaddr')).toEqual({ name: 'skbaddr', type: 'void *', offset: 8, size: 8, signed: false });
    expect(fields.get('reason')?.type).toBe('enum skb_drop_reason');
    expect(fields.get('common_pid')).toEqual({ name: 'common_pid', type: 'int', offset: 4, size: 4, signed: true });
    expect(format('el9-rt').fields.get('common_preempt_lazy_count')?.offset).toBe(8);
  });

  test.each([
    ['char name[16]', 'name', 'char'],
    ['__data_loc char[] name', 'name', '__data_loc char[]'],
    ['const char * name', 'name', 'const char *'],
    ['struct sk_buff *skb', 'skb', 'struct sk_buff *'],
    ['u8 saddr[sizeof(struct sockaddr_in6)]', 'saddr', 'u8'],
  ])('%s', (declaration, name, type) => {
    const { fields } = parseFormat(`\tfield:${declaration};\toffset:8;\tsize:16;\tsigned:0;\n`, 1);
    expect(fields.get(name)?.type).toBe(type);
  });
});

describe('the names that the print format gives to numbers', () => {
  test.each<[string, number, Readonly<Record<number, string>>]>([
    // kernel   names   some of them
    ['5.15', 13, { 0: 'NOT_SPECIFIED', 1: 'NO_SOCKET', 12: 'MAX' }],
    ['6.1', 8, { 1: 'NOT_SPECIFIED', 2: 'NO_SOCKET', 8: 'OTHERHOST' }],
    ['6.18', 127, { 2: 'NOT_SPECIFIED', 3: 'NO_SOCKET', 127: 'RECURSION_LIMIT', 128: 'MAX' }],
    ['el9-rt', 4, { 2: 'NOT_SPECIFIED', 5: 'TCP_CSUM' }],
    // A number that was not resolved is left out; the others stay.
    ['unresolved', 1, { 3: 'PKT_TOO_SMALL' }],
  ])('%s', (name, count, some) => {
    const names = format(name).symbols.get('reason')!;
    expect(names.size).toBe(count);
    for (const [number, reason] of Object.entries(some)) expect(names.get(Number(number))).toBe(reason);
  });

  test.each(['5.10', '5.19'])('%s has none', (name) => {
    expect(format(name).symbols.size).toBe(0);
  });

  test('of several fields, hexadecimal ones too', () => {
    const text = `\tfield:int a;\toffset:8;\tsize:4;\tsigned:1;\nprint fmt: "%s %s", __print_symbolic(REC->a, { 0x10, "SIXTEEN" },{ 1 , "ONE" }), __print_symbolic(REC->b, {2, "TWO"})`;
    const { symbols } = parseFormat(text, 1);
    expect([...symbols.get('a')!]).toEqual([
      [16, 'SIXTEEN'],
      [1, 'ONE'],
    ]);
    expect([...symbols.get('b')!]).toEqual([[2, 'TWO']]);
  });
});

test.each(['', 'name: kfree_skb\nID: 1\nformat:\n', 'Permission denied\n'])('%j is no format file', (text) => {
  expect(() => parseFormat(text, 1)).toThrow(NotSupportedError);
});

describe('where it is found', () => {
  const events = (root: string, present: boolean): Record<string, string | undefined> => {
    const folder = `${root}/events/skb/kfree_skb`;
    return {
      [`${root}/events`]: '',
      [folder]: present ? '' : undefined,
      [`${folder}/format`]: present ? fixture('format/6.18.format') : undefined,
      [`${folder}/id`]: '2310\n',
    };
  };
  const TRACING = '/sys/kernel/tracing';
  const DEBUG = '/sys/kernel/debug/tracing';
  const nowhere = { [`${TRACING}/events`]: undefined, [`${DEBUG}/events`]: undefined };

  test.each([TRACING, DEBUG])('%s', (root) => {
    const found = withFiles({ ...nowhere, ...events(root, true) }, () => tracepointFormat('skb/kfree_skb'));
    expect(found.id).toBe(2310);
    expect(found.fields.get('reason')?.offset).toBe(36);
  });

  test('a kernel without the tracepoint', () => {
    const error = thrown(NotSupportedError, () =>
      withFiles({ ...nowhere, ...events(TRACING, false) }, () => tracepointFormat('skb/kfree_skb')),
    );
    expect(error.message).toBe('this kernel has no tracepoint skb:kfree_skb');
  });

  test('mounted nowhere: a mount of our own, gone afterwards', () => {
    const mount = realFd();
    const fake = new FakeNative(({ name }) => (name === 'fsmount' ? mount : name === 'fsopen' ? realFd() : 0));
    const files = { ...nowhere, ...events(`/proc/self/fd/${mount}`, true) };
    expect(withNative(fake, () => withFiles(files, () => tracepointFormat('skb/kfree_skb'))).id).toBe(2310);
  });

  test('mounted nowhere, and not permitted', () => {
    const fake = new FakeNative(() => -errno.EPERM);
    const error = thrown(PermissionError, () =>
      withNative(fake, () => withFiles(nowhere, () => tracepointFormat('x/y'))),
    );
    expect(error.message).toMatch(/^cannot read tracefs, which is not mounted: /);
  });
});
