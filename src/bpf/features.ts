import { atomic64, type Code, exit, fp, load, mov, r0, r1, store } from '../../asm/index.ts';
import { AttachType, BPF_F_TEST_XDP_LIVE_FRAMES, linkCreate, mapLookupBatch, progTestRun } from '../sys/bpf.ts';
import { SyscallError } from '../sys/errors.ts';
import { pageSize } from '../sys/memory.ts';
import { errno } from '../sys/syscall.ts';
import { attachRawTracepoint } from './link.ts';
import { createMap } from './map.ts';
import { loadProgram, type ProgramSpec, VerifierError } from './program.ts';

/**
 * What this kernel's BPF can do, found out by trying. Nothing that is made here outlives the call.
 *
 * Each answers whether the kernel has the feature, and throws where it does not let itself be asked: PermissionError
 * without the capabilities, SyscallError where something else is in the way, such as memory.
 */

/** BPF_MAP_TYPE_RINGBUF, which carries the drops of `trace`. Requires Linux 5.8. */
export function hasRingBuffer(): boolean {
  return knows(() => createMap({ name: 'probe', type: 'RINGBUF', keySize: 0, valueSize: 0, maxEntries: pageSize() }));
}

/** BPF_MAP_LOOKUP_BATCH on the kind of hash that skbdrop counts in. Requires Linux 5.6. */
export function hasMapBatch(): boolean {
  using map = createMap({ name: 'probe', type: 'PERCPU_HASH', keySize: 4, valueSize: 8, maxEntries: 1 });
  const [next, key, value] = [Buffer.alloc(8), Buffer.alloc(4), Buffer.alloc(map.valueBytes)];
  const result = mapLookupBatch(map.fd, undefined, next, key, value, 1);
  return typeof result !== 'number';
}

/** Atomic instructions that return what was there before. Requires Linux 5.12, on arm64 with the JIT 5.18. */
export function hasFetchAtomics(): boolean {
  return knows(() =>
    loadProgram(probe('RAW_TRACEPOINT', [store.u64(fp, -8, 0), mov(r1, 1), atomic64.fetchAdd(fp, -8, r1), ...done])),
  );
}

/** bpf_link for perf events. Requires Linux 5.15. */
export function hasPerfEventLink(): boolean {
  using program = loadProgram(probe('TRACEPOINT', done));
  const NO_DESCRIPTOR = -1;
  const link = linkCreate(program.fd, NO_DESCRIPTOR, AttachType.PERF_EVENT);
  // Who knows such links looks for the perf event first, and finds that there is none; others do not get so far
  // (v6.12 kernel/bpf/syscall.c, bpf_perf_link_attach()).
  return link === -errno.EBADF;
}

/** BPF_PROG_TEST_RUN of XDP programs with frames that go to the network stack. Requires Linux 5.18. */
export function hasLiveFrames(): boolean {
  using program = loadProgram(probe('XDP', done));
  // So large a batch is refused before anything is sent, but only by a kernel that knows what a batch is
  // (v6.12 net/bpf/test_run.c, bpf_prog_test_run_xdp(), TEST_XDP_MAX_BATCH).
  const batchSize = 2 ** 20;
  const context = Buffer.alloc(24);
  const data = Buffer.alloc(64);
  context.writeUInt32LE(data.length, 4); // struct xdp_md: data, data_end
  try {
    progTestRun(program.fd, { data, context, repeat: 1, flags: BPF_F_TEST_XDP_LIVE_FRAMES, batchSize });
  } catch (error) {
    if (error instanceof SyscallError) return error.errno === errno.E2BIG;
    throw error;
  }
  return false;
}

/** Whether programs run as machine code (net.core.bpf_jit_enable, CONFIG_BPF_JIT), and not in the interpreter. */
export function hasJit(): boolean {
  using program = loadProgram(probe('RAW_TRACEPOINT', done));
  return program.info().jitedLength > 0;
}

/** MAX_BPF_FUNC_ARGS, v6.12 include/linux/bpf.h: the verifier lets a program read so many. */
const MOST_ARGUMENTS = 12;

/**
 * How many arguments the tracepoint `name` has: the kernel refuses to attach a program that reads more
 * (v5.4 kernel/trace/bpf_trace.c, max_ctx_offset). It is attached for a moment, and does nothing.
 */
export function rawTracepointArguments(name: string): number {
  // Downwards: to be refused is quick, to be taken off again takes the kernel some 20 ms.
  let count = MOST_ARGUMENTS;
  while (count > 0 && !attaches(count)) count--;
  return count;

  function attaches(count: number): boolean {
    using program = loadProgram(probe('RAW_TRACEPOINT', [load.u64(r0, r1, 8 * (count - 1)), ...done]));
    return knows(() => attachRawTracepoint(program, name));
  }
}

/** Programs of these types return 0 to say nothing; to XDP it is XDP_ABORTED, and none of ours ever gets a frame. */
const done = [mov(r0, 0), exit()];

function probe(type: ProgramSpec['type'], code: Code): ProgramSpec {
  return { name: 'probe', type, maps: [], code };
}

/** Whether the kernel makes this, or says that it knows no such thing. */
function knows(make: () => Disposable): boolean {
  try {
    make()[Symbol.dispose]();
    return true;
  } catch (error) {
    if (error instanceof VerifierError) return false;
    if (error instanceof SyscallError && error.errno === errno.EINVAL) return false;
    throw error;
  }
}
