import { formatPlace, type SymbolPlace } from '../kernel/symbols.ts';
import { StackProbe } from '../probes/stacks.ts';
import type { Selection } from './select.ts';
import { Session, type WatchOptions } from './session.ts';
import { Watch } from './watch.ts';

/** How often packets were dropped for one reason by way of one stack. */
export interface DropStack {
  /** The kernel's name; undefined on kernels that give none. */
  readonly reason: string | undefined;
  readonly count: number;
  /** The function that gave the packet up first, then its callers. */
  readonly frames: readonly StackFrame[];
  /** What lies above: the tracepoint's own functions, the innermost first. */
  readonly head: readonly StackFrame[];
}

export interface StackFrame {
  /** A return address. */
  readonly address: bigint;
  /** `ip_rcv+0x4f`, `br_pass_frame_up+0x1b2 [bridge]`; the address where there is no symbol. */
  readonly text: string;
  readonly place: SymbolPlace | undefined;
}

/** The reason that says nothing, for which one needs the stack. */
const USUAL: Selection = { reasons: ['NOT_SPECIFIED'] };

/** Kernel stacks that drop packets, counted in the kernel. */
export class DropStacks extends Watch<StackProbe> {
  /** The stacks so far, the most frequent first. */
  read(): readonly DropStack[] {
    const { probe, program, host } = this.session;
    const merged = new Map<string, DropStack>();
    for (const { reason, location, frames, count } of probe.read(program).stacks) {
      // The frame that is the location starts the story; the same story may have been kept twice, with one frame
      // of the head more or less (see countStack() in probes/stacks.ts).
      const start = Math.max(frames.indexOf(location), 0);
      const story = frames.slice(start);
      const key = `${reason} ${story.join(' ')}`;
      const same = merged.get(key);
      const head = frames.slice(0, start).map((address) => this.#frame(address));
      merged.set(key, {
        reason: reason === undefined ? undefined : host.reasons.name(reason),
        count: count + (same?.count ?? 0),
        frames: same?.frames ?? story.map((address) => this.#frame(address)),
        head: same !== undefined && same.head.length > head.length ? same.head : head,
      });
    }
    return [...merged.values()].sort((a, b) => b.count - a.count || ((a.reason ?? '') < (b.reason ?? '') ? -1 : 1));
  }

  #frame(address: bigint): StackFrame {
    const place = this.session.host.symbols.findReturn(address);
    return { address, text: formatPlace(place, address), place };
  }

  protected override reported(): number {
    const { stacks } = this.session.probe.read(this.session.program);
    return stacks.reduce((sum, { count }) => sum + count, 0);
  }
}

/**
 * Counts kernel stacks that drop packets, from now on; without `reasons`, those of drops that carry no reason, which
 * are all on kernels that give none.
 *
 * @throws SkbdropError: `usage` for a reason this kernel does not have, `permission`, `unsupported`, `rejected`
 */
export function dropStacks(options: WatchOptions = {}): DropStacks {
  return new DropStacks(Session.open(options, (account) => new StackProbe(account), USUAL));
}
