import type { Host } from '../kernel/host.ts';
import { type Trial, traceSight } from './trials.ts';

export const columnNames = ['time', 'reason', 'function', 'length', 'protocol', 'interface', 'namespace'] as const;
export type ColumnName = (typeof columnNames)[number];

/** What `trace` tells of every drop, and why it does not; undefined where it does. */
export type Columns = Readonly<Record<ColumnName, string | undefined>>;

/** The columns of `trace` as it attaches by itself. */
export function columns(host: Host, btf: string | undefined, trace: Trial): Columns {
  if (!trace.works || trace.mode === undefined) {
    const none = 'trace does not work';
    return { time: none, reason: none, function: none, length: none, protocol: none, interface: none, namespace: none };
  }
  const { readable, hasReason } = traceSight(btf, trace.mode);
  const unreadable = (isReadable: boolean, what: string): string | undefined =>
    isReadable ? undefined : `without ${host.btf === undefined ? 'BTF' : 'them in BTF'}, nothing says where ${what}`;
  const device = unreadable(readable.device, 'the fields of a device stand');
  return {
    time: undefined,
    reason: whyNoReason(host, hasReason),
    function: host.symbols.problem,
    length: unreadable(readable.len, 'the length stands'),
    protocol: unreadable(readable.protocol, 'the protocol stands'),
    interface: device,
    namespace: device,
  };
}

function whyNoReason(host: Host, hasReason: boolean): string | undefined {
  if (!hasReason) return 'the tracepoint of this kernel carries no reason; Linux 5.17 and later have it';
  if (host.reasons.all.length > 0) return undefined;
  return 'reasons are shown as numbers: their names come from BTF or tracefs';
}
