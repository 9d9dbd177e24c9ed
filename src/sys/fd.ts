import { closeSync } from 'node:fs';
import { syscall } from './syscall.ts';

const F_DUPFD_CLOEXEC = 1030; // include/uapi/linux/fcntl.h

/** Called for each descriptor that is opened and closed; tests look for leaks with it. */
export interface FdObserver {
  opened(fd: Fd): void;
  closed(fd: Fd): void;
}

let observer: FdObserver | undefined;

export function observeFds(wanted: FdObserver | undefined): void {
  observer = wanted;
}

/** A file descriptor with one owner. `close()` may be called more than once. */
export class Fd {
  readonly fd: number;
  /** What it is, for messages and leak reports: `map counts`. */
  readonly what: string;
  #open = true;

  /**
   * Takes over `fd`. Descriptor 0 is moved away, because many fields of bpf_attr read 0 as "none"; the result is
   * closed on exec, so that a child command inherits nothing.
   */
  constructor(fd: number, what: string) {
    if (fd === 0) {
      this.fd = syscall('fcntl', [fd, F_DUPFD_CLOEXEC, 3]);
      closeSync(fd);
    } else {
      this.fd = fd;
    }
    this.what = what;
    observer?.opened(this);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
    observer?.closed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
