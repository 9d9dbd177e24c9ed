import { readFileSync } from 'node:fs';
import { attribute, NLM_F_CREATE, request } from '../../src/demo/netlink.ts';
import { AF_NETLINK, openSocket, receiveFrom, SOCK_RAW, sendOn } from '../../src/sys/net.ts';

/**
 * Drops of a subsystem whose reasons are a module's: Open vSwitch is asked to execute a list of actions on a packet, and
 * the list ends without giving the packet to anybody. That is OVS_DROP_LAST_ACTION since Linux 6.6 (v6.12
 * net/openvswitch/actions.c, do_execute_actions()). Numbers: include/uapi/linux/{genetlink,openvswitch}.h.
 */

const NETLINK_GENERIC = 16;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const OVS_DP_CMD_NEW = 1;
const OVS_DP_ATTR_NAME = 1;
const OVS_DP_ATTR_UPCALL_PID = 2;
const OVS_DATAPATH_VERSION = 2;
const OVS_PACKET_CMD_EXECUTE = 3;
const OVS_PACKET_ATTR_PACKET = 1;
const OVS_PACKET_ATTR_KEY = 2;
const OVS_PACKET_ATTR_ACTIONS = 3;

/** A datapath of Open vSwitch; there is one interface of its own by that name. The module must be loaded. */
export class Datapath {
  readonly #index: number;

  constructor(name: string) {
    const body = [
      message(OVS_DP_CMD_NEW, OVS_DATAPATH_VERSION, 0),
      attribute(OVS_DP_ATTR_NAME, name),
      attribute(OVS_DP_ATTR_UPCALL_PID, 0),
    ];
    request(NETLINK_GENERIC, [{ type: family('ovs_datapath'), flags: NLM_F_CREATE, body }]);
    this.#index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1'));
  }

  /** Has a frame of 60 bytes, with an EtherType for experiments, go through no actions at all. */
  drop(): void {
    const frame = Buffer.alloc(60);
    frame.writeUInt16BE(0x88b5, 12);
    const empty = new Uint8Array();
    const body = [
      message(OVS_PACKET_CMD_EXECUTE, 1, this.#index),
      attribute(OVS_PACKET_ATTR_PACKET, frame),
      attribute(OVS_PACKET_ATTR_KEY, empty),
      attribute(OVS_PACKET_ATTR_ACTIONS, empty),
    ];
    request(NETLINK_GENERIC, [{ type: family('ovs_packet'), body }]);
  }
}

/** struct genlmsghdr and struct ovs_header. */
function message(command: number, version: number, datapath: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(command, 0);
  header.writeUInt8(version, 1);
  header.writeInt32LE(datapath, 4);
  return header;
}

/** The number by which this kernel knows a family of generic netlink. */
function family(name: string): number {
  using socket = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
  const body = Buffer.concat([Buffer.from([CTRL_CMD_GETFAMILY, 1, 0, 0]), attribute(CTRL_ATTR_FAMILY_NAME, name)]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(header.length + body.length, 0);
  header.writeUInt16LE(GENL_ID_CTRL, 4);
  header.writeUInt16LE(1, 6);
  sendOn(socket, Buffer.concat([header, body]));
  const answer = Buffer.alloc(8192);
  const length = receiveFrom(socket, answer);
  for (let at = 20; at < length; at += (answer.readUInt16LE(at) + 3) & ~3) {
    if (answer.readUInt16LE(at + 2) === CTRL_ATTR_FAMILY_ID) return answer.readUInt16LE(at + 4);
  }
  throw new Error(`this kernel has no netlink family ${name}`);
}
