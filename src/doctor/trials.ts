import { Demo, recipes } from '../demo/index.ts';
import { countDrops } from '../drops/count.ts';
import { dropHistogram } from '../drops/histogram.ts';
import { type Probe, Session, type WatchOptions } from '../drops/session.ts';
import { dropStacks } from '../drops/stacks.ts';
import { traceDrops } from '../drops/trace.ts';
import type { Watch } from '../drops/watch.ts';
import { type AttachMode, attachModes, type DropContext } from '../probes/context.ts';
import { TraceProbe } from '../probes/trace.ts';
import { NotSupportedError } from '../sys/errors.ts';

/**
 * Whether the commands work, found out by doing what they do: each is attached for a moment, read, and taken off
 * again. So what is said of a command is what the command itself will say.
 */

/** How a trial went. */
export type Trial =
  | { readonly works: true; readonly mode?: AttachMode }
  | {
      readonly works: false;
      /** What the command would end with. */
      readonly error: unknown;
    };

/** The commands that watch. */
export const watchCommands = ['trace', 'top', 'hist', 'stacks'] as const;
export type WatchCommand = (typeof watchCommands)[number];

interface TrialOptions extends WatchOptions {
  /** Whether to read the kernel's symbols, as the command does; which takes the longest, and is the same in all ways. */
  readonly symbols?: boolean;
}

/** Opens what the command opens, and does what it does between the first drop and the last. */
const runs: Readonly<Record<WatchCommand, (options: TrialOptions) => Promise<AttachMode>>> = {
  trace: async ({ symbols = true, ...options }) => {
    using watch = traceDrops(options);
    if (symbols) await watch.loadSymbols();
    watch.detach();
    for await (const _ of watch.batches(({ location }) => location));
    return watch.mode;
  },
  top: async (options) => readOnce(countDrops(options)),
  hist: async (options) => readOnce(dropHistogram(options)),
  stacks: async ({ symbols = true, ...options }) => {
    using watch = dropStacks(options);
    if (symbols) await watch.loadSymbols();
    return readOnce(watch);
  },
};

function readOnce(opened: Watch<Probe> & { read(): unknown }): AttachMode {
  using watch = opened;
  watch.detach();
  watch.read();
  return watch.mode;
}

/** One command, as these options would have it. */
export async function tryCommand(command: WatchCommand, options: TrialOptions): Promise<Trial> {
  try {
    return { works: true, mode: await runs[command](options) };
  } catch (error) {
    return { works: false, error };
  }
}

/** Each command as it is called without options. */
export async function tryCommands(btf: string | undefined): Promise<Record<WatchCommand, Trial>> {
  return {
    trace: await tryCommand('trace', { btf }),
    top: await tryCommand('top', { btf }),
    hist: await tryCommand('hist', { btf }),
    stacks: await tryCommand('stacks', { btf }),
  };
}

/** Each command in each way to attach; those that were tried already are not tried again. */
export async function tryWays(
  btf: string | undefined,
  tried: Readonly<Record<WatchCommand, Trial>>,
): Promise<Record<AttachMode, Record<WatchCommand, Trial>>> {
  const ways = {} as Record<AttachMode, Record<WatchCommand, Trial>>;
  for (const attach of attachModes) {
    const way = {} as Record<WatchCommand, Trial>;
    for (const command of watchCommands) {
      const before = tried[command];
      const same = before.works && before.mode === attach;
      way[command] = same ? before : await tryCommand(command, { btf, attach, symbols: false });
    }
    ways[attach] = way;
  }
  return ways;
}

/** What `trace` can tell of each drop when it attaches in this way. */
export function traceSight(
  btf: string | undefined,
  attach: AttachMode,
): Pick<TraceProbe, 'readable'> & Pick<DropContext, 'hasReason'> {
  const SMALLEST_RING = 1;
  let hasReason = false;
  using session = Session.open({ btf, attach }, (account) => {
    hasReason = account.context.hasReason;
    return new TraceProbe(account, SMALLEST_RING);
  });
  return { readable: session.probe.readable, hasReason };
}

/** Of all reasons, the one for which the most capabilities are needed: a packet socket wants CAP_NET_RAW. */
const MOST_DEMANDING = 'PACKET_SOCK_ERROR';

/**
 * The demo, with one drop in its namespace. The calling thread comes back from there; where it may not, because it is in
 * a user namespace, it stays. So this is to be done last.
 */
export async function tryDemo(): Promise<Trial> {
  try {
    using demo = Demo.open();
    const recipe = recipes.find(({ reasons }) => reasons.includes(MOST_DEMANDING));
    if (recipe === undefined) throw new Error(`the demo has no recipe for ${MOST_DEMANDING}`);
    await skippingUnknown(() => demo.run(recipe, 1));
    return { works: true };
  } catch (error) {
    return { works: false, error };
  }
}

/** The command skips what this kernel cannot be made to drop, and goes on. */
async function skippingUnknown(body: () => Promise<unknown>): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof NotSupportedError)) throw error;
  }
}
