import { type DropStacks, dropStacks } from '../../drops/stacks.ts';
import type { CommonOptions } from '../options.ts';
import type { Output } from '../output.ts';
import { noReasons } from '../reasonless.ts';
import { beforeLastMaps, clearScreen, stacksMap } from '../render/bpftrace.ts';
import { stacksJson } from '../render/json.ts';
import { stackText } from '../render/text.ts';
import { clockTime, now } from '../render/time.ts';
import { run } from '../run.ts';

/** `skbdrop stacks`: kernel stacks that drop packets, counted. */
export function stacks(options: CommonOptions): Promise<number> {
  const { format, reasons, notReasons, attach, btf, count, interval } = options;

  const report = async (watch: DropStacks, output: Output, isLast: boolean): Promise<void> => {
    const stacks = watch.read();
    const time = now();
    if (format === 'bpftrace') {
      await output.write((isLast ? beforeLastMaps : clearScreen) + stacksMap(stacks));
    } else if (format === 'json') {
      await output.write(stacksJson(time, stacks));
    } else {
      const total = stacks.reduce((sum, { count }) => sum + count, 0);
      const heading = interval === undefined ? '' : `${clockTime(time).slice(0, 8)}\n`;
      const texts = stacks.map((stack) => `${stackText(stack, total)}\n`);
      if (texts.length > 0) await output.write(heading + texts.join(''));
    }
  };

  return run(options, {
    verb: 'counted',
    open: () => dropStacks({ reasons, notReasons, attach, btf, limit: count }),
    prepare: async (watch) => [
      ...(watch.hasReasons ? [] : [noReasons('the stacks of all drops are counted')]),
      ...(await watch.loadSymbols()),
    ],
    interval,
    tick: (watch, output) => report(watch, output, false),
    finish: (watch, output) => report(watch, output, true),
  });
}
