import { OneShotWatch } from '../sys/epoll.ts';
import { Mapping, pageSize } from '../sys/memory.ts';
import type { BpfMap } from './map.ts';
import { Ring } from './ring.ts';

/**
 * How long a woken reader lets records gather before it drains, in milliseconds. A reader that is always caught up
 * is woken for every record, by an interrupt that costs the dropping CPU far more than the record itself; this one
 * is woken once per batch, and still sleeps while nothing happens.
 */
const GATHER_MS = 3;

/** Records handed over before the event loop gets its turn, so that signals and timers are heard under a flood. */
const SLICE = 16_384;

export type RecordReader = (data: DataView, offset: number, length: number) => boolean | undefined;

/** A BPF ring buffer, mapped: owns the mappings and the watch, not the map. */
export class RingBuffer {
  readonly #consumer: Mapping;
  readonly #producer: Mapping;
  readonly #ring: Ring;
  readonly #map: BpfMap;
  #watch: OneShotWatch | undefined;
  #timer: NodeJS.Timeout | undefined;

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
    return this.#ring.drain(take, limit);
  }

  /**
   * Calls `batch` a few milliseconds after records begin to arrive; `batch` drains as much as it likes and returns
   * true for more at once, false to be woken at the next record, or a promise of that (it waits for its output).
   */
  watch(batch: () => boolean | Promise<boolean>): void {
    const run = async (): Promise<void> => {
      this.#timer = undefined;
      const more = await batch();
      if (this.#watch === undefined) return;
      if (more) this.#timer = setTimeout(run, 0);
      else this.#watch.arm();
    };
    this.#watch = new OneShotWatch(this.#map.fd, () => {
      this.#timer ??= setTimeout(run, GATHER_MS);
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watch?.close();
    this.#watch = undefined;
    this.#producer.close();
    this.#consumer.close();
  }
}

export { SLICE as DRAIN_SLICE };

/** The smallest ring of at least `bytes` that this kernel accepts: a power of two and a multiple of its page. */
export function ringSize(bytes: number): number {
  let size = pageSize();
  while (size < bytes) size *= 2;
  return size;
}
