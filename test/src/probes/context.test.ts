import { describe, expect, test } from 'vitest';
import { r6, r7 } from '../../../asm/index.ts';
import { type AttachMode, attachModes, dropContext } from '../../../src/probes/context.ts';
import { HistProbe } from '../../../src/probes/hist.ts';
import { NotSupportedError, SkbdropError } from '../../../src/sys/errors.ts';
import { thrown } from '../../asm/helpers.ts';
import { fakeHost } from '../../helpers/fake-host.ts';

type HostOptions = Parameters<typeof fakeHost>[0];
const old: HostOptions = { parameters: ['skb', 'location'], format: '5.10' };

describe('what each way to attach needs', () => {
  test.each<[AttachMode, string, HostOptions, boolean | string]>([
    // mode         kernel                                       has a reason, or what is missing
    ['tp_btf', 'of today', {}, true],
    ['tp_btf', 'of 6.1', { parameters: ['skb', 'location', 'reason'], format: '6.1' }, true],
    ['tp_btf', 'of 5.10', old, false],
    ['tp_btf', 'without BTF', { btf: false }, 'BTF for the tracepoint kfree_skb (Linux 5.5 and later have it)'],
    ['raw_tp', 'of today', {}, true],
    ['raw_tp', 'of 5.10', old, false],
    ['raw_tp', 'without BTF', { btf: false }, true],
    ['tracepoint', 'of today', {}, true],
    ['tracepoint', 'of 5.10', old, false],
    ['tracepoint', 'without BTF', { btf: false }, true],
  ])('%s, a kernel %s', (mode, _, options, expected) => {
    const host = fakeHost(options);
    if (typeof expected === 'boolean') expect(dropContext(mode, host).hasReason).toBe(expected);
    else expect(() => dropContext(mode, host)).toThrow(`this kernel has no ${expected}`);
  });

  test.each(attachModes)('%s: no reason before 5.17', (mode) => {
    const error = thrown(NotSupportedError, () => dropContext(mode, fakeHost(old)).argument(r7, r6, 'reason'));
    expect(error.message).toBe('this kernel has no reason in its drops (Linux 5.17 and later have it)');
  });

  test.each(attachModes)('%s: fields that BTF does not have cannot be read', (mode) => {
    const context = dropContext(mode, fakeHost());
    expect(context.canRead('sk_buff.len')).toBe(true);
    expect(context.canRead('sk_buff.nothing')).toBe(false);
    expect(dropContext(mode, fakeHost({ structs: false })).canRead('sk_buff.len')).toBe(false);
  });

  test.each<[readonly string[], boolean]>([
    [['skb', 'location'], false],
    [['skb', 'location', 'reason'], true],
    [['skb', 'location', 'reason', 'rx_sk'], true],
  ])('BTF without the stub: the typedef says how many arguments there are, as in %j', (parameters, hasReason) => {
    const host = fakeHost({ parameters, stub: false });
    expect(host.btf?.func('__bpf_trace_kfree_skb')).toBeUndefined();
    for (const mode of ['tp_btf', 'raw_tp'] as const) expect(dropContext(mode, host).hasReason).toBe(hasReason);
  });

  test('raw_tp goes without the reason where it is told to, and BTF does not know better', () => {
    expect(dropContext('raw_tp', fakeHost({ btf: false }), { reason: true }).hasReason).toBe(false);
    expect(dropContext('raw_tp', fakeHost(), { reason: true }).hasReason).toBe(true);
  });

  test.each(['raw_tp', 'tracepoint'] as const)('%s: nothing is read where memory may not be', (mode) => {
    const context = dropContext(mode, fakeHost(), { memory: true });
    expect([context.mayRead, context.canRead('sk_buff.len')]).toEqual([false, false]);
    const options = { context, filter: { kind: 'all' }, limit: undefined, guardsReentry: true } as const;
    const error = thrown(SkbdropError, () => new HistProbe(options, false));
    expect(error).toMatchObject({ code: 'permission', message: expect.stringContaining('locked down') });
  });

  test('a histogram of lengths needs to know where the length stands', () => {
    const context = dropContext('raw_tp', fakeHost({ btf: false }));
    const error = thrown(
      NotSupportedError,
      () => new HistProbe({ context, filter: { kind: 'all' }, limit: undefined, guardsReentry: true }, false),
    );
    expect(error.hint).toContain('give the BTF of this very kernel with --btf FILE');
  });
});
