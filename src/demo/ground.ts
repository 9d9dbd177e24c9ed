import { fstatSync, readFileSync, writeFileSync } from 'node:fs';
import { explainPermission } from '../sys/capabilities.ts';
import { NotSupportedError } from '../sys/errors.ts';
import type { Fd } from '../sys/fd.ts';
import {
  AF_INET,
  bindSocket,
  emptySocket,
  enterNetwork,
  Interfaces,
  inetAddress,
  openSocket,
  SOCK_DGRAM,
  unshareNetwork,
} from '../sys/net.ts';
import { EtherType, ethernet, type Ipv4Header, icmp, ip4, ipv4, mac, Protocol, type UdpHeader, udp } from './frames.ts';
import { currentNetwork, Flood, Tap } from './wire.ts';

export interface Host {
  readonly mac: Uint8Array;
  readonly ip: Uint8Array;
}

/** Who is who. All addresses are for documentation (RFC 5737), so that nobody takes them for somebody's. */
export const kernel: Host = { mac: mac('02:00:00:00:00:01'), ip: ip4('192.0.2.1') };
/** The other end of the wire, played by us. The kernel knows its hardware address and answers it. */
export const peer: Host = { mac: mac('02:00:00:00:00:02'), ip: ip4('192.0.2.2') };
/**
 * There is no route to this one, so the kernel does not answer: it looks the route up before it makes the packet
 * (v6.12 net/ipv4/icmp.c, icmp_route_lookup(); ip_output.c, ip_send_unicast_reply()). Nothing else is dropped then.
 */
export const stranger: Host = { mac: mac('02:00:00:00:00:03'), ip: ip4('198.51.100.9') };

const mask = ip4('255.255.255.0');
export const broadcast: Host = { mac: mac('ff:ff:ff:ff:ff:ff'), ip: ip4('192.0.2.255') };

/** A port where nobody listens, and where our own sockets are. */
export const CLOSED_PORT = 9;
export const OPEN_PORT = 7;
export const PEER_PORT = 40_000;

/** Twenty bytes to fill a packet with. */
export const PAYLOAD: Uint8Array = Buffer.from('provoked by skbdrop.');

/** Packets that may wait at our interface: more than the answers to one slice of a flood. */
export const QUEUE = 16_384;
/** Frames between two looks at what the kernel has answered. */
const SLICE = 8_192;
/** A call for live frames takes some 30 ms to tidy up after itself; by then as many are written one by one. */
const MANY = 10_000;

/**
 * How the namespace's knobs stand, unless a recipe turns one. IPv4's are copied from the host's first namespace
 * (Documentation/networking/ip-sysctl.rst, devconf_inherit_init_net), so none is left as it comes.
 */
const settings: Readonly<Record<string, string>> = {
  'ipv4/ip_forward': '0',
  'ipv4/icmp_echo_ignore_broadcasts': '1',
  'ipv4/conf/all/rp_filter': '0',
  'ipv4/conf/all/log_martians': '0',
  'ipv4/conf/all/route_localnet': '0',
  'ipv4/conf/all/drop_unicast_in_l2_multicast': '0',
  'ipv4/conf/all/send_redirects': '0',
  'ipv4/conf/DEVICE/rp_filter': '0',
  'ipv4/conf/DEVICE/log_martians': '0',
  'ipv4/conf/DEVICE/accept_local': '0',
  'ipv4/conf/DEVICE/route_localnet': '0',
  'ipv4/conf/DEVICE/send_redirects': '0',
  // A fresh IPv6 interface talks on its own, and what it says may be dropped.
  'ipv6/conf/all/disable_ipv6': '1',
  'ipv6/conf/default/disable_ipv6': '1',
  'ipv6/conf/lo/disable_ipv6': '1',
};

const DEVICE = 'demo0';

export interface GroundOptions {
  /** Whether the kernel multiplies frames; by default where it can and there are many. */
  readonly liveFrames?: 'always' | 'never' | undefined;
}

/** Where drops are provoked: a network namespace of our own, with the loopback up and one interface more. */
export class Ground {
  readonly interfaces: Interfaces;
  /** The inode of the namespace, by which tools know it. */
  readonly inode: number;
  readonly #home: Fd;
  /** Or why there is none: what needs no interface is provoked all the same. */
  readonly #tap: Tap | NotSupportedError;
  #flood: Flood | undefined;
  #many: number = MANY;

  private constructor(tap: Tap | NotSupportedError, interfaces: Interfaces, inode: number, home: Fd) {
    this.#tap = tap;
    this.interfaces = interfaces;
    this.inode = inode;
    this.#home = home;
  }

  /**
   * Moves the calling thread into a namespace of its own, until `close()`.
   *
   * @throws PermissionError without CAP_SYS_ADMIN and CAP_NET_ADMIN
   */
  static open({ liveFrames }: GroundOptions = {}): Ground {
    const home = currentNetwork();
    const undo: (() => void)[] = [() => home.close()];
    try {
      return explainPermission('make a network namespace', ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN', 'CAP_BPF'], () => {
        unshareNetwork();
        undo.push(() => enterNetwork(home));
        using here = currentNetwork();
        const inode = fstatSync(here.fd).ino;
        const interfaces = new Interfaces();
        undo.push(() => interfaces.close());
        const tap = openTap();
        if (tap instanceof Tap) undo.push(() => tap.close());
        prepare(interfaces, tap instanceof Tap);
        const ground = new Ground(tap, interfaces, inode, home);
        if (!(tap instanceof Tap)) return ground;
        if (liveFrames !== 'never') ground.#flood = Flood.open(ground.ifindex, harmless);
        if (liveFrames === 'always') ground.#many = 1;
        return ground;
      });
    } catch (error) {
      for (const step of undo.reverse()) attempt(step);
      throw error;
    }
  }

  /** The interface at which our frames come in. @throws NotSupportedError where there is no /dev/net/tun */
  get tap(): Tap {
    if (this.#tap instanceof Tap) return this.#tap;
    throw this.#tap;
  }

  /** @throws NotSupportedError where there is no /dev/net/tun */
  requireInterface(): void {
    void this.tap;
  }

  get ifindex(): number {
    return this.interfaces.index(this.tap.name);
  }

  /** Whether the kernel multiplies frames for us, or each is written by itself. */
  get canFlood(): boolean {
    return this.#flood !== undefined;
  }

  /**
   * `count` copies of a frame come in at the interface, and whatever they lead to is done on return. Many copies are
   * made by the kernel where it can, so this is for frames that it neither changes (see Flood) nor answers one by one.
   */
  inject(frame: Uint8Array, count: number): void {
    const flooded = this.#flood === undefined || count < this.#many ? 0 : this.#flood.inject(frame, count);
    // What a signal has cut off, too: it would cut off the next call as well, where signals keep coming.
    this.send(frame, count - flooded);
  }

  /** As `inject`, each frame written by itself, and what the kernel answers taken away. */
  send(frame: Uint8Array, count = 1): void {
    for (let done = 0; done < count; done++) {
      this.tap.send(frame);
      if (done % SLICE === SLICE - 1) this.tap.drain();
    }
    this.tap.drain();
  }

  /**
   * Turns the namespace's knobs under /proc/sys/net for the length of `body`. `DEVICE` in a name stands for our
   * interface. That directory shows the namespace of the task that opens it.
   *
   * @throws NotSupportedError where this kernel has no such knob, or they may not be turned
   */
  set<T>(values: Readonly<Record<string, string>>, body: () => T): T {
    const before: [string, string][] = [];
    try {
      for (const [name, value] of Object.entries(values)) {
        before.push([name, readKnob(name)]);
        writeKnob(name, value);
      }
      return body();
    } finally {
      for (const [name, value] of before.reverse()) writeKnob(name, value);
    }
  }

  /** A UDP socket at our address for the length of `body`. What is left in its queue is taken out of it in the end. */
  withUdpSocket<T>(body: (socket: Fd) => T): T {
    using socket = openSocket(AF_INET, SOCK_DGRAM);
    bindSocket(socket, inetAddress(kernel.ip, OPEN_PORT));
    try {
      return body(socket);
    } finally {
      emptySocket(socket);
    }
  }

  /** Leaves the namespace, which ends with that. */
  close(): void {
    this.#flood?.close();
    if (this.#tap instanceof Tap) {
      this.#tap.drain();
      this.#tap.close();
    }
    this.interfaces.close();
    enterNetwork(this.#home);
    this.#home.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** In a user namespace there is no way back into the host's network; what went wrong before counts for more. */
function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // nothing is lost: the namespace goes with the process
  }
}

function openTap(): Tap | NotSupportedError {
  try {
    return new Tap(DEVICE);
  } catch (error) {
    if (error instanceof NotSupportedError) return error;
    throw error;
  }
}

function prepare(interfaces: Interfaces, hasTap: boolean): void {
  for (const [name, value] of Object.entries(settings)) setKnob(name, value);
  interfaces.up('lo');
  if (!hasTap) return;
  interfaces.hardwareAddress(DEVICE, kernel.mac);
  interfaces.queueLength(DEVICE, QUEUE);
  interfaces.address(DEVICE, kernel.ip, mask);
  interfaces.up(DEVICE);
  interfaces.neighbour(DEVICE, peer.ip, peer.mac);
}

function knobFile(name: string): string {
  return `/proc/sys/net/${name.replace('DEVICE', DEVICE)}`;
}

function readKnob(name: string): string {
  try {
    return readFileSync(knobFile(name), 'latin1').trim();
  } catch (cause) {
    throw new NotSupportedError(knobFile(name), { cause });
  }
}

function writeKnob(name: string, value: string): void {
  try {
    writeFileSync(knobFile(name), value);
  } catch (cause) {
    const hint = 'In a container, /proc/sys is writable with --privileged only';
    throw new NotSupportedError(`writable ${knobFile(name)}`, { hint, cause });
  }
}

/** Sets a knob that may be missing (a kernel without IPv6), or stand right already where none may be turned. */
function setKnob(name: string, value: string): void {
  let now: string;
  try {
    now = readKnob(name);
  } catch {
    return;
  }
  if (now !== value) writeKnob(name, value);
}

/** A frame from the peer to the kernel, around an IPv4 packet. */
export function frame(packet: Uint8Array, header: { to?: Uint8Array; type?: number } = {}): Buffer {
  return ethernet({ to: header.to ?? kernel.mac, from: peer.mac, type: header.type ?? EtherType.IPV4 }, packet);
}

/** An IPv4 packet with a UDP datagram, from somebody who gets no answer to a closed port, unless told otherwise. */
export function datagram(
  header: Partial<Ipv4Header> = {},
  ports: Partial<UdpHeader> = {},
  payload: Uint8Array = PAYLOAD,
): Buffer {
  const ends = { from: header.from ?? stranger.ip, to: header.to ?? kernel.ip };
  const inner = udp(ends, { sourcePort: PEER_PORT, destinationPort: CLOSED_PORT, ...ports }, payload);
  return ipv4({ ...ends, protocol: Protocol.UDP, ...header }, inner);
}

/**
 * An ICMP information reply, which is long out of use (RFC 6918): the kernel takes it without a word (v6.12
 * net/ipv4/icmp.c, icmp_discard()).
 */
export function unnoticed(payload: Uint8Array = PAYLOAD): Buffer {
  return icmp({ type: 16 }, Buffer.concat([Uint8Array.of(0, 0, 0, 0), payload]));
}

const harmless = frame(ipv4({ from: stranger.ip, to: kernel.ip, protocol: Protocol.ICMP }, unnoticed()));
