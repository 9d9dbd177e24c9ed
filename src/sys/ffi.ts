import koffi from 'koffi';

/**
 * The door out of JavaScript. This file alone imports koffi, so that another FFI can take its place and tests can
 * put a recorder where the kernel would be. One function makes every system call: whoever watches it sees all
 * that skbdrop asks of the kernel.
 */
export interface Native {
  /**
   * syscall(2): six machine words in, the result or -1 out; after -1 read `errno()` before anything else.
   * Pointers travel as addresses; the caller keeps the memory behind them alive until the call has returned.
   */
  syscall(number: number, a: Word, b: Word, c: Word, d: Word, e: Word, f: Word): number | bigint;
  errno(): number;
  /** The address of a buffer's first byte; it does not move while the buffer lives. */
  address(buffer: ArrayBufferView): bigint;
  /** The memory at `address` as an ArrayBuffer that aliases it. Never to be used after munmap. */
  view(address: bigint, length: number): ArrayBuffer;
  /** Calls back from the event loop whenever `fd` is readable, until `close()`. */
  watchReadable(fd: number, onReadable: () => void): Watch;
}

export type Word = number | bigint;

export interface Watch {
  close(): void;
}

/** koffi.node.poll, which its type definitions describe only in part (koffi 3.3.4). */
interface KoffiNode {
  poll(fd: number, options: { readable: boolean }, callback: () => void): { close(): void };
}

function openNative(): Native {
  const words = ['long', 'long', 'long', 'long', 'long', 'long', 'long'];
  // A fixed prototype, not a variadic one: the same registers on x86-64 and arm64, and a third cheaper a call.
  const syscall = koffi.load(null).func('syscall', 'long', words);
  const node = (koffi as unknown as { node: KoffiNode }).node;
  return {
    syscall: (number, a, b, c, d, e, f) => syscall(number, a, b, c, d, e, f),
    errno: () => koffi.errno(),
    address: (buffer) => BigInt(koffi.address(buffer)),
    view: (address, length) => koffi.view(address, length) as ArrayBuffer,
    watchReadable: (fd, onReadable) => node.poll(fd, { readable: true }, onReadable),
  };
}

let current: Native | undefined;

/** The native side, opened at the first use (it costs a few milliseconds). */
export function native(): Native {
  current ??= openNative();
  return current;
}

/** Runs `body` with `fake` in the native side's place, to its end where that comes later. For tests. */
export function withNative<T>(fake: Native, body: () => T): T {
  const before = current;
  const restore = (): void => {
    current = before;
  };
  current = fake;
  let result: T;
  try {
    result = body();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}
