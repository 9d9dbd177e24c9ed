import type { Fd } from '../../sys/fd.ts';
import {
  AF_INET,
  bindSocket,
  connectSocket,
  emptySocket,
  IPPROTO_IP,
  IPPROTO_TCP,
  inetAddress,
  listenOn,
  openSocket,
  SOCK_STREAM,
  sendOn,
  setOption,
} from '../../sys/net.ts';
import { ip4, ipv4, Protocol, type TcpHeader, tcp, tcpMd5Option, tcpTimestamps } from '../frames.ts';
import { frame, type Ground, kernel, OPEN_PORT, PAYLOAD, PEER_PORT, peer, stranger } from '../ground.ts';
import type { Recipe } from '../recipe.ts';

// include/uapi/linux/tcp.h
const TCP_MD5SIG = 14;
const TCP_REPAIR = 19;
const TCP_REPAIR_QUEUE = 20;
const TCP_QUEUE_SEQ = 21;
const TCP_REPAIR_OPTIONS = 22;
const TCP_REPAIR_WINDOW = 29;
const TCP_REPAIR_ON = 1;
/** Without the window probe that a plain "off" sends. Requires Linux 4.19. */
const TCP_REPAIR_OFF_NO_WP = -1;
const TCP_RECV_QUEUE = 1;
const TCP_SEND_QUEUE = 2;
const TCPOPT_TIMESTAMP = 8;
const IP_MINTTL = 21; // include/uapi/linux/in.h

/** The next byte that the kernel expects, and the next that it sends, in every connection of ours. */
const EXPECTED = 1_000_000;
const SENT = 2_000_000;
const WINDOW = 64_000;
/** The peer's clock when it last sent something. */
const CLOCK = 10_000;

type Segment = Partial<TcpHeader> & { readonly from?: Uint8Array; readonly ttl?: number };

/** A segment to our port in a frame; one that fits into the connection, unless told otherwise. */
function segment(header: Segment, payload: Uint8Array = new Uint8Array()): Buffer {
  const ends = { from: header.from ?? peer.ip, to: kernel.ip };
  const fields: TcpHeader = {
    sourcePort: PEER_PORT,
    destinationPort: OPEN_PORT,
    seq: EXPECTED,
    ack: SENT,
    flags: ['ACK'],
    window: WINDOW,
    ...header,
  };
  return frame(ipv4({ ...ends, protocol: Protocol.TCP, ttl: header.ttl ?? 64 }, tcp(ends, fields, payload)));
}

function tcpSocket(port = OPEN_PORT): Fd {
  const socket = openSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  try {
    bindSocket(socket, inetAddress(kernel.ip, port));
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

function withListener<T>(body: (socket: Fd) => T): T {
  using socket = tcpSocket();
  listenOn(socket, 8);
  return body(socket);
}

/**
 * A connection between the kernel and a peer that does not exist: a socket in repair mode becomes established
 * without a handshake, with the sequence numbers that it is told, and closes without a word (v6.12 net/ipv4/tcp.c,
 * TCP_REPAIR; made for moving connections between hosts). Requires Linux 3.5 and CAP_NET_ADMIN.
 */
function connected(to: Uint8Array, timestamps = false, port = OPEN_PORT): Fd {
  const socket = tcpSocket(port);
  try {
    setOption(socket, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
    setOption(socket, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
    setOption(socket, IPPROTO_TCP, TCP_QUEUE_SEQ, SENT);
    setOption(socket, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
    setOption(socket, IPPROTO_TCP, TCP_QUEUE_SEQ, EXPECTED);
    connectSocket(socket, inetAddress(to, PEER_PORT));
    if (timestamps) setOption(socket, IPPROTO_TCP, TCP_REPAIR_OPTIONS, words(TCPOPT_TIMESTAMP, 0));
    // struct tcp_repair_window: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup
    setOption(socket, IPPROTO_TCP, TCP_REPAIR_WINDOW, words(EXPECTED, WINDOW, WINDOW, WINDOW, EXPECTED));
    setOption(socket, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

function words(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

/** Takes what the connection has received out of its queue, and ends it without a segment. */
function abandon(socket: Fd): void {
  emptySocket(socket);
  setOption(socket, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  socket.close();
}

function withConnection(ground: Ground, body: () => void, timestamps = false): void {
  const socket = connected(peer.ip, timestamps);
  try {
    body();
  } finally {
    abandon(socket);
    ground.tap.drain();
  }
}

/**
 * What TCP drops once it has found the socket passes the tracepoint since this release; before it, tcp_drop() freed it
 * without (v5.10 net/ipv4/tcp_input.c).
 */
const TCP_DROPS_SHOWN = '5.18';

/** A recipe that is one segment to a connection, again and again. */
function toConnection(reasons: readonly string[], length: number, description: string, wrong: Uint8Array): Recipe {
  return {
    reasons,
    length,
    since: TCP_DROPS_SHOWN,
    description,
    provoke: (ground, count) => withConnection(ground, () => ground.send(wrong, count)),
  };
}

/** A recipe that is one segment to a listening socket. */
function toListener(
  reasons: readonly string[],
  length: number,
  description: string,
  wrong: Uint8Array,
  more: { readonly needs?: string; readonly since?: string; readonly prepare?: (socket: Fd) => void } = {},
): Recipe {
  const { prepare, ...rest } = more;
  return {
    reasons,
    length,
    description,
    ...rest,
    provoke: (ground, count) =>
      withListener((socket) => {
        prepare?.(socket);
        ground.inject(wrong, count);
      }),
  };
}

const MD5 = 'TCP MD5 signatures (CONFIG_TCP_MD5SIG)';

/** Has the socket want signatures from `address`. struct tcp_md5sig: address, flags, length of the key, index, key. */
function wantSignature(address: Uint8Array): (socket: Fd) => void {
  return (socket) => {
    const request = Buffer.alloc(216);
    request.set(inetAddress(address), 0);
    request.writeUInt16LE(6, 130);
    request.write('secret', 136);
    setOption(socket, IPPROTO_TCP, TCP_MD5SIG, request);
  };
}

const syn: Segment = { flags: ['SYN'], from: stranger.ip };

export const tcpRecipes: readonly Recipe[] = [
  toListener(
    ['TCP_RESET'],
    20,
    'a TCP reset to a listening socket, which has nothing to reset',
    segment({ ...syn, flags: ['RST'] }),
    { since: TCP_DROPS_SHOWN },
  ),
  toListener(['TCP_FLAGS'], 20, 'a TCP segment with SYN and FIN at once', segment({ ...syn, flags: ['SYN', 'FIN'] }), {
    since: TCP_DROPS_SHOWN,
  }),
  toListener(
    ['TCP_MINTTL'],
    20,
    'a TCP SYN with TTL 1 to a socket that wants 255 (IP_MINTTL)',
    segment({ ...syn, ttl: 1 }),
    {
      prepare: (socket) => setOption(socket, IPPROTO_IP, IP_MINTTL, 255),
    },
  ),
  toListener(['TCP_MD5NOTFOUND'], 20, 'a TCP SYN without the MD5 signature that the socket wants', segment(syn), {
    needs: MD5,
    prepare: wantSignature(stranger.ip),
  }),
  toListener(
    ['TCP_MD5FAILURE'],
    40,
    'a TCP SYN with a wrong MD5 signature',
    segment({ ...syn, options: tcpMd5Option() }),
    { needs: MD5, prepare: wantSignature(stranger.ip) },
  ),
  toListener(
    ['TCP_MD5UNEXPECTED'],
    40,
    'a TCP SYN with an MD5 signature for which the socket has no key',
    segment({ ...syn, options: tcpMd5Option() }),
    // A key for somebody else: without any, the kernel does not look at signatures at all.
    { needs: MD5, prepare: wantSignature(ip4('203.0.113.1')) },
  ),
  toListener(
    ['TCP_AUTH_HDR', 'TCP_MD5FAILURE'],
    60,
    'a TCP SYN with two MD5 signatures',
    segment({ ...syn, options: Buffer.concat([tcpMd5Option(), tcpMd5Option()]) }),
    { needs: MD5, prepare: wantSignature(stranger.ip) },
  ),
  toConnection(
    ['TCP_OLD_DATA'],
    20,
    'TCP data that has arrived before',
    segment({ seq: EXPECTED - PAYLOAD.length }, PAYLOAD),
  ),
  toConnection(
    ['TCP_OLD_SEQUENCE', 'TCP_INVALID_SEQUENCE'],
    40,
    'TCP data from long before what is expected',
    segment({ seq: EXPECTED - 1000 }, PAYLOAD),
  ),
  toConnection(
    ['TCP_INVALID_SEQUENCE'],
    40,
    'TCP data from far beyond the window',
    segment({ seq: EXPECTED + 1_000_000 }, PAYLOAD),
  ),
  {
    reasons: ['TCP_INVALID_END_SEQUENCE'],
    length: 3020,
    since: '6.17',
    description: 'TCP data that begins within the window and ends beyond it',
    provoke(ground, count) {
      withConnection(ground, () => {
        // Tolerated while nothing waits to be read (v6.18 net/ipv4/tcp_input.c, tcp_sequence()).
        ground.send(segment({}, PAYLOAD));
        // No window without scaling reaches farther than 65535 bytes from what has come.
        ground.send(segment({ seq: EXPECTED + WINDOW - 4 }, Buffer.alloc(3000)), count);
      });
    },
  },
  toConnection(['TCP_INVALID_SYN'], 20, 'a TCP SYN in an established connection', segment({ flags: ['SYN'] })),
  toConnection(
    ['TCP_ACK_UNSENT_DATA'],
    20,
    'a TCP segment that acknowledges what was never sent',
    segment({ ack: SENT + 1000 }),
  ),
  toConnection(
    ['TCP_TOO_OLD_ACK'],
    20,
    'a TCP segment that acknowledges less than the last window could hold',
    segment({ ack: SENT - 1_000_000 }),
  ),
  {
    reasons: ['TCP_RFC7323_PAWS'],
    length: 52,
    since: TCP_DROPS_SHOWN,
    description: 'TCP data with an older timestamp than the last',
    provoke(ground, count) {
      withConnection(
        ground,
        () => {
          ground.send(segment({ options: tcpTimestamps(CLOCK, 0) }, PAYLOAD));
          const next = EXPECTED + PAYLOAD.length;
          ground.send(segment({ seq: next, options: tcpTimestamps(CLOCK - 5000, 0) }, PAYLOAD), count);
        },
        true,
      );
    },
  },
  {
    reasons: ['TCP_RFC7323_PAWS_ACK', 'TCP_RFC7323_PAWS'],
    length: 32,
    since: TCP_DROPS_SHOWN,
    description: 'a TCP acknowledgement that was overtaken by a later one, says its timestamp',
    provoke(ground, count) {
      withConnection(
        ground,
        () => {
          ground.send(segment({ options: tcpTimestamps(CLOCK, 0) }, PAYLOAD));
          ground.send(segment({ options: tcpTimestamps(CLOCK - 5000, 0) }), count);
        },
        true,
      );
    },
  },
  {
    reasons: ['TCP_OFOMERGE'],
    length: 20,
    since: TCP_DROPS_SHOWN,
    description: 'TCP data that is already waiting for what comes before it',
    provoke(ground, count) {
      withConnection(ground, () => {
        const early = segment({ seq: EXPECTED + PAYLOAD.length }, PAYLOAD);
        ground.send(early);
        ground.send(early, count);
        ground.send(segment({}, PAYLOAD));
      });
    },
  },
  {
    reasons: ['TCP_INVALID_ACK_SEQUENCE'],
    length: 20,
    description: 'a TCP segment that acknowledges a SYN which was not sent',
    provoke(ground, count) {
      using socket = tcpSocket();
      connectSocket(socket, inetAddress(peer.ip, PEER_PORT));
      const sent = ground.tap.receive();
      // The SYN's sequence number stands behind Ethernet's 14 bytes, IPv4's 20 and the ports.
      const seq = sent?.readUInt32BE(14 + 20 + 4) ?? 0;
      ground.send(segment({ ack: seq + 1000 }), count);
    },
  },
  {
    reasons: ['TCP_ABORT_ON_DATA'],
    length: 40,
    description: 'TCP data for a program that has closed the connection',
    portion: 500,
    provoke(ground, count) {
      for (let done = 0; done < count; done++) {
        connected(peer.ip).close();
        ground.send(segment({}, PAYLOAD));
      }
    },
  },
  {
    reasons: ['IP_OUTNOROUTES'],
    length: 40,
    description: 'TCP data to send after the route to the peer has gone',
    portion: 100,
    provoke(ground, count) {
      const far = ip4('203.0.113.1');
      ground.interfaces.addRoute(ground.tap.name, far);
      const sockets: Fd[] = [];
      try {
        while (sockets.length < count) sockets.push(connected(far, false, OPEN_PORT + sockets.length));
        ground.interfaces.deleteRoute(ground.tap.name, far);
        for (const socket of sockets) sendOn(socket, PAYLOAD);
      } finally {
        for (const socket of sockets) abandon(socket);
      }
    },
  },
];
