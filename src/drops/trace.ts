import { totalmem } from 'node:os';
import { RingBuffer } from '../bpf/ringbuf.ts';
import { TraceProbe } from '../probes/trace.ts';
import { type Drop, type DropFacts, DropReader, type Timed } from './drop.ts';
import { Session, type WatchOptions } from './session.ts';
import { Watch } from './watch.ts';

export interface TraceOptions extends WatchOptions {
  /**
   * Size of the buffer between kernel and process, in bytes; rounded up to a power of two. Default: 16 MiB, less on
   * hosts with little memory. The kernel keeps so much memory for it.
   */
  readonly bufferSize?: number | undefined;
}

/** Room for a quarter of a million drops; at most this part of the memory, which the kernel cannot swap out. */
const DEFAULT_BUFFER = 16 * 1024 * 1024;
const MEMORY_SHARE = 1 / 64;

/** How often to look whether the limit is reached, in milliseconds. */
const LIMIT_POLL_MS = 20;

/** Drops handed over at a time, so that signals and timers are heard under a flood. */
const BATCH = 8192;

/**
 * Each drop as it happens. Iterating hands them over in the order in which the kernel recorded them, and waits for
 * whoever iterates: what does not fit into the buffer meanwhile is lost, and counted.
 */
export class DropTrace extends Watch<TraceProbe> implements AsyncIterable<Drop> {
  readonly #ring: RingBuffer;
  /** Drops handed over, and drops that were fetched or stood in the ring when nobody wanted more. */
  #handed = 0;
  #left = 0;
  #ended = false;

  constructor(session: Session<TraceProbe>) {
    super(session);
    this.#ring = new RingBuffer(session.program.map(session.probe.ring.name));
  }

  /**
   * Ends at the limit, or after `detach()` when everything recorded until then has been handed over. Closes when it
   * ends, also when the loop over it is left.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Drop, void> {
    try {
      for await (const batch of this.batches((facts) => facts)) {
        this.#handed -= batch.length;
        this.#left += batch.length;
        for (const { time, what } of batch) {
          this.#handed++;
          this.#left--;
          yield { time, ...what };
        }
      }
    } finally {
      this.close();
    }
  }

  /**
   * The same by the batch, for those who write many drops at once. Does not close.
   *
   * @param present makes what is wanted of a drop's facts; called once for many drops with the same facts
   */
  async *batches<T>(present: (facts: DropFacts) => T): AsyncGenerator<readonly Timed<T>[], void> {
    const { host, probe } = this.session;
    const reader = new DropReader(host, probe, present);
    for (;;) {
      // Whether this is the last drain has to be known before it: what comes later is not in the ring any more.
      const last = !this.session.attached;
      const batch = this.#drain(reader);
      if (batch.length > 0) yield batch;
      if (this.#ended || this.#limitHandedOver()) return;
      if (batch.length === BATCH) await new Promise((resolve) => setImmediate(resolve));
      else if (last) return;
      // Detached while whoever iterates was busy: there may be more, but nothing will wake us for it.
      else if (this.session.attached) {
        // Nothing wakes us for a drop that was lost, and it counts for the limit too.
        if (batch.length === 0 && this.limitReached) return;
        await this.#ring.wait(this.session.options.limit === undefined ? undefined : LIMIT_POLL_MS);
      }
    }
  }

  /** Which columns every drop lacks for want of fields to read, and why, in a sentence; nothing where all are there. */
  get missingColumns(): readonly string[] {
    const { len, protocol, device } = this.session.probe.readable;
    const { mayRead } = this.session.account.context;
    const columns = [!len && 'length', !protocol && 'protocol', !device && 'interface'].filter(Boolean);
    if (columns.length === 0) return [];
    const why = mayRead
      ? 'without BTF nothing says where they stand'
      : 'under lockdown=confidentiality the kernel lets no program read its memory';
    return [`no ${columns.join(', ')}: ${why}`];
  }

  #drain<T>(reader: DropReader<T>): readonly Timed<T>[] {
    if (this.#ended) return [];
    const batch: Timed<T>[] = [];
    this.#ring.drain((data, offset, length) => {
      batch.push(reader.read(data, offset, length));
    }, BATCH);
    this.#handed += batch.length;
    return batch;
  }

  #limitHandedOver(): boolean {
    const { limit } = this.session.options;
    return limit !== undefined && this.#handed >= limit;
  }

  override detach(): void {
    super.detach();
    this.#ring.wake();
  }

  protected override reported(): number {
    return this.#handed;
  }

  protected override unread(): number {
    return this.#ended ? this.#left : 0;
  }

  override close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.detach();
    this.#left += this.#ring.drain(() => {});
    this.#ring.close();
    super.close();
  }
}

/**
 * Watches drops one by one, from now on: `for await (const drop of traceDrops({ reasons: ['NO_SOCKET'] }))`.
 *
 * @throws SkbdropError: `usage` for a reason this kernel does not have, `permission`, `unsupported`, `rejected`
 */
export function traceDrops(options: TraceOptions = {}): DropTrace {
  const bytes = options.bufferSize ?? Math.min(DEFAULT_BUFFER, totalmem() * MEMORY_SHARE);
  const session = Session.open(options, (account) => new TraceProbe(account, bytes));
  try {
    return new DropTrace(session);
  } catch (error) {
    session.close();
    throw error;
  }
}
