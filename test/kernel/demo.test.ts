import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RingBuffer } from '../../src/bpf/ringbuf.ts';
import { runDemo } from '../../src/cli/commands/demo.ts';
import { Demo, type Recipe, recipes } from '../../src/demo/index.ts';
import { Session } from '../../src/drops/session.ts';
import type { ReasonTable } from '../../src/kernel/reasons.ts';
import { CountProbe } from '../../src/probes/count.ts';
import { type DropRecord, TraceProbe } from '../../src/probes/trace.ts';
import { NotSupportedError } from '../../src/sys/errors.ts';
import { type Fd, observeFds } from '../../src/sys/fd.ts';
import { needRoot } from '../helpers/need.ts';

const isRoot = needRoot();
const PREFIX = 'SKB_DROP_REASON_';
const RING_BYTES = 16 * 1024 * 1024;

/** All drops from now on, those of other namespaces left out where the drop says whose it is. */
class Watch {
  readonly #session: Session<TraceProbe>;
  readonly #ring: RingBuffer;
  readonly #netns: number;

  private constructor(session: Session<TraceProbe>, netns: number) {
    this.#session = session;
    this.#ring = new RingBuffer(session.program.map('ring'));
    this.#netns = netns;
  }

  static open(netns: number): Watch {
    const session = Session.open({}, (account) => new TraceProbe(account, RING_BYTES));
    return new Watch(session, netns);
  }

  get reasons(): ReasonTable {
    return this.#session.host.reasons;
  }

  /** What there was since the last call, by the namespace's own devices or without one. */
  take(): { name: string; drop: DropRecord }[] {
    const drops: { name: string; drop: DropRecord }[] = [];
    this.#ring.drain((data, offset) => {
      const drop = this.#session.probe.decode(data, offset);
      const name = drop.reason === undefined ? '' : this.reasons.name(drop.reason).replace(PREFIX, '');
      if (drop.device === undefined || drop.device.netns === this.#netns) drops.push({ name, drop });
    });
    return drops;
  }

  detach(): void {
    this.#session.detach();
  }

  close(): void {
    this.#ring.close();
    this.#session.close();
  }
}

/** What this kernel may call it: a name that it knows, or none where it does not know today's. */
function accepted(recipe: Recipe, reasons: ReasonTable): string[] {
  const known = new Set(reasons.all.map(({ name }) => name.replace(PREFIX, '')));
  const names = recipe.reasons.filter((name) => known.has(name));
  return known.has(recipe.reasons[0]!) ? names : [...names, 'NOT_SPECIFIED'];
}

describe.skipIf(!isRoot)('what the demo provokes', () => {
  describe.each(['always', 'never'] as const)('with live frames %s', (liveFrames) => {
    let demo: Demo;
    beforeAll(() => {
      demo = Demo.open({ liveFrames });
    });
    afterAll(() => demo?.close());

    test.for(recipes.map((recipe) => [recipe.reasons[0]!, recipe] as const))('%s', async ([_, recipe], { skip }) => {
      const count = 37;
      const watch = Watch.open(demo.netns);
      try {
        await demo.run(recipe, count);
        watch.detach();
        const names = accepted(recipe, watch.reasons);
        const drops = watch.take();
        const ours = drops.filter(({ name, drop }) => names.includes(name) && drop.len === recipe.length);
        expect(ours).toHaveLength(count);
        // All for one reason, and nothing else in the namespace. Drops without a device may be anybody's.
        expect(new Set(ours.map(({ name }) => name)).size).toBe(1);
        const others = drops.filter((drop) => !ours.includes(drop) && drop.drop.device !== undefined);
        expect(others).toEqual([]);
      } catch (error) {
        if (!(error instanceof NotSupportedError)) throw error;
        // Only where the recipe says that it may be missing; everything else is there on every kernel.
        expect(recipe.needs ?? recipe.since, error.message).toBeDefined();
        skip(error.message);
      } finally {
        watch.close();
      }
    });
  });

  test('a flood comes out to the drop', async () => {
    // A reason that nobody else on this host has in the meantime.
    const recipe = recipes.find(({ reasons }) => reasons[0] === 'IPV6DISABLED')!;
    const count = 300_000;
    const session = Session.open({ reasons: ['IPV6DISABLED'] }, (account) => new CountProbe(account));
    using demo = Demo.open();
    const told: number[] = [];
    try {
      expect(await demo.run(recipe, count, { onDrops: (drops) => told.push(drops) })).toBe(count);
      session.detach();
      expect([...session.probe.read(session.program).counts.values()]).toEqual([count]);
      expect(told.length).toBeGreaterThan(1);
      expect(told.reduce((sum, drops) => sum + drops)).toBe(count);
    } finally {
      session.close();
    }
  });

  test('signals do not change the number', async () => {
    const recipe = recipes.find(({ reasons }) => reasons[0] === 'IPV6DISABLED')!;
    const count = 500_000;
    let signals = 0;
    const onSignal = (): void => {
      signals++;
    };
    // A signal that nobody handles would not interrupt the system call.
    process.on('SIGWINCH', onSignal);
    using demo = Demo.open({ liveFrames: 'always' });
    const session = Session.open({ reasons: ['IPV6DISABLED'] }, (account) => new CountProbe(account));
    const sender = spawn('sh', ['-c', `while kill -WINCH ${process.pid}; do sleep 0.01; done`], { stdio: 'ignore' });
    try {
      while (signals === 0) await nextTurn();
      const before = signals;
      await demo.run(recipe, count);
      session.detach();
      expect(signals).toBeGreaterThan(before);
      expect([...session.probe.read(session.program).counts.values()]).toEqual([count]);
    } finally {
      sender.kill();
      process.off('SIGWINCH', onSignal);
      session.close();
    }
  });

  test('a flood ends when it is told to', async () => {
    using demo = Demo.open();
    const stop = new AbortController();
    const count = 1_000_000_000;
    const done = await demo.run(recipes[0]!, count, { signal: stop.signal, onDrops: () => stop.abort() });
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(count);
  });

  test('without a count it goes round until stopped', async () => {
    const stop = new AbortController();
    const lines: { type: string; reason?: string; count?: number }[] = [];
    const output = {
      write(text: string): void {
        lines.push(JSON.parse(text));
        if (lines.length === 5) stop.abort();
      },
    };
    await runDemo({ reason: ['IP_CSUM', 'IP_INHDR'], rate: 10_000, format: 'json' }, output, stop.signal);
    const names = lines.map(({ reason }) => reason?.replace(PREFIX, ''));
    expect(names).toEqual(['IP_CSUM', 'IP_INHDR', 'IP_CSUM', 'IP_INHDR', 'IP_CSUM', undefined]);
    const counts = lines.map(({ count }) => count!);
    expect(counts.at(-1)).toBe(counts.slice(0, -1).reduce((sum, count) => sum + count));
  });

  test('leaves nothing behind: no descriptor, no namespace, no interface', async () => {
    const open = new Set<Fd>();
    observeFds({ opened: (fd) => open.add(fd), closed: (fd) => open.delete(fd) });
    try {
      const home = readlinkSync('/proc/thread-self/ns/net');
      const demo = Demo.open();
      expect(readlinkSync('/proc/thread-self/ns/net')).not.toBe(home);
      for (const recipe of recipes.filter(({ reasons }) => reasons[0] !== 'FRAG_REASM_TIMEOUT')) {
        await demo.run(recipe, 2).catch((error) => expect(error).toBeInstanceOf(NotSupportedError));
      }
      demo.close();
      expect(readlinkSync('/proc/thread-self/ns/net')).toBe(home);
      expect(readFileSync('/proc/thread-self/net/dev', 'latin1')).not.toContain('demo0');
      expect([...open].map(({ what }) => what)).toEqual([]);
    } finally {
      observeFds(undefined);
    }
  });
});
