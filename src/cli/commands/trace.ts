import type { DropTrace } from '../../drops/trace.ts';
import { traceDrops } from '../../drops/trace.ts';
import type { CommonOptions, Format } from '../options.ts';
import { bpftraceWantsReasons, noReasons } from '../reasonless.ts';
import { beforeLastMaps, reasonLine } from '../render/bpftrace.ts';
import { dropJson } from '../render/json.ts';
import { dropText, traceHeader } from '../render/text.ts';
import { run } from '../run.ts';

const renderers = { text: dropText, json: dropJson, bpftrace: reasonLine } as const satisfies Record<Format, unknown>;

export interface TraceCommandOptions extends CommonOptions {
  /** Bytes. */
  readonly bufferSize: number | undefined;
}

/** `skbdrop trace`: prints each drop as it happens. */
export function trace(options: TraceCommandOptions): Promise<number> {
  const { format, reasons, notReasons, attach, btf, count, bufferSize } = options;
  const render = renderers[format];
  return run(options, {
    verb: 'printed',
    open: () => traceDrops({ reasons, notReasons, attach, btf, limit: count, bufferSize }),
    prepare: async (watch: DropTrace) => {
      if (format === 'bpftrace') {
        if (!watch.hasReasons) throw bpftraceWantsReasons('trace');
        return [];
      }
      return [
        ...(watch.hasReasons ? [] : [noReasons('each drop shows the function that gave the packet up')]),
        ...(await watch.loadSymbols()),
        ...watch.missingColumns,
      ];
    },
    follow: async (watch, output) => {
      if (format === 'text' && output.isTerminal) await output.write(traceHeader(watch.hasReasons));
      for await (const batch of watch.batches(render)) {
        let text = '';
        for (const { time, what } of batch) text += what(time);
        await output.writeDrops(text);
      }
      if (format === 'bpftrace') await output.write(beforeLastMaps);
    },
  });
}
