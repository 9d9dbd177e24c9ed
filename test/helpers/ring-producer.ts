import type { RingMemory } from '../../src/bpf/ring.ts';

const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;
const HEADER = 8;

/**
 * The kernel's side of a ring buffer (v6.12 kernel/bpf/ringbuf.c): reserves, commits and discards records in memory
 * that a consumer reads. Where the kernel maps the data twice, every byte is written twice here.
 */
export class RingProducer {
  readonly memory: RingMemory;
  readonly size: number;
  readonly #data: DataView;
  readonly #producer: BigUint64Array;
  readonly #consumer: BigUint64Array;
  #position: bigint;

  /** @param start both positions, as on a ring that has been in use for long */
  constructor(size: number, start = 0n, page = 4096) {
    const consumer = new ArrayBuffer(page);
    const producer = new ArrayBuffer(page + 2 * size);
    this.memory = { consumer, producer, dataOffset: page, size };
    this.size = size;
    this.#data = new DataView(producer, page, 2 * size);
    this.#producer = new BigUint64Array(producer, 0, 1);
    this.#consumer = new BigUint64Array(consumer, 0, 1);
    this.#producer[0] = start;
    this.#consumer[0] = start;
    this.#position = start;
  }

  /** What the consumer has published. */
  get consumed(): bigint {
    return this.#consumer[0]!;
  }

  get produced(): bigint {
    return this.#position;
  }

  /** __bpf_ringbuf_reserve(): a busy record; undefined where it does not fit. */
  reserve(length: number): bigint | undefined {
    const step = BigInt(HEADER + Math.ceil(length / 8) * 8);
    const at = this.#position;
    // The kernel lets the producer be ahead by size - 1 at most.
    if (at + step - this.consumed > BigInt(this.size - 1)) return undefined;
    this.setHeader(at, (length | BUSY) >>> 0);
    this.#position = at + step;
    this.#producer[0] = this.#position;
    return at;
  }

  /** bpf_ringbuf_commit(): the payload is there, the busy bit goes. */
  commit(at: bigint, payload: Uint8Array, discard = false): void {
    payload.forEach((byte, i) => {
      this.#write8(this.#offset(at) + HEADER + i, byte);
    });
    this.setHeader(at, (payload.length | (discard ? DISCARD : 0)) >>> 0);
  }

  /** Reserves and commits; whether it fitted. */
  output(payload: Uint8Array, discard = false): boolean {
    const at = this.reserve(payload.length);
    if (at !== undefined) this.commit(at, payload, discard);
    return at !== undefined;
  }

  /** Writes a header word as it is, sound or not. */
  setHeader(at: bigint, word: number): void {
    for (const offset of this.#twice(this.#offset(at))) this.#data.setUint32(offset, word, true);
  }

  #offset(at: bigint): number {
    return Number(at & BigInt(this.size - 1));
  }

  #write8(offset: number, byte: number): void {
    for (const at of this.#twice(offset % this.size)) this.#data.setUint8(at, byte);
  }

  #twice(offset: number): number[] {
    return [offset, offset + this.size];
  }
}
