import { countDrops, type DropCount, type DropCounter, nameOf } from '../../drops/count.ts';
import type { CommonOptions } from '../options.ts';
import type { Output } from '../output.ts';
import { bpftraceWantsReasons, noReasons } from '../reasonless.ts';
import { beforeLastMaps, clearScreen, countsMap } from '../render/bpftrace.ts';
import { countsJson } from '../render/json.ts';
import { countsText, number, type Rate } from '../render/text.ts';
import { clockTime, now } from '../render/time.ts';
import { run } from '../run.ts';
import { Screen } from '../screen.ts';

const DEFAULT_INTERVAL = 1000;

/** `skbdrop top`: counts by reason, again and again; by function where the kernel gives no reason. */
export function top(options: CommonOptions): Promise<number> {
  const { format, reasons, notReasons, attach, btf, count } = options;
  const interval = options.interval ?? DEFAULT_INTERVAL;
  let rates: Rates;
  let screen: Screen | undefined;

  const report = async (watch: DropCounter, output: Output, isLast: boolean): Promise<void> => {
    // The last report closes a run: its rates are those of the whole of it.
    const { changed, seconds, counts } = isLast ? rates.overall(watch.read()) : rates.next(watch.read());
    const time = now();
    if (format === 'json') return output.write(countsJson(time, seconds, counts));
    if (format === 'bpftrace') return output.write((isLast ? beforeLastMaps : clearScreen) + countsMap(counts));
    const total = counts.reduce((sum, { count }) => sum + count, 0);
    const rate = counts.reduce((sum, { rate }) => sum + rate, 0);
    const title =
      `${clockTime(time).slice(0, 8)}  ${number(total)} ${total === 1 ? 'drop' : 'drops'}, ` +
      `${number(Math.round(rate))}/s over ${isLast ? '' : 'the last '}${seconds.toFixed(1)} s\n`;
    if (screen !== undefined) {
      const hint = `kernel ${watch.kernel}, ${watch.mode}; Ctrl-C ends\n`;
      const { rows = Number.POSITIVE_INFINITY } = output.size ?? {};
      return output.write(screen.draw(`${title}${isLast ? '' : hint}\n${countsText(counts, rows - 5)}`));
    }
    // Elsewhere a block for each interval in which something happened, and the last one always.
    if (changed || isLast) await output.write(`${title}${countsText(counts)}\n`);
  };

  return run(options, {
    verb: 'counted',
    open: () => {
      const watch = countDrops({ reasons, notReasons, attach, btf, limit: count });
      rates = new Rates();
      return watch;
    },
    prepare: async (watch, output) => {
      if (format === 'text' && output.isTerminal && process.env.TERM !== 'dumb') screen = new Screen(output);
      if (watch.hasReasons) return [];
      if (format === 'bpftrace') throw bpftraceWantsReasons('top');
      return [noReasons('drops are counted by function'), ...(await watch.loadSymbols())];
    },
    interval,
    tick: (watch, output) => report(watch, output, false),
    finish: async (watch, output) => {
      await report(watch, output, true);
      await screen?.leave();
    },
  });
}

/** Counts with how fast they grow. */
class Rates {
  readonly #start = performance.now();
  #before = new Map<string, number>();
  #at = this.#start;

  /** Since the last call. */
  next(counts: readonly DropCount[]): Growth {
    const at = performance.now();
    const growth = grow(counts, this.#before, (at - this.#at) / 1000);
    this.#at = at;
    this.#before = new Map(counts.map((entry) => [nameOf(entry), entry.count]));
    return growth;
  }

  /** Since the beginning. */
  overall(counts: readonly DropCount[]): Growth {
    return grow(counts, new Map(), (performance.now() - this.#start) / 1000);
  }
}

interface Growth {
  readonly changed: boolean;
  readonly seconds: number;
  readonly counts: readonly Rate[];
}

function grow(counts: readonly DropCount[], before: ReadonlyMap<string, number>, seconds: number): Growth {
  const rates = counts.map((entry) => ({
    ...entry,
    rate: seconds > 0 ? (entry.count - (before.get(nameOf(entry)) ?? 0)) / seconds : 0,
  }));
  return { changed: rates.some(({ rate }) => rate > 0), seconds, counts: rates };
}
