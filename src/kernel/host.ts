import { release } from 'node:os';
import { type Btf, BtfError } from '../../btf/index.ts';
import { btfFromFile, kernelBtf, moduleBtfs } from './btf.ts';
import { ReasonTable } from './reasons.ts';
import { Symbolizer } from './symbols.ts';
import { type TracepointFormat, tracepointFormat } from './tracefs.ts';

/** The tracepoint that this program is about, as tracefs and the kernel name it. */
export const TRACEPOINT = { group: 'skb', name: 'kfree_skb' } as const;

/** The kernel in front of us. Everything is read at most once, and only when somebody asks. */
export interface Host {
  /** `6.18.44`. */
  readonly release: string;
  /** undefined where the kernel has none and no file was named. */
  readonly btf: Btf | undefined;
  readonly reasons: ReasonTable;
  readonly symbols: Symbolizer;
  /** @throws PermissionError, NotSupportedError */
  tracepoint(): TracepointFormat;
  /**
   * Whether the kernel keeps a program from being entered again on a CPU where it runs (an interrupt that drops a
   * packet in the middle of a drop), so that per-CPU counters need no atomic instruction.
   */
  readonly guardsReentry: boolean;
}

/**
 * @param btfFile BTF to use instead of the running kernel's own
 * @throws SkbdropError `usage` where that file is no good
 */
export function openHost(btfFile?: string): Host {
  return new LazyHost(btfFile === undefined ? kernelBtf() : btfFromFile(btfFile));
}

class LazyHost implements Host {
  readonly release: string = release();
  readonly btf: Btf | undefined;
  readonly symbols: Symbolizer = new Symbolizer();
  #reasons: ReasonTable | undefined;
  #tracepoint: TracepointFormat | undefined;

  constructor(btf: Btf | undefined) {
    this.btf = btf;
  }

  get reasons(): ReasonTable {
    this.#reasons ??= this.#readReasons();
    return this.#reasons;
  }

  #readReasons(): ReasonTable {
    const { btf } = this;
    try {
      if (btf !== undefined) return ReasonTable.fromBtf(btf, () => moduleBtfs(btf));
    } catch (error) {
      // Damage shows only where a type is looked at; tracefs has the names too.
      if (!(error instanceof BtfError)) throw error;
    }
    try {
      return ReasonTable.fromFormat(this.tracepoint());
    } catch {
      // Neither BTF nor tracefs: reasons have numbers, no names, and are shown as such.
      return ReasonTable.empty();
    }
  }

  tracepoint(): TracepointFormat {
    this.#tracepoint ??= tracepointFormat(`${TRACEPOINT.group}/${TRACEPOINT.name}`);
    return this.#tracepoint;
  }

  get guardsReentry(): boolean {
    // The change that brought the guard to raw tracepoints also made this function global (v6.1 05b24ff9b2cf,
    // "bpf: Prevent bpf program recursion for raw tracepoint probes"). Without BTF we assume the worse.
    return this.btf?.find('bpf_prog_inc_misses_counter', 'func') !== undefined;
  }
}
