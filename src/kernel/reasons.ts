import type { Btf } from '../../btf/index.ts';
import { SkbdropError } from '../sys/errors.ts';
import type { TracepointFormat } from './tracefs.ts';

/** The prefix of the core's reason names, which people leave out. */
const CORE_PREFIX = 'SKB_DROP_REASON_';
const CORE_ENUM = 'skb_drop_reason';
const SUBSYSTEM_ENUM = 'skb_drop_reason_subsys';
const SUBSYSTEM_PREFIX = 'SKB_DROP_REASON_SUBSYS_';
/** include/net/dropreason.h: the subsystem stands in the upper half of a reason. */
const SUBSYSTEM_SHIFT = 16;

/** Enumerators that are no reasons: bounds, masks, and the one that means "not dropped". */
const NOT_REASONS = new Set([
  'SKB_NOT_DROPPED_YET',
  'SKB_CONSUMED',
  'SKB_DROP_REASON_MAX',
  'SKB_DROP_REASON_SUBSYS_MASK',
]);

/** Something was asked for that needs reasons, and this kernel's tracepoint carries none. */
export class NoReasonsError extends SkbdropError {
  /** @param so what follows: "so none can be chosen" */
  constructor(so: string, hint: string) {
    super('unsupported', `this kernel gives no reason for a drop (Linux 5.17 and later do), ${so}`, { hint });
  }
}

export interface Reason {
  readonly number: number;
  /** As the kernel spells it: `SKB_DROP_REASON_NO_SOCKET`, `OVS_DROP_METER`. */
  readonly name: string;
}

/**
 * The drop reasons of the running kernel, names and numbers. The numbers move between kernels, even within a stable
 * series, so they are read from the kernel and never kept.
 */
export class ReasonTable {
  readonly #names = new Map<number, string>();
  readonly #subsystems = new Map<number, string>();
  /** Where the names come from, for `doctor` and -v. */
  readonly source: 'btf' | 'tracefs' | 'none';
  readonly #rescan: () => Iterable<Btf>;
  readonly #rescanned = new Set<number>();

  private constructor(source: 'btf' | 'tracefs' | 'none', rescan: () => Iterable<Btf>) {
    this.source = source;
    this.#rescan = rescan;
  }

  /**
   * From BTF: the core's enum, and every enum of a subsystem in the kernel or its modules.
   *
   * @param modules reads the modules' BTF anew: modules come and go
   */
  static fromBtf(kernel: Btf, modules: () => Iterable<Btf>): ReasonTable {
    const table = new ReasonTable('btf', modules);
    table.#addCore(kernel);
    table.#addSubsystems(kernel);
    for (const module of modules()) table.#addSubsystems(module);
    return table;
  }

  /** From the print format of the tracepoint, which names the core's reasons only. */
  static fromFormat(format: TracepointFormat): ReasonTable {
    const table = new ReasonTable('tracefs', () => []);
    for (const [number, name] of format.symbols.get('reason') ?? []) {
      table.#names.set(number, CORE_PREFIX + name);
    }
    return table;
  }

  /** No source at all: every reason shows as a number. */
  static empty(): ReasonTable {
    return new ReasonTable('none', () => []);
  }

  #addCore(btf: Btf): void {
    if (btf.find(CORE_ENUM, 'enum') === undefined) return;
    for (const { name, value } of btf.enumValues(CORE_ENUM)) {
      this.#names.set(Number(value) >>> 0, name);
    }
    if (btf.find(SUBSYSTEM_ENUM, 'enum') === undefined) return;
    for (const { name, value } of btf.enumValues(SUBSYSTEM_ENUM)) {
      if (name.startsWith(SUBSYSTEM_PREFIX)) this.#subsystems.set(Number(value), name.slice(SUBSYSTEM_PREFIX.length));
    }
  }

  /**
   * Subsystems name their enums alike (`mac80211_drop_reason`, `ovs_drop_reason`, `qdisc_drop_reason`), and their
   * enumerators carry the subsystem in their upper bits.
   */
  #addSubsystems(btf: Btf): void {
    for (const [enumName, id] of btf.names('enum')) {
      if (!enumName.endsWith('drop_reason') || enumName === CORE_ENUM) continue;
      for (const { name, value } of btf.enumValues(id)) {
        const number = Number(value) >>> 0;
        const isBound = /^__|_MAX$/.test(name);
        if (number >>> SUBSYSTEM_SHIFT !== 0 && !isBound && !this.#names.has(number)) this.#names.set(number, name);
      }
    }
  }

  /** All reasons that have a name, by number. */
  get all(): readonly Reason[] {
    return [...this.#names]
      .filter(([, name]) => !NOT_REASONS.has(name))
      .map(([number, name]) => ({ number, name }))
      .sort((a, b) => a.number - b.number);
  }

  /**
   * The kernel's name for a reason. A number without one becomes `reason#131`, or `OPENVSWITCH#5` where at least
   * the subsystem has a name: unknown is said to be unknown.
   */
  name(number: number): string {
    const known = this.#names.get(number);
    if (known !== undefined) return known;
    const subsystem = number >>> SUBSYSTEM_SHIFT;
    if (subsystem === 0) return `reason#${number}`;
    // Its module may have been loaded after we started: look once for each subsystem.
    if (!this.#rescanned.has(subsystem)) {
      this.#rescanned.add(subsystem);
      for (const module of this.#rescan()) this.#addSubsystems(module);
      const found = this.#names.get(number);
      if (found !== undefined) return found;
    }
    return `${this.#subsystems.get(subsystem) ?? `subsystem ${subsystem}`}#${number & 0xffff}`;
  }
}

/** `NO_SOCKET` for `SKB_DROP_REASON_NO_SOCKET`; other names as they are. */
export function shortName(name: string): string {
  return name.startsWith(CORE_PREFIX) ? name.slice(CORE_PREFIX.length) : name;
}
