import { assemble, type Code } from '../../asm/index.ts';
import { AttachType, type ProgLoad, type ProgramInfo, ProgType, progInfoByFd, progLoad } from '../sys/bpf.ts';
import { explainPermission, LOCKDOWN_HINT, lockdownMode } from '../sys/capabilities.ts';
import { SkbdropError, SyscallError } from '../sys/errors.ts';
import type { Fd } from '../sys/fd.ts';
import { errno } from '../sys/syscall.ts';
import { type BpfMap, createMap, type MapSpec } from './map.ts';
import { chargingMemory } from './memlock.ts';

/** What a program should be: plain data, the same on every machine for the same kernel facts. */
export interface ProgramSpec {
  /** Up to 15 characters. */
  readonly name: string;
  readonly type: keyof typeof ProgType;
  /** For `TRACING`: the BTF id of the `btf_trace_…` typedef of the tracepoint. */
  readonly attachBtfId?: number;
  readonly code: Code;
  /** The maps that `code` names. */
  readonly maps: readonly MapSpec[];
}

/** A program in the kernel and its maps, owned together. */
export class Program {
  readonly spec: ProgramSpec;
  readonly fd: Fd;
  readonly #maps: ReadonlyMap<string, BpfMap>;

  constructor(spec: ProgramSpec, fd: Fd, maps: ReadonlyMap<string, BpfMap>) {
    this.spec = spec;
    this.fd = fd;
    this.#maps = maps;
  }

  /** @throws TypeError where the program has no map by this name */
  map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw new TypeError(`the program ${this.spec.name} has no map ${name}`);
    return map;
  }

  info(): ProgramInfo {
    return progInfoByFd(this.fd);
  }

  close(): void {
    this.fd.close();
    for (const map of this.#maps.values()) map.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Creates the maps, assembles the code against them, and loads it.
 *
 * @throws VerifierError where the kernel refuses the program; PermissionError; SyscallError
 */
export function loadProgram(spec: ProgramSpec): Program {
  const maps = new Map<string, BpfMap>();
  try {
    for (const map of spec.maps) maps.set(map.name, createMap(map));
    const fds = Object.fromEntries([...maps].map(([name, map]) => [name, { fd: map.fd.fd }]));
    const { bytes } = assemble(spec.code, { maps: fds });
    const what = `load the program ${spec.name}`;
    const wanted = ['CAP_BPF', ...typeCapabilities[spec.type]] as const;
    const fd = explainPermission(what, wanted, () =>
      chargingMemory(what, wanted, () =>
        load({
          type: ProgType[spec.type],
          name: `skbdrop_${spec.name}`,
          insns: bytes,
          ...(spec.type === 'TRACING' ? { expectedAttachType: AttachType.TRACE_RAW_TP } : {}),
          ...(spec.attachBtfId === undefined ? {} : { attachBtfId: spec.attachBtfId }),
        }),
      ),
    );
    return new Program(spec, fd, maps);
  } catch (error) {
    for (const map of maps.values()) map.close();
    throw error;
  }
}

/** Beyond CAP_BPF (v6.12 kernel/bpf/syscall.c, is_net_admin_prog_type() and is_perfmon_prog_type()). */
const typeCapabilities = {
  TRACEPOINT: ['CAP_PERFMON'],
  RAW_TRACEPOINT: ['CAP_PERFMON'],
  TRACING: ['CAP_PERFMON'],
  XDP: ['CAP_NET_ADMIN'],
} as const;

/** The verifier refused a program. The message is its last word; `log` all it said. */
export class VerifierError extends SkbdropError {
  readonly log: string;

  constructor(name: string, log: string, cause: unknown, hint?: string) {
    const lines = log
      .split('\n')
      .filter((line) => line.trim() !== '' && !/^(processed \d+ insns|verification time)/.test(line));
    const verdict = lines.at(-1) ?? 'it gave no reason';
    const omitted = lines.length > 1 ? ` (${lines.length - 1} lines before it: -v)` : '';
    super('rejected', `the kernel's verifier refused the program ${name}: ${verdict}${omitted}`, {
      details: log.trimEnd(),
      cause,
      ...(hint === undefined ? {} : { hint }),
    });
    this.log = log;
  }
}

/** The verifier's log grows up to this: BPF_LOG_BUF_MAX is UINT_MAX >> 2, and 64 MiB hold any program of ours. */
const LOG_LIMIT = 64 * 1024 * 1024;
/** BPF_LOG_LEVEL1: each instruction and state on the way to the error. */
const LOG_LEVEL = 1;
/** BPF_PROG_LOAD gives EAGAIN when a signal interrupts the verifier; a profiler sends one each millisecond. */
const ATTEMPTS = 50;

/** Without a log first: a log that does not fit fails a good program with ENOSPC on kernels before 6.4. */
function load(program: ProgLoad): Fd {
  const fd = attempt(program);
  if (typeof fd !== 'number') return fd;
  if (fd === -errno.EPERM) throw new SyscallError('bpf(BPF_PROG_LOAD)', -fd);
  for (let size = 64 * 1024; size <= LOG_LIMIT; size *= 4) {
    const buffer = Buffer.alloc(size);
    const second = attempt({ ...program, log: { level: LOG_LEVEL, buffer } });
    if (typeof second !== 'number') return second;
    if (second === -errno.ENOSPC) continue;
    const end = buffer.indexOf(0);
    const log = buffer.toString('utf8', 0, end < 0 ? size : end);
    const cause = new SyscallError('bpf(BPF_PROG_LOAD)', -second);
    if (log.trim() === '') throw cause;
    throw new VerifierError(program.name, log, cause, lockdownHint(log));
  }
  throw new SyscallError('bpf(BPF_PROG_LOAD)', -fd);
}

/** A kernel that is locked down against being read does as if it had no such helper (v6.12 kernel/trace/bpf_trace.c). */
function lockdownHint(log: string): string | undefined {
  if (!log.includes('bpf_probe_read_kernel') || lockdownMode() !== 'confidentiality') return undefined;
  return `The kernel is locked down (confidentiality), so programs may not read its memory. ${LOCKDOWN_HINT}`;
}

function attempt(program: ProgLoad): Fd | number {
  let result: Fd | number = -errno.EAGAIN;
  for (let i = 0; i < ATTEMPTS && result === -errno.EAGAIN; i++) result = progLoad(program);
  return result;
}
