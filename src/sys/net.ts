import { SyscallError } from './errors.ts';
import { Fd } from './fd.ts';
import { native } from './ffi.ts';
import { errno, syscall, trySyscall } from './syscall.ts';

/** Network namespaces, interfaces and sockets, by system calls alone: no `ip`, no netlink library. */

const CLONE_NEWNET = 0x4000_0000; // include/uapi/linux/sched.h

/** Address families, include/linux/socket.h. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;

/** Socket types and the flags that go with them, include/linux/net.h (the same on x86-64 and arm64). */
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;

/** Levels and options, include/uapi/asm-generic/socket.h and include/uapi/linux/{in,tcp}.h. */
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_ATTACH_FILTER = 26;
export const SO_RCVBUFFORCE = 33;
const SO_MEMINFO = 55;
export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;

/** Where `SO_MEMINFO` counts the packets that a socket dropped (include/uapi/linux/sock_diag.h, SK_MEMINFO_DROPS). */
const SK_MEMINFO_DROPS = 8;
const SK_MEMINFO_VARS = 9;

/** Moves the calling thread into a new, empty network namespace. Requires CAP_SYS_ADMIN. @throws SyscallError */
export function unshareNetwork(): void {
  syscall('unshare', [CLONE_NEWNET], 'unshare(CLONE_NEWNET)');
}

/** Moves the calling thread into the network namespace behind `namespace`. @throws SyscallError */
export function enterNetwork(namespace: Fd): void {
  syscall('setns', [namespace.fd, CLONE_NEWNET], 'setns(CLONE_NEWNET)');
}

/** A socket that does not block, in the calling thread's network namespace. @throws SyscallError */
export function openSocket(family: number, type: number, protocol = 0): Fd {
  const fd = syscall('socket', [family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol]);
  return new Fd(fd, `socket ${family}/${type}/${protocol}`);
}

/** Two connected UNIX sockets. @throws SyscallError */
export function socketPair(type: number): readonly [Fd, Fd] {
  const fds = Buffer.alloc(8);
  syscall('socketpair', [AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds]);
  return [new Fd(fds.readInt32LE(0), 'UNIX socket'), new Fd(fds.readInt32LE(4), 'its peer')];
}

/** struct sockaddr_in: family in host order, port and address in network order. */
export function inetAddress(address: Uint8Array, port = 0): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address, 4);
  return bytes;
}

export function bindSocket(socket: Fd, address: Uint8Array): void {
  syscall('bind', [socket.fd, address, address.length]);
}

export function listenOn(socket: Fd, backlog: number): void {
  syscall('listen', [socket.fd, backlog]);
}

/** Begins to connect; a socket of ours does not wait for the outcome. @throws SyscallError */
export function connectSocket(socket: Fd, address: Uint8Array): void {
  const result = trySyscall('connect', [socket.fd, address, address.length]);
  if (result < 0 && result !== -errno.EINPROGRESS) throw new SyscallError('connect', -result);
}

/** @throws SyscallError ENOPROTOOPT where this kernel does not have the option */
export function setOption(socket: Fd, level: number, option: number, value: number | Uint8Array): void {
  const bytes = typeof value === 'number' ? int32(value) : value;
  syscall('setsockopt', [socket.fd, level, option, bytes, bytes.length], `setsockopt(${level}, ${option})`);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** How many packets this socket has dropped since it was made. Requires Linux 4.12. */
export function droppedBySocket(socket: Fd): number {
  const values = Buffer.alloc(4 * SK_MEMINFO_VARS);
  const length = int32(values.length);
  syscall('getsockopt', [socket.fd, SOL_SOCKET, SO_MEMINFO, values, length], 'getsockopt(SO_MEMINFO)');
  return values.readUInt32LE(4 * SK_MEMINFO_DROPS);
}

/** Sends; to `address` where the socket has no peer. Returns the bytes sent, or the negative errno. */
export function sendOn(socket: Fd, data: Uint8Array, address?: Uint8Array, flags = 0): number {
  return trySyscall('sendto', [socket.fd, data, data.length, flags, address ?? null, address?.length ?? 0]);
}

/** Receives into `into`. Returns the bytes received, or the negative errno: -EAGAIN where nothing is waiting. */
export function receiveFrom(socket: Fd, into: Uint8Array): number {
  return trySyscall('recvfrom', [socket.fd, into, into.length, 0, null, 0]);
}

/** Takes everything that is waiting in the socket's queue, and throws it away. */
export function emptySocket(socket: Fd): void {
  const into = Buffer.alloc(65_536);
  while (receiveFrom(socket, into) > 0);
}

// Interfaces: struct ifreq is 40 bytes, the name first (include/uapi/linux/if.h, sockios.h).
const IFNAMSIZ = 16;
const IFREQ_SIZE = 40;
const IFF_UP = 1;
const interfaceRequests = {
  SIOCADDRT: 0x890b,
  SIOCDELRT: 0x890c,
  SIOCGIFFLAGS: 0x8913,
  SIOCSIFFLAGS: 0x8914,
  SIOCSIFADDR: 0x8916,
  SIOCSIFBRDADDR: 0x891a,
  SIOCSIFNETMASK: 0x891c,
  SIOCSIFHWADDR: 0x8924,
  SIOCGIFINDEX: 0x8933,
  SIOCSIFTXQLEN: 0x8943,
  SIOCDARP: 0x8953,
  SIOCSARP: 0x8955,
} as const;

function control(socket: Fd, request: keyof typeof interfaceRequests, argument: Uint8Array): void {
  syscall('ioctl', [socket.fd, interfaceRequests[request], argument], `ioctl(${request})`);
}

/** struct ifreq for an interface, with `value` behind the name. */
export function interfaceRequest(name: string, value: Uint8Array = new Uint8Array()): Buffer {
  const request = Buffer.alloc(IFREQ_SIZE);
  request.write(name.slice(0, IFNAMSIZ - 1), 'latin1');
  request.set(value, IFNAMSIZ);
  return request;
}

/** Asks the calling thread's network namespace about its interfaces and changes them, by ioctl (netdevice(7)). */
export class Interfaces {
  readonly #socket: Fd = openSocket(AF_INET, SOCK_DGRAM);

  index(name: string): number {
    const request = interfaceRequest(name);
    control(this.#socket, 'SIOCGIFINDEX', request);
    return request.readInt32LE(IFNAMSIZ);
  }

  up(name: string): void {
    const request = interfaceRequest(name);
    control(this.#socket, 'SIOCGIFFLAGS', request);
    request.writeUInt16LE(request.readUInt16LE(IFNAMSIZ) | IFF_UP, IFNAMSIZ);
    control(this.#socket, 'SIOCSIFFLAGS', request);
  }

  /** Gives the interface its IPv4 address, and a route to the network of `mask`. */
  address(name: string, address: Uint8Array, mask: Uint8Array): void {
    control(this.#socket, 'SIOCSIFADDR', interfaceRequest(name, inetAddress(address)));
    control(this.#socket, 'SIOCSIFNETMASK', interfaceRequest(name, inetAddress(mask)));
    const broadcast = address.map((byte, i) => byte | (~mask[i]! & 0xff));
    control(this.#socket, 'SIOCSIFBRDADDR', interfaceRequest(name, inetAddress(broadcast)));
  }

  hardwareAddress(name: string, mac: Uint8Array): void {
    control(this.#socket, 'SIOCSIFHWADDR', interfaceRequest(name, hardware(mac)));
  }

  /** How many packets wait for an interface that does not keep up. */
  queueLength(name: string, packets: number): void {
    control(this.#socket, 'SIOCSIFTXQLEN', interfaceRequest(name, int32(packets)));
  }

  /** Tells the kernel a neighbour's hardware address, so that it need not ask. */
  neighbour(name: string, address: Uint8Array, mac: Uint8Array): void {
    control(this.#socket, 'SIOCSARP', neighbourRequest(name, address, mac));
  }

  forgetNeighbour(name: string, address: Uint8Array): void {
    control(this.#socket, 'SIOCDARP', neighbourRequest(name, address, new Uint8Array(6)));
  }

  /** A route to one address, straight out of the interface. */
  addRoute(name: string, address: Uint8Array): void {
    this.#route('SIOCADDRT', name, address);
  }

  deleteRoute(name: string, address: Uint8Array): void {
    this.#route('SIOCDELRT', name, address);
  }

  /** struct rtentry, include/uapi/linux/route.h, on a 64-bit machine. */
  #route(request: 'SIOCADDRT' | 'SIOCDELRT', name: string, address: Uint8Array): void {
    const [RTF_UP, RTF_HOST] = [1, 4];
    // The device is named by a pointer, so the name stands behind the structure, in the same buffer.
    const [size, device] = [120, Buffer.from(`${name}\0`, 'latin1')];
    const entry = Buffer.concat([Buffer.alloc(size), device]);
    entry.set(inetAddress(address), 8);
    entry.set(inetAddress(Uint8Array.of(0, 0, 0, 0)), 24);
    entry.set(inetAddress(Uint8Array.of(255, 255, 255, 255)), 40);
    entry.writeUInt16LE(RTF_UP | RTF_HOST, 56);
    entry.writeBigUInt64LE(native().address(entry) + BigInt(size), 88);
    control(this.#socket, request, entry);
  }

  close(): void {
    this.#socket.close();
  }
}

/** struct sockaddr with an Ethernet address in it. */
function hardware(mac: Uint8Array): Buffer {
  const ARPHRD_ETHER = 1;
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(ARPHRD_ETHER, 0);
  bytes.set(mac, 2);
  return bytes;
}

/** struct arpreq, include/uapi/linux/if_arp.h: protocol address, hardware address, flags, netmask, device. */
function neighbourRequest(name: string, address: Uint8Array, mac: Uint8Array): Buffer {
  const [ATF_COM, ATF_PERM] = [2, 4];
  const request = Buffer.alloc(68);
  request.set(inetAddress(address), 0);
  request.set(hardware(mac), 16);
  request.writeInt32LE(ATF_COM | ATF_PERM, 32);
  request.write(name.slice(0, IFNAMSIZ - 1), 52, 'latin1');
  return request;
}

// TUN/TAP, include/uapi/linux/if_tun.h.
const TUNSETIFF = 0x4004_54ca;
const TUNSETTXFILTER = 0x4004_54d1;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;

/**
 * Makes the descriptor of an open /dev/net/tun a TAP interface `name` in the calling thread's network namespace. It
 * goes when the descriptor is closed. Requires CAP_NET_ADMIN.
 */
export function makeTap(tun: Fd, name: string): void {
  const flags = Buffer.alloc(2);
  flags.writeUInt16LE(IFF_TAP | IFF_NO_PI);
  syscall('ioctl', [tun.fd, TUNSETIFF, interfaceRequest(name, flags)], 'ioctl(TUNSETIFF)');
}

/** What a TAP interface sends is dropped unless it goes to one of these addresses; an empty list lifts that. */
export function setTapFilter(tun: Fd, macs: readonly Uint8Array[]): void {
  const filter = Buffer.alloc(4 + 6 * macs.length);
  filter.writeUInt16LE(macs.length, 2);
  macs.forEach((mac, i) => {
    filter.set(mac, 4 + 6 * i);
  });
  syscall('ioctl', [tun.fd, TUNSETTXFILTER, filter], 'ioctl(TUNSETTXFILTER)');
}
