import { styleText } from 'node:util';
import { examine } from '../../doctor/index.ts';
import { openOutput } from '../output.ts';
import { doctorJson, doctorStatus, doctorText } from '../render/doctor.ts';

export interface DoctorOptions {
  readonly format?: 'text' | 'json' | undefined;
  readonly btf?: string | undefined;
  readonly output?: string | undefined;
  readonly verbose?: boolean | undefined;
}

/** Where the output is no terminal, or one that does not know its size. */
const WIDTH = 80;

/**
 * `skbdrop doctor`: what works on this host, what does not, and how to put it right.
 *
 * @returns 0 where trace, top, hist and stacks work, else 3
 * @throws SkbdropError `usage` for a file with BTF that is none, `output`
 */
export async function doctor({ format, btf, output: file, verbose = false }: DoctorOptions): Promise<number> {
  const output = openOutput(file);
  let failure: unknown;
  output.ended.then((end) => {
    if (end.kind === 'failed') failure = end.error;
  });
  try {
    const diagnosis = await examine(btf);
    const width = output.size?.columns ?? WIDTH;
    // styleText() knows NO_COLOR, and looks whether standard output is a terminal.
    const paint = output.isTerminal ? styleText : (_: unknown, text: string): string => text;
    const report = format === 'json' ? doctorJson(diagnosis) : doctorText(diagnosis, { width, verbose, paint });
    await output.settle(output.write(report));
    if (failure !== undefined) throw failure;
    return doctorStatus(diagnosis);
  } finally {
    output.close();
  }
}
