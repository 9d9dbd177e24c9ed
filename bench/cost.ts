import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { exit, mov, r0 } from '../asm/index.ts';
import { RingBuffer } from '../src/bpf/ringbuf.ts';
import { Demo, recipes } from '../src/demo/index.ts';
import { type Probe, Session } from '../src/drops/session.ts';
import type { AccountOptions, Books } from '../src/probes/account.ts';
import { type AttachMode, attachModes } from '../src/probes/context.ts';
import { CountProbe } from '../src/probes/count.ts';
import { HistProbe } from '../src/probes/hist.ts';
import { StackProbe } from '../src/probes/stacks.ts';
import { TraceProbe } from '../src/probes/trace.ts';
import { enableStats } from '../src/sys/bpf.ts';
import { type Cell, median } from './table.ts';

/**
 * What a drop costs inside the program: run_time_ns / run_cnt, as the kernel counts them with BPF_ENABLE_STATS. An
 * empty program costs what reading the clock twice costs, so it is the floor.
 *
 * The drops are UDP datagrams to a closed port, which the demo has the kernel multiply. Rounds are interleaved, and
 * the median round counts.
 */
const DROPS = 100_000;
const PORTION = 10_000;
const RING_BYTES = 16 * 1024 * 1024;

const noBooks: Books = { seen: 0, filtered: 0, surplus: 0, lost: [], counters: new Float64Array() };

function emptyProbe({ context }: AccountOptions): Probe {
  return {
    spec: { name: 'empty', ...context.program, maps: [], code: [mov(r0, 0), exit()] },
    readBooks: () => noBooks,
  };
}

const probes: Readonly<Record<string, (options: AccountOptions) => Probe>> = {
  empty: emptyProbe,
  count: (options) => new CountProbe(options),
  hist: (options) => new HistProbe(options, false),
  'hist --by reason': (options) => new HistProbe(options, true),
  trace: (options) => new TraceProbe(options, RING_BYTES),
  stacks: (options) => new StackProbe(options),
};

/** The same four as bpftrace writes them, each as its users would. */
const bpftracePrograms: Readonly<Record<string, string>> = {
  count: '@[args->reason] = count();',
  hist: '@skb_len = hist(((struct sk_buff *) args->skbaddr)->len);',
  trace: 'print(args->reason);',
  stacks: '@[kstack] = count();',
};

export async function cost(rounds: number, bpftraces: ReadonlyMap<string, string>): Promise<Cell[]> {
  const recipe = recipes.find(({ reasons }) => reasons.includes('NO_SOCKET'))!;
  using _ = enableStats();
  using demo = Demo.open();
  const provoke = async (drops: number, between: () => void): Promise<void> => {
    for (let done = 0; done < drops; done += PORTION) {
      await demo.run(recipe, PORTION);
      between();
    }
  };
  const nanoseconds = new Map<string, number[]>();
  const note = (name: string, value: number): void => {
    nanoseconds.set(name, [...(nanoseconds.get(name) ?? []), value]);
  };
  for (let round = 0; round < rounds; round++) {
    for (const mode of attachModes) {
      for (const [name, design] of Object.entries(probes)) {
        note(`${name}, ${mode}`, await ours(mode, design, (between) => provoke(dropsFor(name), between)));
      }
    }
    for (const [version, command] of bpftraces) {
      for (const [name, program] of Object.entries(bpftracePrograms)) {
        note(`${name}, bpftrace ${version}`, await theirs(command, program, () => provoke(dropsFor(name), () => {})));
      }
    }
  }
  return [...nanoseconds].map(([name, values]) => {
    const [, mode = ''] = name.split(', ');
    const floor = nanoseconds.get(`empty, ${mode}`) ?? nanoseconds.get('empty, tracepoint')!;
    return { name, unit: 'ns a drop', values, against: { name: 'empty', value: median(floor) } };
  });
}

/** Unwinding costs a hundred times as much as counting. */
function dropsFor(name: string): number {
  return name === 'stacks' ? DROPS / 10 : DROPS;
}

async function ours(
  mode: AttachMode,
  design: (options: AccountOptions) => Probe,
  provoke: (between: () => void) => Promise<void>,
): Promise<number> {
  const session = Session.open({ attach: mode }, design);
  const hasRing = session.program.spec.maps.some(({ type }) => type === 'RINGBUF');
  const ring = hasRing ? new RingBuffer(session.program.map('ring')) : undefined;
  try {
    await provoke(() => ring?.drain(() => {}));
    session.detach();
    const { runTimeNs, runCount } = session.program.info();
    return Number(runTimeNs) / Number(runCount);
  } finally {
    ring?.close();
    session.close();
  }
}

interface ToolProgram {
  readonly id: number;
  readonly type: string;
  readonly run_time_ns?: number;
  readonly run_cnt?: number;
}

function tracepointPrograms(): readonly ToolProgram[] {
  const programs: readonly ToolProgram[] = JSON.parse(
    execFileSync('bpftool', ['-j', 'prog', 'list'], { encoding: 'utf8' }),
  );
  return programs.filter(({ type }) => type === 'tracepoint');
}

/** bpftrace wants tracefs mounted: it is, for it alone. */
async function theirs(command: string, program: string, provoke: () => Promise<void>): Promise<number> {
  const before = new Set(tracepointPrograms().map(({ id }) => id));
  const script = 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"';
  const words = ['-m', 'sh', '-c', script, 'sh', command, '-e', `tracepoint:skb:kfree_skb { ${program} }`];
  const process = spawn('unshare', words, { stdio: ['ignore', 'ignore', 'ignore'] });
  const ended = once(process, 'exit');
  try {
    let own: ToolProgram | undefined;
    while (own === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      own = tracepointPrograms().find(({ id }) => !before.has(id));
    }
    // Loaded is not attached yet.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await provoke();
    const after = tracepointPrograms().find(({ id }) => id === own.id);
    if (!after?.run_cnt) throw new Error(`${command} did not run on the tracepoint`);
    return (after.run_time_ns ?? 0) / after.run_cnt;
  } finally {
    process.kill('SIGINT');
    await ended;
  }
}
