import { Fd } from './fd.ts';
import { native, type Watch } from './ffi.ts';
import { syscall } from './syscall.ts';

// include/uapi/linux/eventpoll.h
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLLONESHOT = 1 << 30;

/** struct epoll_event is packed on x86-64 only: 12 bytes, `data` at 4; elsewhere 16, `data` at 8. */
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;

/**
 * Waits for one descriptor to become readable (or writable), once, then sleeps until `arm()` is called: who listens
 * decides when to hear again.
 *
 * A private epoll descriptor stands between the event loop and the descriptor: a descriptor that cannot be polled
 * is then an EPERM here, not an abort of the process in libuv, and EPOLLONESHOT keeps a ring with data in it from
 * spinning the loop.
 */
export class OneShotWatch {
  readonly #target: Fd;
  readonly #epoll: Fd;
  readonly #watch: Watch;
  readonly #event: Buffer = Buffer.alloc(EVENT_SIZE);
  #closed = false;

  /**
   * Starts armed. `onReady` is called from the event loop; what it throws surfaces as an uncaught exception.
   *
   * @throws SyscallError EPERM for descriptors that are always ready (regular files)
   */
  constructor(target: Fd, onReady: () => void, direction: 'readable' | 'writable' = 'readable') {
    this.#target = target;
    const ready = direction === 'readable' ? EPOLLIN : EPOLLOUT;
    this.#event.writeUInt32LE((ready | EPOLLONESHOT) >>> 0, 0);
    this.#epoll = new Fd(syscall('epoll_create1', [EPOLL_CLOEXEC]), 'epoll');
    try {
      this.#control(EPOLL_CTL_ADD);
      this.#watch = native().watchReadable(this.#epoll.fd, () => {
        // An exception inside koffi's callback would surface in an unrelated call: run the reader outside it.
        if (this.#take()) queueMicrotask(onReady);
      });
    } catch (error) {
      this.#epoll.close();
      throw error;
    }
  }

  /** Wants to hear of the next time; at once where the descriptor is readable already. */
  arm(): void {
    if (!this.#closed) this.#control(EPOLL_CTL_MOD);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // The event loop lets go first: closing a descriptor that libuv polls aborts the process.
    this.#watch.close();
    this.#epoll.close();
  }

  #control(operation: number): void {
    syscall('epoll_ctl', [this.#epoll.fd, operation, this.#target.fd, this.#event], `epoll_ctl(${this.#target.what})`);
  }

  /** Takes the event out of epoll, which disarms it. */
  #take(): boolean {
    if (this.#closed) return false;
    const events = Buffer.alloc(EVENT_SIZE);
    const [maximum, timeout] = [1, 0];
    return syscall('epoll_pwait', [this.#epoll.fd, events, maximum, timeout, 0, 8]) > 0;
  }
}
