import { describe, expect, test } from 'vitest';
import { dropContext } from '../../../src/probes/context.ts';
import { RECORD_SIZE, TraceProbe } from '../../../src/probes/trace.ts';
import { fakeHost } from '../../helpers/fake-host.ts';

const probe = (host = fakeHost()): TraceProbe =>
  new TraceProbe(
    { context: dropContext('raw_tp', host), filter: { kind: 'all' }, limit: undefined, guardsReentry: true },
    65_536,
  );

interface Fields {
  readonly ifindex?: number;
  readonly netns?: number;
  readonly name?: string | Buffer;
  readonly protocol?: number;
}

/** A record, at byte 8 of some memory. */
function record({ ifindex = 3, netns = 0xf0000001, name = 'eth0', protocol = 0x0800 }: Fields): DataView {
  const bytes = Buffer.alloc(8 + RECORD_SIZE, 0xaa).fill(0, 8);
  bytes.writeInt32LE(ifindex, 8 + 28);
  bytes.writeUInt32LE(netns, 8 + 32);
  bytes.writeUInt16BE(protocol, 8 + 36);
  Buffer.from(name).copy(bytes, 8 + 40);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

describe('what skb->dev pointed at: a device, or something else that lay there', () => {
  const eth0 = { name: 'eth0', ifindex: 3, netns: 0xf0000001 };
  const garbage = Buffer.from('4003008005000101c0a8', 'hex');

  test.each<[string, Fields, object | undefined]>([
    ['a device', {}, eth0],
    ['the highest index', { ifindex: 0x7fffffff }, { ...eth0, ifindex: 0x7fffffff }],
    ['index 0', { ifindex: 0 }, undefined],
    ['a negative index', { ifindex: -1 }, undefined],
    ['the lowest inode', { netns: 0xeffffff0 }, { ...eth0, netns: 0xeffffff0 }],
    ["the first namespace's inode in 6.18", { netns: 0xeffffff9 }, { ...eth0, netns: 0xeffffff9 }],
    ['an inode below all namespaces', { netns: 0xefffffef }, undefined],
    ['no inode', { netns: 0 }, undefined],
    ['a name of 15', { name: 'abcdefghijklmno' }, { ...eth0, name: 'abcdefghijklmno' }],
    ['a name of 16, not terminated', { name: 'abcdefghijklmnop' }, undefined],
    ['no name', { name: '' }, undefined],
    ['a name with what the kernel allows', { name: 'wlp2s0@~.42%-_' }, { ...eth0, name: 'wlp2s0@~.42%-_' }],
    ['a space', { name: 'eth 0' }, undefined],
    ['a slash', { name: 'eth/0' }, undefined],
    ['a colon', { name: 'eth:0' }, undefined],
    ['a control character', { name: 'eth\x1b0' }, undefined],
    ['DEL', { name: 'eth\x7f' }, undefined],
    ['a byte above ASCII', { name: Buffer.from([0x65, 0x80, 0]) }, undefined],
    ['what udp_dev_scratch leaves', { name: garbage }, undefined],
    ['what stands behind the NUL does not matter', { name: Buffer.from('eth0\0\x01\xff') }, eth0],
  ])('%s', (_, fields, device) => {
    expect(probe().decode(record(fields), 8).device).toEqual(device);
  });
});

test.each([
  [0x0800, 0x0800],
  [0x86dd, 0x86dd],
  [0, undefined],
])('protocol %i is %s', (protocol, shown) => {
  expect(probe().decode(record({ protocol }), 8).protocol).toBe(shown);
});

test('columns that this kernel does not let us read are absent', () => {
  const blind = probe(fakeHost({ btf: false }));
  expect(blind.readable).toEqual({ reason: true, len: false, protocol: false, device: false });
  expect(blind.decode(record({}), 8)).toMatchObject({ len: undefined, protocol: undefined, device: undefined });
  expect(probe().readable).toEqual({ reason: true, len: true, protocol: true, device: true });
});

test('where the kernel gives no reason, there is none', () => {
  const old = probe(fakeHost({ parameters: ['skb', 'location'], format: '5.10' }));
  expect(old.readable).toEqual({ reason: false, len: true, protocol: true, device: true });
  expect(old.decode(record({}), 8).reason).toBeUndefined();
});

test('times go beyond 32 bits', () => {
  const bytes = new DataView(new ArrayBuffer(RECORD_SIZE));
  bytes.setBigUint64(0, 2n ** 53n - 1n, true);
  expect(probe().time(bytes, 0)).toBe((2 ** 53 - 1) / 1000);
});
