import { SkbdropError, SyscallError } from '../sys/errors.ts';
import type { Fd } from '../sys/fd.ts';
import { AF_NETLINK, openSocket, receiveFrom, SOCK_RAW, sendOn } from '../sys/net.ts';

/** As much of netlink as it takes to add a few rules: RFC 3549, include/uapi/linux/netlink.h. */

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const HEADER = 16;

export const NLM_F_CREATE = 0x400;

/** An attribute: length, type, value, padded to 4 bytes. Text is closed with NUL; numbers go in network order. */
export function attribute(type: number, value: Uint8Array | string | number): Buffer {
  const bytes =
    typeof value === 'string' ? Buffer.from(`${value}\0`) : typeof value === 'number' ? networkOrder(value) : value;
  const length = 4 + bytes.length;
  const whole = Buffer.alloc(Math.ceil(length / 4) * 4);
  whole.writeUInt16LE(length, 0);
  whole.writeUInt16LE(type, 2);
  whole.set(bytes, 4);
  return whole;
}

function networkOrder(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export interface Message {
  readonly type: number;
  readonly flags?: number;
  /** What the family wants first, and the attributes. */
  readonly body: readonly Uint8Array[];
}

/**
 * Sends messages of one family (NETLINK_ROUTE is 0, NETLINK_NETFILTER 12) in one go, and waits until the kernel has
 * acknowledged those of them that ask for it.
 *
 * @throws SyscallError with the kernel's verdict
 */
export function request(family: number, messages: readonly (Message & { readonly silent?: boolean })[]): void {
  using socket = openSocket(AF_NETLINK, SOCK_RAW, family);
  const bytes = messages.map(({ type, flags = 0, body, silent = false }, sequence) => {
    const header = Buffer.alloc(HEADER);
    const payload = Buffer.concat(body);
    header.writeUInt32LE(HEADER + payload.length, 0);
    header.writeUInt16LE(type, 4);
    header.writeUInt16LE(NLM_F_REQUEST | (silent ? 0 : NLM_F_ACK) | flags, 6);
    header.writeUInt32LE(sequence, 8);
    return Buffer.concat([header, payload]);
  });
  const sent = sendOn(socket, Buffer.concat(bytes));
  if (sent < 0) throw new SyscallError(`netlink(${family})`, -sent);
  for (const { silent } of messages) if (!silent) acknowledge(socket, family);
}

/** The kernel answers before the call that asked returns, so an answer that is not there never comes. */
function acknowledge(socket: Fd, family: number): void {
  const answer = Buffer.alloc(8192);
  const length = receiveFrom(socket, answer);
  if (length < 0) throw new SyscallError(`netlink(${family})`, -length);
  if (answer.readUInt16LE(4) !== NLMSG_ERROR) throw new SkbdropError('system', 'netlink answered out of turn');
  const verdict = answer.readInt32LE(HEADER);
  if (verdict < 0) throw new SyscallError(`netlink(${family})`, -verdict);
}
