import { SkbdropError, SyscallError } from '../../sys/errors.ts';
import type { Fd } from '../../sys/fd.ts';
import { native } from '../../sys/ffi.ts';
import {
  AF_NETLINK,
  AF_PACKET,
  connectSocket,
  droppedBySocket,
  IPPROTO_IP,
  openSocket,
  receiveFrom,
  SO_ATTACH_FILTER,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_SOCKET,
  sendOn,
  setOption,
  socketPair,
} from '../../sys/net.ts';
import { EtherType } from '../frames.ts';
import { datagram, frame, type Ground, OPEN_PORT, PAYLOAD } from '../ground.ts';
import type { Recipe } from '../recipe.ts';

const toOurSocket = frame(datagram({}, { destinationPort: OPEN_PORT }));
const experimental = frame(PAYLOAD, { type: EtherType.EXPERIMENTAL });

/** Frames after which even the largest queue of a socket with the smallest buffer is full. */
const PATIENCE = 10_000;

/** Sends one by one until the socket has dropped one for want of room, then the rest at once. */
function overflow(ground: Ground, socket: Fd, packet: Uint8Array, count: number): void {
  for (let sent = 0; droppedBySocket(socket) === 0; sent++) {
    if (sent === PATIENCE) throw new SkbdropError('unsupported', 'the queue of a socket never gets full');
    ground.send(packet);
  }
  ground.inject(packet, count - 1);
}

/** One classic BPF instruction: return 0, keep nothing. With the structure that points at it (linux/filter.h). */
function keepNothing(socket: Fd): void {
  const filter = Uint8Array.of(0x06, 0, 0, 0, 0, 0, 0, 0);
  const program = Buffer.alloc(16);
  program.writeUInt16LE(1, 0);
  program.writeBigUInt64LE(native().address(filter), 8);
  setOption(socket, SOL_SOCKET, SO_ATTACH_FILTER, program);
}

const IP_XFRM_POLICY = 17; // include/uapi/linux/in.h
const NETLINK_XFRM = 6; // include/uapi/linux/netlink.h

/** struct xfrm_userpolicy_info, include/uapi/linux/xfrm.h: everything that comes in for this socket is blocked. */
function blockAll(socket: Fd): void {
  const [XFRM_POLICY_IN, XFRM_POLICY_BLOCK, AF_INET] = [0, 1, 2];
  const policy = Buffer.alloc(168);
  policy.writeUInt16LE(AF_INET, 40);
  policy.writeUInt8(XFRM_POLICY_IN, 160);
  policy.writeUInt8(XFRM_POLICY_BLOCK, 161);
  // Whoever asks for this kind of netlink socket has the module loaded that the option wants.
  openSocket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM).close();
  setOption(socket, IPPROTO_IP, IP_XFRM_POLICY, policy);
}

/** A packet socket for the experimental EtherType. */
function packetSocket(): Fd {
  return openSocket(AF_PACKET, SOCK_RAW, ((EtherType.EXPERIMENTAL & 0xff) << 8) | (EtherType.EXPERIMENTAL >> 8));
}

/** Datagrams that fit into the queue of a UNIX socket at once. */
const UNIX_PORTION = 100;

/** Two UNIX datagram sockets, with `count` datagrams from the first waiting at the second. */
function withUnread(ground: Ground, count: number, body: (sender: Fd, receiver: Fd) => void): void {
  ground.set({ 'unix/max_dgram_qlen': String(UNIX_PORTION) }, () => {
    const [sender, receiver] = socketPair(SOCK_DGRAM);
    try {
      for (let sent = 0; sent < count; sent++) sendOn(sender, PAYLOAD);
      body(sender, receiver);
    } finally {
      sender.close();
      receiver.close();
    }
  });
}

export const socketRecipes: readonly Recipe[] = [
  {
    reasons: ['SOCKET_RCVBUFF'],
    length: 20,
    description: 'UDP datagrams for a program that does not read them, until its socket is full',
    provoke: (ground, count) =>
      ground.withUdpSocket((socket) => {
        setOption(socket, SOL_SOCKET, SO_RCVBUF, 1);
        overflow(ground, socket, toOurSocket, count);
      }),
  },
  {
    reasons: ['SOCKET_FILTER'],
    length: 28,
    description: 'a UDP datagram for a socket whose filter keeps nothing',
    provoke: (ground, count) =>
      ground.withUdpSocket((socket) => {
        keepNothing(socket);
        ground.inject(toOurSocket, count);
      }),
  },
  {
    reasons: ['XFRM_POLICY'],
    length: 28,
    description: 'a UDP datagram for a socket whose IPsec policy blocks everything',
    needs: 'IPsec policies (CONFIG_XFRM_USER)',
    provoke: (ground, count) =>
      ground.withUdpSocket((socket) => {
        blockAll(socket);
        ground.inject(toOurSocket, count);
      }),
  },
  {
    reasons: ['PACKET_SOCK_ERROR'],
    length: 34,
    description: 'frames for a packet socket that nobody reads, until it is full',
    needs: 'packet sockets (CONFIG_PACKET)',
    provoke(ground, count) {
      using socket = packetSocket();
      setOption(socket, SOL_SOCKET, SO_RCVBUF, 1);
      overflow(ground, socket, experimental, count);
      const into = Buffer.alloc(64);
      while (receiveFrom(socket, into) > 0);
    },
  },
  {
    reasons: ['QUEUE_PURGE'],
    length: 34,
    description: 'frames that wait at a packet socket when it is closed',
    needs: 'packet sockets (CONFIG_PACKET)',
    portion: 1000,
    provoke(ground, count) {
      using socket = packetSocket();
      setOption(socket, SOL_SOCKET, SO_RCVBUFFORCE, 64 * 1024 * 1024);
      ground.send(experimental, count);
    },
  },
  {
    reasons: ['SOCKET_CLOSE'],
    length: 20,
    withoutInterface: true,
    description: 'datagrams that wait at a UNIX socket when it is closed',
    portion: UNIX_PORTION,
    provoke: (ground, count) => withUnread(ground, count, (_, receiver) => receiver.close()),
  },
  {
    reasons: ['UNIX_DISCONNECT', 'QUEUE_PURGE'],
    length: 20,
    withoutInterface: true,
    description: 'datagrams that wait at a UNIX socket when it leaves the one they came from',
    portion: UNIX_PORTION,
    provoke: (ground, count) =>
      withUnread(ground, count, (_, receiver) => {
        const AF_UNSPEC = Uint8Array.of(0, 0);
        connectSocket(receiver, AF_UNSPEC);
      }),
  },
  {
    reasons: ['UNIX_SKIP_OOB'],
    length: 1,
    withoutInterface: true,
    description: 'a byte out of band on a UNIX stream, which the reader passes over',
    needs: 'out-of-band data on UNIX sockets (CONFIG_AF_UNIX_OOB)',
    provoke(_ground, count) {
      const MSG_OOB = 1;
      const [sender, receiver] = socketPair(SOCK_STREAM);
      const into = Buffer.alloc(64);
      try {
        for (let done = 0; done < count; done++) {
          const sent = sendOn(sender, Uint8Array.of(33), undefined, MSG_OOB);
          if (sent < 0) throw new SyscallError('send(MSG_OOB)', -sent);
          sendOn(sender, Uint8Array.of(46));
          receiveFrom(receiver, into);
        }
      } finally {
        sender.close();
        receiver.close();
      }
    },
  },
];
