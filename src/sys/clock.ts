import { syscall } from './syscall.ts';

// include/uapi/linux/time.h
const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;

/** The clock's time in nanoseconds. */
function read(clock: number): bigint {
  const time = Buffer.alloc(16); // struct timespec: seconds, nanoseconds
  syscall('clock_gettime', [clock, time]);
  return time.readBigInt64LE(0) * 1_000_000_000n + time.readBigInt64LE(8);
}

/**
 * What to add to CLOCK_MONOTONIC (bpf_ktime_get_ns() reads it) for the time since 1970, in nanoseconds. It changes
 * when somebody sets the clock. Exact to the time that three system calls take, some ten microseconds: the best of three
 * tries counts.
 */
export function wallClockOffset(): bigint {
  let best: { width: bigint; offset: bigint } | undefined;
  for (let i = 0; i < 3; i++) {
    const before = read(CLOCK_MONOTONIC);
    const wall = read(CLOCK_REALTIME);
    const width = read(CLOCK_MONOTONIC) - before;
    if (best === undefined || width < best.width) best = { width, offset: wall - before - width / 2n };
  }
  return best?.offset ?? 0n;
}

/** Sleeps without a turn of the event loop: for waits that are short and must not let anything else in between. */
export function sleepSync(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
