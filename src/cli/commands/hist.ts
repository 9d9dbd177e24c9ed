import { type DropHistogram, dropHistogram } from '../../drops/histogram.ts';
import type { CommonOptions } from '../options.ts';
import type { Output } from '../output.ts';
import { beforeLastMaps, clearScreen, histogramMap } from '../render/bpftrace.ts';
import { histogramJson } from '../render/json.ts';
import { histogramText } from '../render/text.ts';
import { clockTime, now } from '../render/time.ts';
import { run } from '../run.ts';

export interface HistCommandOptions extends CommonOptions {
  readonly by: 'reason' | undefined;
}

/** `skbdrop hist`: a histogram of the lengths of dropped packets. */
export function hist(options: HistCommandOptions): Promise<number> {
  const { format, reasons, notReasons, attach, btf, count, by, interval } = options;

  const report = async (watch: DropHistogram, output: Output, isLast: boolean): Promise<void> => {
    const histograms = watch.read();
    const time = now();
    if (format === 'bpftrace') {
      await output.write((isLast ? beforeLastMaps : clearScreen) + histogramMap(histograms));
    } else if (format === 'json') {
      await output.write(histograms.map((histogram) => histogramJson(time, histogram)).join(''));
    } else if (histograms.length > 0) {
      const heading = interval === undefined ? '' : `${clockTime(time).slice(0, 8)}\n`;
      const texts = histograms.map((histogram) => `${histogramText(histogram, usesUtf8())}\n`);
      await output.write(heading + texts.join(''));
    }
  };

  return run(options, {
    verb: 'counted',
    open: () => dropHistogram({ reasons, notReasons, attach, btf, limit: count, by }),
    interval,
    tick: (watch, output) => report(watch, output, false),
    finish: (watch, output) => report(watch, output, true),
  });
}

/** Whether the locale can show block characters (locale(7)). */
function usesUtf8(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}
