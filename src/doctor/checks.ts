import { closeSync, constants, openSync, statSync } from 'node:fs';
import { TUN } from '../demo/wire.ts';
import { btfModules, KERNEL_BTF, readKernelBtf } from '../kernel/btf.ts';
import { cgroupMemoryLimit } from '../kernel/cgroup.ts';
import type { Host } from '../kernel/host.ts';
import { sysctl } from '../kernel/sysctl.ts';
import { mountedTracefs } from '../kernel/tracefs.ts';
import {
  type CapabilityName,
  hasCapability,
  LOCKDOWN_HINT,
  type Lockdown,
  lockdownMode,
  SECCOMP_HINT,
} from '../sys/capabilities.ts';
import { SkbdropError } from '../sys/errors.ts';
import { inInitialUserNamespace, seccompMode } from '../sys/process.ts';
import { type MemoryLimit, UNLIMITED } from '../sys/rlimit.ts';
import type { TracepointFacts } from './features.ts';

/** One thing that was looked at. */
export interface Check {
  readonly name: CheckName;
  readonly about: 'kernel' | 'host' | 'process';
  /** What was found, in a few words. */
  readonly value: string;
  /** False where it takes something away; undefined where that is not known. */
  readonly ok: boolean | undefined;
  /** What to do about it. */
  readonly fix?: string;
  /** Of interest only where something is wrong with it. */
  readonly minor?: true;
}

export const checkNames = [
  'tracepoint',
  'reasons',
  'jit',
  'lockdown',
  'btf',
  'tracefs',
  'kallsyms',
  'tun',
  'memory',
  'locked_memory',
  'unprivileged_bpf_disabled',
  'perf_event_paranoid',
  'user',
  'capabilities',
  'seccomp',
] as const;
export type CheckName = (typeof checkNames)[number];

/** What the checks are about, found out before. */
export interface Circumstances {
  readonly host: Host;
  /** The file of `--btf`. */
  readonly btfFile: string | undefined;
  readonly tracepoint: TracepointFacts;
  readonly hasJit: boolean | undefined;
  readonly lockedMemory: MemoryLimit | undefined;
  /** Whether all commands that watch work. */
  readonly allWork: boolean;
}

export function checks(circumstances: Circumstances): readonly Check[] {
  const { host, btfFile, tracepoint, hasJit, allWork } = circumstances;
  return [
    { name: 'tracepoint', about: 'kernel', ...checkTracepoint(tracepoint) },
    { name: 'reasons', about: 'kernel', ...checkReasons(host, tracepoint) },
    { name: 'jit', about: 'kernel', ...checkJit(hasJit) },
    { name: 'lockdown', about: 'kernel', ...checkLockdown(lockdownMode()) },
    { name: 'btf', about: 'host', ...checkBtf(host, btfFile) },
    { name: 'tracefs', about: 'host', ...checkTracefs(host) },
    { name: 'kallsyms', about: 'host', ...checkSymbols(host) },
    { name: 'tun', about: 'host', ...checkTun() },
    { name: 'memory', about: 'host', ...checkMemory(cgroupMemoryLimit()) },
    { name: 'locked_memory', about: 'process', ...checkLockedMemory(circumstances) },
    { name: 'unprivileged_bpf_disabled', about: 'host', ...setting('kernel.unprivileged_bpf_disabled') },
    { name: 'perf_event_paranoid', about: 'host', ...setting('kernel.perf_event_paranoid') },
    { name: 'user', about: 'process', ...checkUser() },
    { name: 'capabilities', about: 'process', ...checkCapabilities() },
    { name: 'seccomp', about: 'process', ...checkSeccomp(allWork) },
  ];
}

type Finding = Omit<Check, 'name' | 'about'>;

function checkTracepoint({ arguments: count, names, hasReason }: TracepointFacts): Finding {
  const called = names === undefined ? `${count ?? 'an unknown number of'} arguments` : names.join(', ');
  const value = `kfree_skb(${called})`;
  if (hasReason !== false) return { value, ok: hasReason };
  return { value: `${value}: no reason`, ok: false, fix: 'Linux 5.17 and later say why they drop a packet' };
}

function checkReasons({ reasons }: Host, { hasReason }: TracepointFacts): Finding {
  const { length } = reasons.all;
  if (hasReason === false) return { value: 'none: drops are told apart by function', ok: false };
  if (length > 0)
    return { value: `${length} have names, from ${reasons.source === 'btf' ? 'BTF' : 'tracefs'}`, ok: true };
  return {
    value: 'shown as numbers, and -r cannot choose any',
    ok: false,
    fix: 'Their names come from BTF, or from tracefs: put one of them right',
  };
}

/** bpf_jit_enable stands only in the host's own network namespace, and is for root to read. */
function checkJit(hasJit: boolean | undefined): Finding {
  if (hasJit === undefined) return { value: 'not known: no program can be loaded', ok: undefined };
  if (!hasJit) {
    const fix = 'sysctl net.core.bpf_jit_enable=1, on the host; the kernel must have CONFIG_BPF_JIT';
    return { value: 'off: programs are interpreted, and drops cost more', ok: false, fix };
  }
  const hardened = sysctl('net.core.bpf_jit_harden') === '2';
  return { value: hardened ? 'on, hardened (bpf_jit_harden=2): programs are somewhat slower' : 'on', ok: true };
}

function checkLockdown(mode: Lockdown): Finding {
  switch (mode) {
    case 'absent':
      return { value: 'none: this kernel has no lockdown', ok: true };
    case 'unknown':
      return { value: 'not known: securityfs, which tells, is out of reach', ok: undefined };
    case 'none':
      return { value: 'none', ok: true };
    case 'integrity':
      return { value: 'integrity, which forbids nothing that is done here', ok: true };
    case 'confidentiality':
      return {
        value: 'confidentiality: no tracefs, and no packet is read but by tp_btf',
        ok: false,
        fix: LOCKDOWN_HINT,
      };
  }
}

function checkBtf(host: Host, file: string | undefined): Finding {
  if (file !== undefined) return { value: file, ok: true };
  if (host.btf === undefined) {
    const problem = readKernelBtf();
    return {
      value: `${KERNEL_BTF} is ${typeof problem === 'string' ? problem : 'there again'}`,
      ok: false,
      fix: 'Boot a kernel with CONFIG_DEBUG_INFO_BTF, or give the BTF of this very kernel: --btf FILE',
    };
  }
  const modules = btfModules().length;
  const more = modules === 0 ? '' : `, and of ${modules} ${modules === 1 ? 'module' : 'modules'}`;
  return { value: `${KERNEL_BTF}, ${size(statSync(KERNEL_BTF).size)}${more}`, ok: true };
}

function checkTracefs(host: Host): Finding {
  try {
    host.tracepoint();
    const where = mountedTracefs();
    return { value: where ?? "not mounted; read through a mount of skbdrop's own", ok: true };
  } catch (error) {
    if (!(error instanceof SkbdropError)) throw error;
    return { value: error.message, ok: false, ...(error.hint === undefined ? {} : { fix: error.hint }) };
  }
}

/** Who sees addresses: v6.12 kernel/ksyms_common.c, kallsyms_show_value(). */
function checkSymbols({ symbols }: Host): Finding {
  if (symbols.problem === undefined) return { value: `${symbols.count} symbols`, ok: true };
  if (!symbols.hidden) {
    const fix = 'The kernel must have CONFIG_KALLSYMS, and this process must be able to read /proc/kallsyms';
    return { value: 'no symbols: functions are shown as addresses', ok: false, fix };
  }
  const restrict = sysctl('kernel.kptr_restrict');
  const fixes = [
    restrict === '2' ? 'Show them to root: sysctl kernel.kptr_restrict=1' : '',
    inInitialUserNamespace() && hasCapability('CAP_SYSLOG')
      ? ''
      : 'Run as root of the host, or with CAP_SYSLOG (setcap cap_syslog+ep FILE)',
  ].filter((fix) => fix !== '');
  return {
    value: 'hidden from this process: functions are shown as addresses',
    ok: false,
    fix: fixes.length === 0 ? 'Show this process the real /proc/kallsyms' : fixes.join('. '),
  };
}

function checkTun(): Finding {
  try {
    closeSync(openSync(TUN, constants.O_RDWR));
    return { value: TUN, ok: true };
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      return {
        value: `${TUN} is not for this process (${code}); most of demo wants it`,
        ok: false,
        fix: 'Run demo as root',
      };
    }
    const fix = 'modprobe tun; in a container, give it the device: --device /dev/net/tun';
    return { value: `${TUN} is not usable (${code}); most of demo wants it`, ok: false, fix };
  }
}

function checkMemory(limit: number | undefined): Finding {
  if (limit === undefined) return { value: 'no limit by a cgroup', ok: true, minor: true };
  return { value: `limited to ${size(limit)} by a cgroup, with what the maps take`, ok: true };
}

/** Enough for the largest maps that are made without options: 16 MiB of ring, and 8192 stacks. */
const MUCH_LOCKED = 64n * 2n ** 20n;

/**
 * Until Linux 5.11 the memory of maps counted against RLIMIT_MEMLOCK, in a `struct bpf_map_memory` that went with that
 * (v5.10 include/linux/bpf.h). A limit that is in the way is raised as far as it may be, so only one that then still is
 * in the way takes something away.
 */
function checkLockedMemory({ host: { btf }, lockedMemory, allWork }: Circumstances): Finding {
  if (lockedMemory === undefined) return { value: 'not known', ok: undefined, minor: true };
  const { soft, hard } = lockedMemory;
  const limit = soft === UNLIMITED ? 'no limit' : `limited to ${size(Number(soft))}`;
  if (btf === undefined)
    return { value: `${limit}; counts for BPF before Linux 5.11 only`, ok: undefined, minor: true };
  const counts = btf.find('bpf_map_memory', 'struct') !== undefined;
  if (!counts) return { value: `${limit}, which does not count for BPF on this kernel`, ok: true, minor: true };
  if (soft >= MUCH_LOCKED) return { value: limit, ok: true, minor: true };
  const mayRaise = hard >= MUCH_LOCKED || (inInitialUserNamespace() && hasCapability('CAP_SYS_RESOURCE'));
  if (mayRaise) return { value: `${limit}, and raised where that is in the way`, ok: true, minor: true };
  if (allWork) return { value: `${limit}, which is enough`, ok: true, minor: true };
  return {
    value: `${limit}, which counts for BPF on this kernel`,
    ok: false,
    fix: 'ulimit -l unlimited, before skbdrop',
  };
}

/** Settings that leave skbdrop alone, because who may load its programs is above them. */
function setting(name: string): Finding {
  return { value: `${name} = ${sysctl(name) ?? 'not known'}`, ok: true, minor: true };
}

function checkUser(): Finding {
  const id = process.geteuid?.() ?? 0;
  const user = id === 0 ? 'root' : `user ${id}`;
  if (inInitialUserNamespace()) return { value: user, ok: true };
  return {
    value: `${user} of a user namespace, whose capabilities count for nothing outside`,
    ok: false,
    fix: 'Run it as root of the host; a container must be privileged and have no user namespace of its own',
  };
}

/** What all commands together want. */
const wantedCapabilities: readonly CapabilityName[] = [
  'CAP_BPF',
  'CAP_PERFMON',
  'CAP_SYSLOG',
  'CAP_DAC_READ_SEARCH',
  'CAP_SYS_ADMIN',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
];

function checkCapabilities(): Finding {
  const lacking = wantedCapabilities.filter((name) => !hasCapability(name));
  if (lacking.length === 0) return { value: 'all that any command wants', ok: true };
  const had = wantedCapabilities.filter((name) => hasCapability(name));
  return {
    value: `${had.length === 0 ? 'none' : had.join(', ')}; not ${lacking.join(', ')}`,
    ok: false,
    fix: 'Run as root, or with those that are named below',
  };
}

function checkSeccomp(allWork: boolean): Finding {
  const mode = seccompMode();
  if (mode === undefined || mode === 'off') return { value: 'off', ok: true };
  if (allWork) return { value: `${mode}, which lets through what is needed`, ok: true };
  return { value: `${mode}: system calls may be forbidden`, ok: undefined, fix: SECCOMP_HINT };
}

/** `5.3 MiB`. */
function size(bytes: number): string {
  const MIB = 2 ** 20;
  return bytes >= MIB ? `${Number((bytes / MIB).toFixed(1))} MiB` : `${Math.floor(bytes / 1024)} KiB`;
}
