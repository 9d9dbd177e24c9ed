#!/usr/bin/env node
import { Command, CommanderError, Option } from 'commander';
import { SkbdropError } from '../sys/errors.ts';
import { version } from '../version.ts';
import type { DoctorOptions } from './commands/doctor.ts';
import {
  describeError,
  exitFromTerminal,
  exitStatus,
  noteTerminals,
  Status,
  toStandardError,
  toStandardOutput,
} from './exit.ts';
import {
  attachChoices,
  type CommonOptions,
  commonOptions,
  formats,
  parseCount,
  parseSize,
  type RawOptions,
} from './options.ts';

/** The words before `--` are ours; those behind it are a command to run. */
const separator = process.argv.indexOf('--');
const ownWords = separator < 0 ? process.argv : process.argv.slice(0, separator);
const childWords = separator < 0 ? undefined : process.argv.slice(separator + 1);

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** The options that mean the same thing everywhere. */
function watching(command: Command): Command {
  return command
    .usage('[options] [-- command args...]')
    .option('-c, --cmd <command>', 'run this shell command once attached, trace until it ends, exit with its status')
    .option('-d, --duration <time>', 'stop after 500ms, 10s, 5m')
    .option('-n, --count <n>', 'stop after n drops')
    .option('-r, --reason <names>', 'keep these reasons only (globs, comma-separated, repeatable)', collect)
    .option('-R, --not-reason <names>', 'leave these reasons out', collect)
    .addOption(new Option('-f, --format <format>', 'how to print').choices(formats).default('text'))
    .addOption(new Option('--json', 'the same as -f json').implies({ format: 'json' }))
    .option('-o, --output <file>', 'write there instead of to standard output')
    .addOption(new Option('--attach <how>', 'how to attach').choices(attachChoices).default('auto'))
    .option('--btf <file>', 'BTF of this kernel, raw or in an ELF file, instead of /sys/kernel/btf')
    .option('--ready-file <file>', 'create this file once attached')
    .option('--fail-on-loss', 'exit with 4 if any drop was lost')
    .option('-v, --verbose', 'more about how it works and what went wrong')
    .option('-q, --quiet', 'no messages on standard error but errors')
    .allowExcessArguments(true);
}

/** Runs a command of the watching kind; its code is loaded only then. */
function action<O extends RawOptions>(
  start: (common: CommonOptions, own: O) => Promise<number>,
): (options: O, command: Command) => Promise<void> {
  return async (options, command) => {
    const [word] = command.args;
    if (word !== undefined) throw unknownWord(word, command);
    await noteTerminals();
    process.exitCode = await start(commonOptions(options, childWords), options);
  };
}

/** Only the default command is reached without being named, so a word it does not take is a command we do not have. */
function unknownWord(word: string, command: Command): SkbdropError {
  const commands = (command.parent?.commands ?? []).map((each) => each.name());
  const named = ownWords.includes(command.name());
  return new SkbdropError(
    'usage',
    `${named ? `${command.name()} takes no argument` : 'there is no command'} "${word}"`,
    {
      hint: named ? 'A command to watch goes behind --' : `The commands are ${commands.join(', ')}`,
    },
  );
}

function build(): Command {
  const program = new Command('skbdrop')
    .description('Which packets the Linux kernel drops, where and why.')
    .version(version, '-V, --version')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: toStandardOutput,
      writeErr: toStandardError,
      outputError: (text, write) => write(text.replace(/^error: /, 'skbdrop: ').replace(/^\(/m, '         (')),
    });

  watching(program.command('trace'))
    .description('print each drop as it happens')
    .option('--buffer-size <size>', 'buffer between kernel and skbdrop: 512k, 8M (default: 16M, less on small hosts)')
    .action(
      action(async (common, { bufferSize }: RawOptions & { bufferSize?: string }) => {
        const { trace } = await import('./commands/trace.ts');
        const bytes = bufferSize === undefined ? undefined : parseSize(bufferSize, '--buffer-size');
        return trace({ ...common, bufferSize: bytes });
      }),
    );
  watching(program.command('top', { isDefault: true }))
    .description('counts by reason, refreshed every interval (1s); what skbdrop alone does')
    .option('-i, --interval <time>', 'how often to report (default: 1s)')
    .action(action(async (common) => (await import('./commands/top.ts')).top(common)));
  watching(program.command('hist'))
    .description('histogram of the lengths of dropped packets')
    .addOption(new Option('--by <what>', 'one histogram for each').choices(['reason']))
    .option('-i, --interval <time>', 'report every so often, not only at the end')
    .action(
      action(async (common, { by }: RawOptions & { by?: 'reason' }) =>
        (await import('./commands/hist.ts')).hist({ ...common, by }),
      ),
    );
  watching(program.command('stacks'))
    .description("kernel stacks that drop packets without a reason, counted; -r '*' for all")
    .option('-i, --interval <time>', 'report every so often, not only at the end')
    .action(action(async (common) => (await import('./commands/stacks.ts')).stacks(common)));
  program
    .command('demo')
    .description('provoke known drops in a private network namespace')
    .option('-l, --list', 'what can be provoked, and how')
    .option('-r, --reason <names>', 'these reasons only (globs, comma-separated, repeatable)', collect)
    .option('-n, --count <n>', 'so many drops of each, then end; else round and round')
    .option('--rate <n>', 'drops a second (default: 20; with --count as fast as possible)')
    .allowExcessArguments(true)
    .addOption(new Option('-f, --format <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addOption(new Option('--json', 'the same as -f json').implies({ format: 'json' }))
    .option('-v, --verbose', 'more about what went wrong')
    .action(demo);
  program
    .command('doctor')
    .description('what works on this host, what does not, and how to put it right')
    .allowExcessArguments(true)
    .addOption(new Option('-f, --format <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addOption(new Option('--json', 'the same as -f json').implies({ format: 'json' }))
    .option('-o, --output <file>', 'write there instead of to standard output')
    .option('--btf <file>', 'BTF of this kernel, raw or in an ELF file, instead of /sys/kernel/btf')
    .option('-v, --verbose', 'more about what was found and what went wrong')
    .addHelpText('after', '\nEnds with 0 where trace, top, hist and stacks work, else with 3.')
    .action(async (options: DoctorOptions, command: Command) => {
      const [word] = command.args;
      if (word !== undefined) throw unknownWord(word, command);
      if (childWords !== undefined) throw new SkbdropError('usage', 'doctor runs no command');
      process.exitCode = await (await import('./commands/doctor.ts')).doctor(options);
    });
  return program;
}

interface DemoWords {
  readonly list?: boolean;
  readonly reason?: readonly string[];
  readonly count?: string;
  readonly rate?: string;
  readonly format?: 'text' | 'json';
}

async function demo({ count, rate, ...options }: DemoWords, command: Command): Promise<void> {
  const [word] = command.args;
  if (word !== undefined) throw unknownWord(word, command);
  if (childWords !== undefined) throw new SkbdropError('usage', 'demo runs no command: it is one to be run');
  await noteTerminals();
  const [{ runDemo }, { openOutput }] = await Promise.all([import('./commands/demo.ts'), import('./output.ts')]);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stop.abort());
  const output = openOutput(undefined);
  let failure: unknown;
  output.ended.then((end) => {
    if (end.kind === 'failed') failure = end.error;
    stop.abort();
  });
  await runDemo(
    {
      ...options,
      count: count === undefined ? undefined : parseCount(count, '--count'),
      rate: rate === undefined ? undefined : parseCount(rate, '--rate'),
    },
    output,
    stop.signal,
  );
  output.close();
  if (failure !== undefined) throw failure;
}

async function main(): Promise<void> {
  const verbose = ownWords.some((word) => word === '-v' || word === '--verbose');
  try {
    await build().parseAsync(ownWords);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version are answers, not faults; everything else commander has already told.
      process.exitCode = error.exitCode === 0 ? Status.ok : Status.usage;
    } else {
      toStandardError(describeError(error, verbose));
      process.exitCode = exitStatus(error);
    }
  }
}

// Not by running dry: a reader that never reads would keep its pipe, and with it this process, open for ever. And not
// with an await out here, which the one file, a CommonJS module, cannot have.
main().then(() => exitFromTerminal(process.exitCode));
