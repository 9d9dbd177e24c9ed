import { BtfError } from '../../btf/index.ts';
import { attachRawTracepoint, attachTracepoint, attachTracing } from '../bpf/link.ts';
import { loadProgram, type Program, type ProgramSpec } from '../bpf/program.ts';
import { type Host, openHost, TRACEPOINT } from '../kernel/host.ts';
import { NoReasonsError } from '../kernel/reasons.ts';
import type { AccountOptions, Books } from '../probes/account.ts';
import { type AttachMode, attachModes, dropContext } from '../probes/context.ts';
import type { ReasonFilter } from '../probes/reason-filter.ts';
import { PermissionError } from '../sys/capabilities.ts';
import { SkbdropError } from '../sys/errors.ts';
import type { Fd } from '../sys/fd.ts';
import { waitForRunningPrograms } from '../sys/membarrier.ts';
import { type Concessions, concede } from './concede.ts';
import { ALL, type Selection, selectReasons } from './select.ts';
import { type Summary, summarize } from './summary.ts';

/** What every way of watching drops takes. */
export interface WatchOptions {
  /**
   * Reasons to keep: names with or without `SKB_DROP_REASON_`, in any case, with `*` and `?`. Nothing, an empty list
   * and `*` keep all.
   */
  readonly reasons?: readonly string[] | undefined;
  /** Reasons to leave out, written like `reasons`. */
  readonly notReasons?: readonly string[] | undefined;
  /** How to attach; `auto` (the default) takes the first way that works. */
  readonly attach?: AttachMode | 'auto' | undefined;
  /** A file with BTF to use instead of the running kernel's. */
  readonly btf?: string | undefined;
  /** Stop counting after so many drops. */
  readonly limit?: number | undefined;
}

/** A way to attach that did not work, and why. */
type Failure = readonly [AttachMode, unknown];

/** Long enough for a program to finish that was running when it was detached, where the kernel cannot tell us. */
const GRACE_MS = 20;

function sleepSync(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** A probe as its file in probes/ describes it: the program, and what reads its books. */
export interface Probe {
  readonly spec: ProgramSpec;
  readBooks(program: Program): Books;
}

/**
 * A probe that is loaded and attached, with the kernel it watches: what all ways of watching drops are made of.
 * It counts from its construction until `detach()`; its maps can be read until `close()`.
 */
export class Session<P extends Probe> {
  readonly host: Host;
  readonly account: AccountOptions;
  readonly probe: P;
  readonly program: Program;
  readonly options: WatchOptions;
  readonly #failures: readonly Failure[];
  #link: Fd | undefined;

  private constructor(
    host: Host,
    account: AccountOptions,
    probe: P,
    program: Program,
    link: Fd,
    options: WatchOptions,
    failures: readonly Failure[],
  ) {
    this.host = host;
    this.account = account;
    this.probe = probe;
    this.program = program;
    this.options = options;
    this.#failures = failures;
    this.#link = link;
  }

  /**
   * Loads the probe and attaches it.
   *
   * @param design makes the probe, given how to get at the drop
   * @param usual what is chosen where `options` choose no reasons, and the kernel gives any
   * @throws SkbdropError: `usage` for unknown reasons, `permission`, `unsupported`, `rejected`
   */
  static open<P extends Probe>(
    options: WatchOptions,
    design: (account: AccountOptions) => P,
    usual: Selection = {},
  ): Session<P> {
    const host = openHost(options.btf);
    const { attach = 'auto' } = options;
    const modes = attach === 'auto' ? attachModes : [attach];
    const failures: Failure[] = [];
    for (const mode of modes) {
      try {
        return begin(mode, {});
      } catch (thrown) {
        const error = thrown instanceof BtfError ? damagedBtf(thrown, options.btf) : thrown;
        // Without the capabilities the other ways fail the same; everything else may be different there.
        if (error instanceof PermissionError && error.missing.length > 0) throw error;
        if (!(error instanceof SkbdropError) || error.code === 'usage') throw error;
        // Nor is there a way to attach that gives reasons where another has none.
        if (error instanceof NoReasonsError) throw error;
        failures.push([mode, error]);
      }
    }
    throw allFailed(failures);

    function begin(mode: AttachMode, without: Concessions): Session<P> {
      try {
        return start(accountOptions(mode, host, without, options, usual));
      } catch (error) {
        const more = concede(error, mode, host, without, options.limit !== undefined);
        if (more === undefined) throw error;
        return begin(mode, more);
      }
    }

    function start(account: AccountOptions): Session<P> {
      const probe = design(account);
      const program = loadProgram(probe.spec);
      try {
        const link = attachProgram(account.context.mode, program, host);
        return new Session(host, account, probe, program, link, options, failures);
      } catch (error) {
        program.close();
        throw error;
      }
    }
  }

  get mode(): AttachMode {
    return this.account.context.mode;
  }

  /** Whether this kernel says why it drops. */
  get hasReasons(): boolean {
    return this.account.context.hasReason;
  }

  /** What an expert may want to know of how this came about. */
  get notes(): readonly string[] {
    const { reasons } = this.host;
    const { guardsReentry, limit, fetchesAtomically } = this.account;
    return [
      ...this.#failures.map(([mode, error]) => `${mode} does not work here: ${(error as Error).message}`),
      ...(this.hasReasons ? [`${reasons.all.length} drop reasons have names, from ${reasons.source}`] : []),
      ...(limit === undefined || fetchesAtomically ? [] : ['the limit is the room in a queue: no atomic fetches here']),
      guardsReentry
        ? 'counters are added to with plain instructions: this kernel does not enter a program twice on a CPU'
        : 'counters are added to with atomic instructions: this kernel may enter a program twice on a CPU',
    ];
  }

  get attached(): boolean {
    return this.#link !== undefined;
  }

  /** Takes the probe off the tracepoint and waits for its last runs, so that its books are final. */
  detach(): void {
    if (this.#link === undefined) return;
    this.#link.close();
    this.#link = undefined;
    if (!waitForRunningPrograms()) sleepSync(GRACE_MS);
  }

  /** How many drops have passed so far: less to read than the whole summary. */
  get passed(): number {
    const { seen, filtered, surplus } = this.probe.readBooks(this.program);
    return seen - filtered - surplus;
  }

  /** The books as they stand now. `reported`: drops that were printed or counted; `unread`: see summarize(). */
  summary(reported: number, unread: number = 0): Summary {
    const books = this.probe.readBooks(this.program);
    const missed = Number(this.program.info().recursionMisses);
    return summarize(books, reported, missed, this.host.reasons, unread);
  }

  close(): void {
    this.detach();
    this.program.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function accountOptions(
  mode: AttachMode,
  host: Host,
  without: Concessions,
  options: WatchOptions,
  usual: Selection,
): AccountOptions {
  const context = dropContext(mode, host, without);
  return {
    context,
    filter: chosenReasons(host, context.hasReason, options, usual),
    limit: options.limit,
    // A program on the tracepoint itself is never entered twice on a CPU: trace_call_bpf() sees to that on every kernel.
    guardsReentry: mode === 'tracepoint' || host.guardsReentry,
    fetchesAtomically: !without.fetch,
  };
}

/** @throws NoReasonsError where some are to be chosen, and this kernel gives none */
function chosenReasons(host: Host, hasReasons: boolean, options: Selection, usual: Selection): ReasonFilter {
  const isChoice = ({ reasons = [], notReasons = [] }: Selection): boolean => reasons.length + notReasons.length > 0;
  if (hasReasons) {
    const selection = isChoice(options) ? options : usual;
    // The names are not even read where nobody asks for any: that keeps the start short.
    return isChoice(selection) ? selectReasons(host.reasons, selection) : { kind: 'all' };
  }
  const { reasons = [], notReasons = [] } = options;
  if (notReasons.length === 0 && (reasons.length === 0 || reasons.includes(ALL))) return { kind: 'all' };
  throw new NoReasonsError('so none can be chosen', 'Without -r and -R all drops are shown');
}

function attachProgram(mode: AttachMode, program: Program, host: Host): Fd {
  switch (mode) {
    case 'tp_btf':
      return attachTracing(program);
    case 'raw_tp':
      return attachRawTracepoint(program, TRACEPOINT.name);
    case 'tracepoint':
      return attachTracepoint(program, host.tracepoint().id);
  }
}

/** Damage shows only where a type is looked at. In a file that the user named it is the user's to mend. */
function damagedBtf(error: BtfError, file: string | undefined): SkbdropError {
  const where = file ?? '/sys/kernel/btf';
  const code = file === undefined ? 'unsupported' : 'usage';
  return new SkbdropError(code, `the BTF in ${where} is damaged: ${error.message}`, { cause: error });
}

/** The last way asks least of the kernel, so its word counts; what the others said is for -v. */
function allFailed(failures: readonly Failure[]): unknown {
  const last = failures.at(-1)?.[1];
  if (!(last instanceof SkbdropError) || failures.length === 1) return last;
  const details = failures.flatMap(([mode, error]) => [
    `${mode}: ${(error as Error).message}`,
    ...((error as SkbdropError).details?.split('\n') ?? []),
  ]);
  return new SkbdropError(last.code, last.message, {
    ...(last.hint === undefined ? {} : { hint: last.hint }),
    details: details.join('\n'),
  });
}
