/**
 * Packets, byte by byte: headers around a payload, with right checksums unless a wrong one is asked for. Nothing
 * here touches a kernel.
 */

/** EtherTypes, IEEE 802 numbers. 0x88b5 is set aside for local experiments (IEEE Std 802-2014, 9.2.4). */
export const EtherType = { IPV4: 0x0800, IPV6: 0x86dd, EXPERIMENTAL: 0x88b5 } as const;

/** Protocol numbers (IANA). 253 is set aside for experiments (RFC 3692, section 2.1). */
export const Protocol = { ICMP: 1, TCP: 6, UDP: 17, FRAGMENT: 44, ICMPV6: 58, EXPERIMENTAL: 253 } as const;

export type Checksum = 'right' | 'wrong';

/** `02:00:00:00:00:01` as six bytes. @throws RangeError */
export function mac(text: string): Uint8Array {
  const bytes = text.split(':').map((part) => Number.parseInt(part, 16));
  if (bytes.length !== 6 || bytes.some((byte) => !(byte >= 0 && byte <= 255))) {
    throw new RangeError(`no hardware address: ${text}`);
  }
  return Uint8Array.from(bytes);
}

/** `192.0.2.1` as four bytes. @throws RangeError */
export function ip4(text: string): Uint8Array {
  const bytes = text.split('.').map(Number);
  if (bytes.length !== 4 || bytes.some((byte) => !(Number.isInteger(byte) && byte >= 0 && byte <= 255))) {
    throw new RangeError(`no IPv4 address: ${text}`);
  }
  return Uint8Array.from(bytes);
}

/** `2001:db8::1` as sixteen bytes (RFC 4291, section 2.2, forms 1 and 2). @throws RangeError */
export function ip6(text: string): Uint8Array {
  const [before = '', after, ...more] = text.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => Number(`0x${group}`)));
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  const gap = 8 - head.length - tail.length;
  const all = [...head, ...Array<number>(after === undefined ? 0 : Math.max(gap, 0)).fill(0), ...tail];
  if (more.length > 0 || all.length !== 8 || all.some((group) => !(group >= 0 && group <= 0xffff))) {
    throw new RangeError(`no IPv6 address: ${text}`);
  }
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The Internet checksum of `parts`, laid end to end (RFC 1071); only the last may have an odd length. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += part[i]! * 256 + (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

/** A checksum that is not `right`, and neither 0 nor 0xffff stand for it: they are the same in ones' complement. */
function spoiled(right: number): number {
  return right >= 0xfffe || right === 0 ? 0x1234 : right + 1;
}

function settled(right: number, checksum: Checksum | undefined): number {
  return checksum === 'wrong' ? spoiled(right) : right;
}

export interface EthernetHeader {
  readonly to: Uint8Array;
  readonly from: Uint8Array;
  readonly type: number;
}

/** IEEE 802.3, without the frame check sequence, which the hardware adds. */
export function ethernet(header: EthernetHeader, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(14 + payload.length);
  bytes.set(header.to, 0);
  bytes.set(header.from, 6);
  bytes.writeUInt16BE(header.type, 12);
  bytes.set(payload, 14);
  return bytes;
}

export interface Ipv4Header {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly protocol: number;
  readonly ttl?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** Bytes; a multiple of 8. */
  readonly fragmentOffset?: number;
  /** In place of what is true: the header's length in 32-bit words, and the packet's in bytes. */
  readonly headerWords?: number;
  readonly totalLength?: number;
  readonly checksum?: Checksum;
}

/** RFC 791, section 3.1; no options. */
export function ipv4(header: Ipv4Header, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(20 + payload.length);
  bytes[0] = 0x40 | (header.headerWords ?? 5);
  bytes.writeUInt16BE(header.totalLength ?? bytes.length, 2);
  bytes.writeUInt16BE(header.id ?? 0, 4);
  const flags = (header.dontFragment ? 0x4000 : 0) | (header.moreFragments ? 0x2000 : 0);
  bytes.writeUInt16BE(flags | ((header.fragmentOffset ?? 0) / 8), 6);
  bytes[8] = header.ttl ?? 64;
  bytes[9] = header.protocol;
  bytes.set(header.from, 12);
  bytes.set(header.to, 16);
  bytes.writeUInt16BE(settled(internetChecksum(bytes.subarray(0, 20)), header.checksum), 10);
  bytes.set(payload, 20);
  return bytes;
}

export interface Ipv6Header {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly nextHeader: number;
  readonly hopLimit?: number;
}

/** RFC 8200, section 3. */
export function ipv6(header: Ipv6Header, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(40 + payload.length);
  bytes[0] = 0x60;
  bytes.writeUInt16BE(payload.length, 4);
  bytes[6] = header.nextHeader;
  bytes[7] = header.hopLimit ?? 255;
  bytes.set(header.from, 8);
  bytes.set(header.to, 24);
  bytes.set(payload, 40);
  return bytes;
}

/** A fragment header that fragments nothing: offset 0 and no more to come (RFC 6946, section 3). */
export function atomicFragment(nextHeader: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(nextHeader, 0, 0, 0, 0, 0, 0, 1), payload]);
}

/** The addresses between which a packet travels: UDP, TCP and ICMPv6 checksums cover them. */
export interface Ends {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** RFC 9293, section 3.1 for IPv4 and RFC 8200, section 8.1 for IPv6. */
function pseudoHeader({ from, to }: Ends, protocol: number, length: number): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(length, 0);
  tail.writeUInt32BE(protocol, 4);
  // The IPv4 form packs the same two numbers into 4 bytes; as a sum of 16-bit words they are the same.
  return Buffer.concat([from, to, tail]);
}

export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly checksum?: Checksum;
}

/** RFC 768. */
export function udp(ends: Ends, header: UdpHeader, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(8 + payload.length);
  bytes.writeUInt16BE(header.sourcePort, 0);
  bytes.writeUInt16BE(header.destinationPort, 2);
  bytes.writeUInt16BE(bytes.length, 4);
  bytes.set(payload, 8);
  const sum = internetChecksum(pseudoHeader(ends, Protocol.UDP, bytes.length), bytes);
  // Zero would say that there is no checksum.
  bytes.writeUInt16BE(settled(sum, header.checksum) || 0xffff, 6);
  return bytes;
}

/** RFC 9293, section 3.1, and as bits of the header's 14th byte. */
const tcpFlags = { FIN: 0x01, SYN: 0x02, RST: 0x04, PSH: 0x08, ACK: 0x10 } as const;
export type TcpFlag = keyof typeof tcpFlags;

export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags: readonly TcpFlag[];
  readonly window?: number;
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array;
  readonly checksum?: Checksum;
}

/** RFC 9293, section 3.1. */
export function tcp(ends: Ends, header: TcpHeader, payload: Uint8Array = new Uint8Array()): Buffer {
  const { options = new Uint8Array() } = header;
  if (options.length % 4 !== 0) throw new RangeError(`TCP options of ${options.length} bytes, not a multiple of 4`);
  const start = 20 + options.length;
  const bytes = Buffer.alloc(start + payload.length);
  bytes.writeUInt16BE(header.sourcePort, 0);
  bytes.writeUInt16BE(header.destinationPort, 2);
  bytes.writeUInt32BE((header.seq ?? 0) >>> 0, 4);
  bytes.writeUInt32BE((header.ack ?? 0) >>> 0, 8);
  bytes[12] = (start / 4) << 4;
  bytes[13] = header.flags.reduce((bits, flag) => bits | tcpFlags[flag], 0);
  bytes.writeUInt16BE(header.window ?? 0xffff, 14);
  bytes.set(options, 20);
  bytes.set(payload, start);
  const sum = internetChecksum(pseudoHeader(ends, Protocol.TCP, bytes.length), bytes);
  bytes.writeUInt16BE(settled(sum, header.checksum), 16);
  return bytes;
}

/** The timestamps option, padded in front as RFC 7323, appendix A, has it. */
export function tcpTimestamps(value: number, echo: number): Buffer {
  const bytes = Buffer.from([1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeUInt32BE(value >>> 0, 4);
  bytes.writeUInt32BE(echo >>> 0, 8);
  return bytes;
}

/** The MD5 signature option (RFC 2385, section 3.0), padded; the signature is all zeros, which no key makes. */
export function tcpMd5Option(): Buffer {
  return Buffer.from([1, 1, 19, 18, ...Array<number>(16).fill(0)]);
}

export interface IcmpHeader {
  readonly type: number;
  readonly code?: number;
  readonly checksum?: Checksum;
}

/** RFC 792: type, code, checksum, and all that follows them. */
export function icmp(header: IcmpHeader, rest: Uint8Array): Buffer {
  return icmpMessage(header, rest, new Uint8Array());
}

/** RFC 4443, section 2.1. */
export function icmp6(ends: Ends, header: IcmpHeader, rest: Uint8Array): Buffer {
  return icmpMessage(header, rest, pseudoHeader(ends, Protocol.ICMPV6, 4 + rest.length));
}

function icmpMessage(header: IcmpHeader, rest: Uint8Array, pseudo: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + rest.length);
  bytes[0] = header.type;
  bytes[1] = header.code ?? 0;
  bytes.set(rest, 4);
  bytes.writeUInt16BE(settled(internetChecksum(pseudo, bytes), header.checksum), 2);
  return bytes;
}
