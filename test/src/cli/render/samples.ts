import type { DropFacts } from '../../../../src/drops/drop.ts';
import type { DropStack, StackFrame } from '../../../../src/drops/stacks.ts';
import type { Summary } from '../../../../src/drops/summary.ts';

/** 2026-03-01, 12:34:56.123456 UTC, in microseconds. */
export const TIME: number = Date.UTC(2026, 2, 1, 12, 34, 56) * 1000 + 123_456;

export const facts: DropFacts = {
  reason: 'SKB_DROP_REASON_NO_SOCKET',
  reasonNumber: 3,
  location: 'tcp_v4_rcv+0x9d',
  len: 60,
  protocol: 0x0800,
  device: { name: 'eth0', ifindex: 2, netns: 0xf0000001 },
  iif: 2,
};

export const bare: DropFacts = { reason: 'OPENVSWITCH#5', reasonNumber: 0x20005, location: '0xffffffffc0a81234' };

export function frame(name: string, offset: number, module?: string): StackFrame {
  const suffix = module === undefined ? '' : ` [${module}]`;
  return {
    address: 0xffffffff81000000n,
    text: `${name}+0x${offset.toString(16)}${suffix}`,
    place: { name, offset, module },
  };
}

export const unknownFrame: StackFrame = { address: 0xffffffffc0001234n, text: '0xffffffffc0001234', place: undefined };

export const stack: DropStack = {
  reason: 'SKB_DROP_REASON_NOT_SPECIFIED',
  count: 1234,
  head: [],
  frames: [frame('ip6_mc_input', 0x1a2), frame('br_pass_frame_up', 16, 'bridge'), unknownFrame],
};

export const summary: Summary = {
  seen: 1000,
  filtered: 100,
  surplus: 50,
  passed: 850,
  reported: 840,
  lost: 10,
  losses: [
    { way: 'ring_full', reason: 'SKB_DROP_REASON_NO_SOCKET', count: 7 },
    { way: 'ring_full', reason: undefined, count: 2 },
    { way: 'output', reason: undefined, count: 1 },
  ],
  unaccounted: 0,
  missed: 0,
};
