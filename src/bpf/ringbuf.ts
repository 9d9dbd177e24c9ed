import { OneShotWatch } from '../sys/epoll.ts';
import { Mapping, pageSize } from '../sys/memory.ts';
import type { BpfMap } from './map.ts';
import { type RecordReader, Ring } from './ring.ts';

/**
 * How long a woken reader lets records gather before it drains, in milliseconds. A reader that is always caught up
 * is woken for every record, by an interrupt that costs the dropping CPU far more than the record itself; this one
 * is woken once per batch, and still sleeps while nothing happens.
 */
const GATHER_MS = 3;

/** A BPF ring buffer, mapped: owns the mappings and the watch, not the map. */
export class RingBuffer {
  readonly #consumer: Mapping;
  readonly #producer: Mapping;
  readonly #ring: Ring;
  readonly #map: BpfMap;
  #watch: OneShotWatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Ends the wait that is under way, if there is one. */
  #awake: (() => void) | undefined;

  /** @throws SyscallError where the map cannot be mapped */
  constructor(map: BpfMap) {
    const page = pageSize();
    const size = map.spec.maxEntries;
    this.#map = map;
    // Exactly the consumer page is writable; producer page and data are mapped read-only, the data twice.
    this.#consumer = new Mapping(map.fd, page, 0, 'write');
    try {
      this.#producer = new Mapping(map.fd, page + 2 * size, page, 'read');
    } catch (error) {
      this.#consumer.close();
      throw error;
    }
    this.#ring = new Ring({
      consumer: this.#consumer.bytes,
      producer: this.#producer.bytes,
      dataOffset: page,
      size,
    });
  }

  /** Hands over what is there now. See Ring.drain. */
  drain(take: RecordReader, limit?: number): number {
    // The memory is gone, and reading it would end the process.
    if (this.#closed) throw new TypeError('this ring buffer is closed');
    return this.#ring.drain(take, limit);
  }

  /**
   * Sleeps until there are records, and then the few milliseconds more in which others gather; or until `wake()`.
   * For one caller at a time. With a `timeout` in milliseconds, it returns after that at the latest.
   */
  async wait(timeout?: number): Promise<void> {
    if (this.#closed) return;
    const readable = new Promise<void>((resolve) => {
      this.#awake = resolve;
    });
    if (this.#watch === undefined) this.#watch = new OneShotWatch(this.#map.fd, () => this.#gather());
    else this.#watch.arm();
    const limit = timeout === undefined ? undefined : setTimeout(() => this.wake(), timeout);
    await readable;
    clearTimeout(limit);
  }

  #gather(): void {
    this.#timer ??= setTimeout(() => this.wake(), GATHER_MS);
  }

  /** Lets `wait()` return now. */
  wake(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#awake?.();
    this.#awake = undefined;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.wake();
    this.#watch?.close();
    this.#producer.close();
    this.#consumer.close();
  }
}

/** The smallest ring of at least `bytes` that this kernel accepts: a power of two and a multiple of its page. */
export function ringSize(bytes: number): number {
  let size = pageSize();
  while (size < bytes) size *= 2;
  return size;
}
