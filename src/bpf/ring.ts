/**
 * The consumer's side of BPF_MAP_TYPE_RINGBUF, on memory only: no system call, so plain ArrayBuffers test it.
 *
 * The protocol (v6.12 kernel/bpf/ringbuf.c and tools/lib/bpf/ringbuf.c):
 *
 *     consumer page: u64 position, written here       producer page: u64 position, written by the kernel
 *     data: records, each  u32 length | flags, u32 page offset, payload, padded to 8 bytes
 *
 * The kernel maps the data twice in a row, so that a record that wraps can be read as one piece. Positions only
 * grow; position modulo size is the offset in the data.
 */
export interface RingMemory {
  /** The page that holds the consumer's position in its first 8 bytes, writable. */
  readonly consumer: ArrayBuffer;
  /** The page that holds the producer's position, then the data, twice. */
  readonly producer: ArrayBuffer;
  /** Bytes before the data in `producer`: one page. */
  readonly dataOffset: number;
  /** Bytes of data, a power of two. */
  readonly size: number;
}

// include/uapi/linux/bpf.h
const BPF_RINGBUF_BUSY_BIT = 0x8000_0000;
const BPF_RINGBUF_DISCARD_BIT = 0x4000_0000;
const BPF_RINGBUF_HDR_SZ = 8;
const LENGTH_MASK = 0x3fff_ffff;

/** Records after which their space is given back, so that a long drain does not fill the ring. */
const PUBLISH_EVERY = 256;

/** Called with a record's payload: bytes `offset` to `offset + length` of `data`, good only during the call. */
export type RecordReader = (data: DataView, offset: number, length: number) => void;

/** Reads records in the order in which they were reserved. */
export class Ring {
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  readonly #headers: Uint32Array;
  readonly #data: DataView;
  readonly #size: number;
  /** Where the next record starts. A number: 2^53 bytes are beyond any uptime. */
  #position: number;

  constructor(memory: RingMemory) {
    const { consumer, producer, dataOffset, size } = memory;
    if (size <= 0 || (size & (size - 1)) !== 0) throw new RangeError(`a ring of ${size} bytes: not a power of two`);
    if (producer.byteLength < dataOffset + 2 * size) throw new RangeError('the data of a ring is mapped twice');
    this.#consumer = new BigUint64Array(consumer, 0, 1);
    this.#producer = new BigUint64Array(producer, 0, 1);
    this.#headers = new Uint32Array(producer, dataOffset, (2 * size) / 4);
    this.#data = new DataView(producer, dataOffset, 2 * size);
    this.#size = size;
    this.#position = Number(this.#consumer[0]);
  }

  /**
   * Hands each finished record to `take`, then frees its space. Stops at a record that is still being written, and
   * after `limit` records.
   *
   * @returns how many records were handed over
   * @throws RangeError where a length is impossible; the ring is then not to be read any further
   */
  drain(take: RecordReader, limit: number = Infinity): number {
    let taken = 0;
    // Atomics.load is a load-acquire: the records up to here are reserved (ringbuf.c publishes with a release).
    let produced = Number(Atomics.load(this.#producer, 0));
    while (taken < limit) {
      if (this.#position >= produced) {
        // Once more before the end: what came meanwhile need not wait for another wake-up.
        produced = Number(Atomics.load(this.#producer, 0));
        if (this.#position >= produced) break;
      }
      const offset = this.#position & (this.#size - 1);
      const header = Atomics.load(this.#headers, offset / 4);
      if ((header & BPF_RINGBUF_BUSY_BIT) !== 0) break;
      const length = header & LENGTH_MASK;
      const step = BPF_RINGBUF_HDR_SZ + Math.ceil(length / 8) * 8;
      if (this.#position + step > produced) {
        throw new RangeError(`ring buffer: a record of ${length} bytes at ${this.#position} ends past ${produced}`);
      }
      if ((header & BPF_RINGBUF_DISCARD_BIT) === 0) {
        take(this.#data, offset + BPF_RINGBUF_HDR_SZ, length);
        taken++;
      }
      this.#position += step;
      if (taken % PUBLISH_EVERY === 0) this.#publish();
    }
    this.#publish();
    return taken;
  }

  /**
   * Tells the kernel how far we are: a store-release. Not after each record: a kernel that finds its reader at the
   * very record it commits interrupts to wake it. Who sleeps afterwards must look at the producer's position once
   * more, and polling the map does.
   */
  #publish(): void {
    Atomics.store(this.#consumer, 0, BigInt(this.#position));
  }

  /** Bytes that are written or being written and not yet read. */
  get pending(): number {
    return Number(Atomics.load(this.#producer, 0)) - this.#position;
  }
}
