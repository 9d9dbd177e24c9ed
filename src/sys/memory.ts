import { readFileSync } from 'node:fs';
import type { Fd } from './fd.ts';
import { native } from './ffi.ts';
import { syscall } from './syscall.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

/** Memory of the kernel's mapped into this process. After `close()` its bytes are out of reach. */
export class Mapping {
  readonly #address: bigint;
  readonly #length: number;
  #bytes: ArrayBuffer | undefined;

  /**
   * Maps `length` bytes of `fd` from `offset` on; both are multiples of the page size.
   *
   * @throws SyscallError
   */
  constructor(fd: Fd, length: number, offset: number, access: 'read' | 'write') {
    const protection = access === 'write' ? PROT_READ | PROT_WRITE : PROT_READ;
    this.#address = BigInt(syscall('mmap', [0, length, protection, MAP_SHARED, fd.fd, offset], `mmap(${fd.what})`));
    this.#length = length;
    this.#bytes = native().view(this.#address, length);
  }

  /** The mapped bytes. To be asked for anew after anything that may have closed the mapping. */
  get bytes(): ArrayBuffer {
    if (this.#bytes === undefined) throw new TypeError('this mapping is closed');
    return this.#bytes;
  }

  close(): void {
    if (this.#bytes === undefined) return;
    this.#bytes = undefined;
    syscall('munmap', [this.#address, this.#length]);
  }
}

let page: number | undefined;

/**
 * Bytes in a page of this kernel: 4096 on x86-64; 4096, 16384 or 65536 on arm64. From the auxiliary vector, where
 * the kernel puts it for every process (AT_PAGESZ, include/uapi/linux/auxvec.h).
 */
export function pageSize(): number {
  page ??= auxiliary(readFileSync('/proc/self/auxv'), AT_PAGESZ);
  return page;
}

const AT_PAGESZ = 6n;

function auxiliary(auxv: Buffer, wanted: bigint): number {
  for (let at = 0; at + 16 <= auxv.length; at += 16) {
    if (auxv.readBigUInt64LE(at) === wanted) return Number(auxv.readBigUInt64LE(at + 8));
  }
  throw new RangeError(`/proc/self/auxv has no entry ${wanted}`);
}
