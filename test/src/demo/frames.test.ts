import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EtherType,
  ethernet,
  icmp,
  icmp6,
  internetChecksum,
  ip4,
  ip6,
  ipv4,
  ipv6,
  mac,
  Protocol,
  tcp,
  tcpMd5Option,
  tcpTimestamps,
  udp,
} from '../../../src/demo/frames.ts';
import { needTool } from '../../helpers/need.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const ends = { from: ip4('192.0.2.2'), to: ip4('192.0.2.1') };
const ends6 = { from: ip6('fe80::2'), to: ip6('ff02::1') };
const ports = { sourcePort: 40000, destinationPort: 9 };

describe('addresses', () => {
  test.each([
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['fe80::2', 'fe800000000000000000000000000002'],
    ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
    ['2001:db8::', '20010db8000000000000000000000000'],
  ])('IPv6 %s', (text, bytes) => {
    expect(hex(ip6(text))).toBe(bytes);
  });

  test.each(['', '1:2', '1::2::3', '1:2:3:4:5:6:7:8:9', '12345::', 'g::1'])('no IPv6 address: %j', (text) => {
    expect(() => ip6(text)).toThrow(RangeError);
  });

  test('IPv4 and hardware', () => {
    expect(hex(ip4('192.0.2.255'))).toBe('c00002ff');
    expect(hex(mac('02:00:00:ab:cd:ef'))).toBe('020000abcdef');
    for (const bad of ['1.2.3', '1.2.3.256', '1.2.3.x', '1.2.3.4.5']) expect(() => ip4(bad)).toThrow(RangeError);
    for (const bad of ['02:00', '02:00:00:00:00:100', 'xx:00:00:00:00:00']) expect(() => mac(bad)).toThrow(RangeError);
  });
});

describe('checksums', () => {
  test('the example of RFC 1071, section 3', () => {
    expect(internetChecksum(Buffer.from('0001f203f4f5f6f7', 'hex'))).toBe(~0xddf2 & 0xffff);
  });

  test('an odd byte counts as the upper half of a word', () => {
    expect(internetChecksum(Uint8Array.of(0x12, 0x34, 0x56))).toBe(~(0x1234 + 0x5600) & 0xffff);
  });

  test('a header from a real network', () => {
    // The example of the article on IPv4 headers that everybody copies: its checksum is b861.
    const packet = ipv4(
      { from: ip4('192.168.0.1'), to: ip4('192.168.0.199'), protocol: 17, dontFragment: true },
      Buffer.alloc(95),
    );
    expect(hex(packet.subarray(0, 20))).toBe('45000073000040004011b861c0a80001c0a800c7');
  });

  // Independent of how they were made: with its checksum in place a right message sums up to 0 (RFC 1071, section 1).
  const sum = (ends: { from: Uint8Array; to: Uint8Array }, protocol: number, bytes: Uint8Array): number => {
    const length = bytes.length;
    const even = Buffer.concat([bytes, Buffer.alloc(length % 2)]);
    let total = protocol + (length >>> 16) + (length & 0xffff);
    for (const part of [ends.from, ends.to, even]) {
      for (let i = 0; i < part.length; i += 2) total += (part[i]! << 8) | part[i + 1]!;
    }
    return total % 0xffff;
  };
  const payload = fc.uint8Array({ maxLength: 64 });
  const word = fc.nat(0xffff);

  test('UDP and TCP: right ones sum up, wrong ones never do, and UDP is never without', () => {
    fc.assert(
      fc.property(payload, word, fc.constantFrom(ends, ends6), (data, sourcePort, ends) => {
        const header = { sourcePort, destinationPort: 9 };
        const datagram = udp(ends, header, data);
        expect(sum(ends, Protocol.UDP, datagram)).toBe(0);
        expect(datagram.readUInt16BE(6)).not.toBe(0);
        const wrong = udp(ends, { ...header, checksum: 'wrong' }, data);
        expect(sum(ends, Protocol.UDP, wrong)).not.toBe(0);
        expect(wrong.readUInt16BE(6)).not.toBe(0);
        const flags = ['SYN'] as const;
        expect(sum(ends, Protocol.TCP, tcp(ends, { ...header, flags }, data))).toBe(0);
        expect(sum(ends, Protocol.TCP, tcp(ends, { ...header, flags, checksum: 'wrong' }, data))).not.toBe(0);
      }),
    );
  });

  test('a UDP checksum of zero is written as all ones (RFC 768)', () => {
    const empty = udp(ends, { sourcePort: 0, destinationPort: 0 }, new Uint8Array(2));
    // Fill the payload so that the sum comes out as zero.
    const fill = Buffer.alloc(2);
    fill.writeUInt16BE(empty.readUInt16BE(6));
    expect(udp(ends, { sourcePort: 0, destinationPort: 0 }, fill).readUInt16BE(6)).toBe(0xffff);
  });
});

test('TCP options of a length that no header can have', () => {
  expect(() => tcp(ends, { ...ports, flags: ['ACK'], options: new Uint8Array(3) })).toThrow(RangeError);
});

const tshark = needTool('tshark');

/** What Wireshark reads out of a frame; its checksum columns say 1 for right and 0 for wrong. */
function dissect(frames: readonly Uint8Array[], fields: readonly string[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'skbdrop-frames-'));
  try {
    const file = join(folder, 'frames.pcap');
    // pcap, little-endian, microseconds, link type Ethernet.
    const header = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');
    const records = frames.map((frame) => {
      const record = Buffer.alloc(16);
      record.writeUInt32LE(frame.length, 8);
      record.writeUInt32LE(frame.length, 12);
      return Buffer.concat([record, frame]);
    });
    writeFileSync(file, Buffer.concat([header, ...records]));
    const preferences = ['ip', 'udp', 'tcp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);
    const columns = fields.flatMap((field) => ['-e', field]);
    const text = execFileSync(tshark!, ['-n', '-r', file, ...preferences, '-T', 'fields', ...columns], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(tshark === undefined)('as Wireshark reads them', () => {
  const link = { to: mac('02:00:00:00:00:01'), from: mac('02:00:00:00:00:02') };
  const v4 = (protocol: number, payload: Uint8Array, more = {}): Buffer =>
    ethernet({ ...link, type: EtherType.IPV4 }, ipv4({ ...ends, protocol, ...more }, payload));
  const v6 = (payload: Uint8Array): Buffer =>
    ethernet({ ...link, type: EtherType.IPV6 }, ipv6({ ...ends6, nextHeader: Protocol.ICMPV6 }, payload));
  const data = Buffer.from('provoked by skbdrop.');

  test('checksums', () => {
    const status = ['ip.checksum.status', 'udp.checksum.status', 'tcp.checksum.status', 'icmp.checksum.status'];
    const flags = ['SYN'] as const;
    const rest = Buffer.alloc(12);
    const rows: [Uint8Array, string[]][] = [
      [v4(Protocol.UDP, udp(ends, ports, data)), ['1', '1', '', '']],
      [v4(Protocol.UDP, udp(ends, { ...ports, checksum: 'wrong' }, data)), ['1', '0', '', '']],
      [v4(Protocol.UDP, udp(ends, ports, data), { checksum: 'wrong' }), ['0', '1', '', '']],
      [v4(Protocol.TCP, tcp(ends, { ...ports, flags })), ['1', '', '1', '']],
      [v4(Protocol.TCP, tcp(ends, { ...ports, flags, checksum: 'wrong' }, data)), ['1', '', '0', '']],
      [v4(Protocol.ICMP, icmp({ type: 8 }, rest)), ['1', '', '', '1']],
      [v4(Protocol.ICMP, icmp({ type: 8, checksum: 'wrong' }, rest)), ['1', '', '', '0']],
    ];
    const seen = dissect(
      rows.map(([frame]) => frame),
      status,
    );
    expect(seen).toEqual(rows.map(([, wanted]) => wanted));
  });

  test('fields of TCP', () => {
    const options = tcpTimestamps(10_000, 77);
    const frame = v4(
      Protocol.TCP,
      tcp(ends, { ...ports, seq: 4_000_000_000, ack: 5, window: 512, flags: ['PSH', 'ACK'], options }, data),
      { ttl: 3, id: 0x1234 },
    );
    const fields = ['ip.ttl', 'ip.id', 'tcp.seq_raw', 'tcp.ack_raw', 'tcp.window_size_value', 'tcp.flags', 'tcp.len'];
    const times = ['tcp.options.timestamp.tsval', 'tcp.options.timestamp.tsecr'];
    expect(dissect([frame], [...fields, ...times])).toEqual([
      ['3', '0x1234', '4000000000', '5', '512', '0x0018', '20', '10000', '77'],
    ]);
  });

  test('an MD5 signature', () => {
    const frame = v4(Protocol.TCP, tcp(ends, { ...ports, flags: ['SYN'], options: tcpMd5Option() }));
    expect(dissect([frame], ['tcp.options.md5.digest', 'tcp.hdr_len'])).toEqual([['0'.repeat(32), '40']]);
  });

  test('fragments', () => {
    const frame = v4(Protocol.ICMP, data, { id: 7, moreFragments: true, fragmentOffset: 64 });
    expect(dissect([frame], ['ip.flags.mf', 'ip.frag_offset', 'ip.len'])).toEqual([
      [expect.stringMatching(/^(1|True)$/), expect.stringMatching(/^(64|8)$/), '40'],
    ]);
  });

  test('a neighbour solicitation', () => {
    const body = Buffer.concat([Buffer.alloc(4), ip6('fe80::99')]);
    const frame = v6(icmp6(ends6, { type: 135 }, body));
    const fields = ['icmpv6.checksum.status', 'icmpv6.nd.ns.target_address', 'ipv6.hlim', 'ipv6.src', 'ipv6.dst'];
    expect(dissect([frame], fields)).toEqual([['1', 'fe80::99', '255', 'fe80::2', 'ff02::1']]);
  });
});
