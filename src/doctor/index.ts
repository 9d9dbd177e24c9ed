import { openHost } from '../kernel/host.ts';
import type { AttachMode } from '../probes/context.ts';
import { type Check, checks } from './checks.ts';
import { type Columns, columns } from './columns.ts';
import {
  type Feature,
  features,
  lockedMemory,
  runsMachineCode,
  type TracepointFacts,
  tracepointFacts,
} from './features.ts';
import { type Trial, tryCommand, tryCommands, tryDemo, tryWays, type WatchCommand, watchCommands } from './trials.ts';

export type { Check } from './checks.ts';
export { type ColumnName, type Columns, columnNames } from './columns.ts';
export type { Feature, TracepointFacts } from './features.ts';
export { type Trial, type WatchCommand, watchCommands } from './trials.ts';

/** What works on this host, and what does not. */
export interface Diagnosis {
  /** `6.18.44`. */
  readonly release: string;
  readonly commands: Readonly<Record<WatchCommand | 'demo', Trial>>;
  /** `-n`, tried with `top`. */
  readonly count: Trial;
  /** Each command in each way to attach. */
  readonly attach: Readonly<Record<AttachMode, Readonly<Record<WatchCommand, Trial>>>>;
  readonly columns: Columns;
  readonly features: readonly Feature[];
  readonly tracepoint: TracepointFacts;
  readonly checks: readonly Check[];
}

/**
 * Examines this host, with the rights of this process. It attaches every command's program for a moment, and provokes
 * one drop in a network namespace of its own. Afterwards the calling thread may be in another network namespace.
 *
 * @param btf a file with BTF to use instead of the running kernel's
 * @throws SkbdropError `usage` where that file is no good
 */
export async function examine(btf?: string): Promise<Diagnosis> {
  const host = openHost(btf);
  const watching = await tryCommands(btf);
  const count = await tryCommand('top', { btf, limit: 1 });
  const attach = await tryWays(btf, watching);
  const tracepoint = tracepointFacts(host);
  const found = {
    release: host.release,
    count,
    attach,
    columns: columns(host, btf, watching.trace),
    features: features(host),
    tracepoint,
    checks: checks({
      host,
      btfFile: btf,
      tracepoint,
      hasJit: runsMachineCode(),
      lockedMemory: lockedMemory(),
      allWork: watchCommands.every((command) => watching[command].works),
    }),
  };
  return { ...found, commands: { ...watching, demo: await tryDemo() } };
}
