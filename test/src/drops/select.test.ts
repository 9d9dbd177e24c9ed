import { describe, expect, test } from 'vitest';
import { type Selection, selectReasons, UnknownReasonError } from '../../../src/drops/select.ts';
import { ReasonTable } from '../../../src/kernel/reasons.ts';
import { thrown } from '../../asm/helpers.ts';
import { kernelBtf } from '../../helpers/fake-host.ts';

// 2 NOT_SPECIFIED, 3 NO_SOCKET, 4 SOCKET_CLOSE, 5 SOCKET_FILTER, 10 TCP_CSUM, 11 UDP_CSUM, 12 NETFILTER_DROP
const table = ReasonTable.fromBtf(
  kernelBtf({
    enums: {
      ovs_drop_reason: [
        ['OVS_DROP_METER', 0x20005],
        ['OVS_DROP_EXPLICIT', 0x20006],
      ],
    },
  }),
  () => [],
);

const select = (selection: Selection): [string, ...number[]] => {
  const filter = selectReasons(table, selection);
  return filter.kind === 'all' ? ['all'] : [filter.kind, ...[...filter.reasons].sort((a, b) => a - b)];
};

describe('which reasons pass', () => {
  test.each<[readonly string[] | undefined, readonly string[] | undefined, [string, ...number[]]]>([
    // keep                      leave out             filter
    [undefined, undefined, ['all']],
    [[], [], ['all']],
    [['*'], [], ['all']],
    [['NO_SOCKET'], [], ['only', 3]],
    [['SKB_DROP_REASON_NO_SOCKET'], [], ['only', 3]],
    [['no_socket'], [], ['only', 3]],
    [['skb_drop_reason_No_Socket'], [], ['only', 3]],
    [['*_CSUM'], [], ['only', 10, 11]],
    [['?DP_CSUM', 'TCP_CSU?'], [], ['only', 10, 11]],
    [['SOCKET*'], [], ['only', 4, 5]],
    [['*SOCKET*'], [], ['only', 3, 4, 5]],
    [['SKB_DROP_REASON_*'], [], ['only', 2, 3, 4, 5, 10, 11, 12]],
    [['ovs_*'], [], ['only', 0x20005, 0x20006]],
    [['NO_SOCKET', 'NO_SOCKET', 'no*'], [], ['only', 2, 3]],
    [[], ['NO_SOCKET'], ['not', 3]],
    [['*'], ['NO_SOCKET'], ['not', 3]],
    [undefined, ['*_CSUM', 'OVS_DROP_METER'], ['not', 10, 11, 0x20005]],
    [['*SOCKET*'], ['NO_SOCKET'], ['only', 4, 5]],
    [['NO_SOCKET'], ['TCP_CSUM'], ['only', 3]],
    [['NO_SOCKET'], ['NO_SOCKET'], ['only']],
  ])('keep %j, leave out %j', (reasons, notReasons, filter) => {
    expect(select({ reasons, notReasons })).toEqual(filter);
  });
});

describe('names that this kernel does not have', () => {
  test.each<[string, readonly string[]]>([
    // pattern            suggestions, the most similar first
    ['NO_SOCKETS', ['NO_SOCKET']],
    ['NETFILTER', ['NETFILTER_DROP']],
    ['no_sokcet', ['NO_SOCKET']],
    ['SKB_DROP_REASON_TCP_SCUM', ['TCP_CSUM', 'UDP_CSUM']],
    ['XYZZY_PLUGH_FROTZ_AND_MORE', []],
  ])('%s', (pattern, nearest) => {
    const error = thrown(UnknownReasonError, () => select({ reasons: [pattern] }));
    expect(error).toMatchObject({ name: 'UnknownReasonError', code: 'usage', pattern });
    expect(error.message).toBe(`this kernel has no drop reason ${JSON.stringify(pattern)}`);
    expect(error.nearest).toEqual(nearest);
    expect(error.hint).toBe(nearest.length === 0 ? undefined : `Did you mean ${nearest.join(', ')}?`);
  });

  test.each([
    [{ reasons: ['NO_SOCKET', 'NOTHING_AT_ALL'] }],
    [{ notReasons: ['NOTHING_AT_ALL'] }],
    [{ reasons: ['NOTHING*'] }],
    // What is no reason of a drop cannot be chosen.
    [{ reasons: ['SKB_CONSUMED'] }],
    [{ reasons: ['MAX'] }],
    [{ reasons: ['NO_SOCKE'] }],
    [{ reasons: ['O_SOCKET'] }],
  ])('%j', (selection) => {
    expect(() => select(selection)).toThrow(UnknownReasonError);
  });

  test.each(['(', 'NO.SOCKET', '[A-Z]*', '.*', '\\w+', 'NO_SOCKET|TCP_CSUM', '^NO_SOCKET$', '+'])(
    '%s is no pattern but a name',
    (pattern) => {
      expect(() => select({ reasons: [pattern] })).toThrow(UnknownReasonError);
    },
  );
});
