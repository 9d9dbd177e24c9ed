import { resolve } from 'node:path';
import { Command } from 'commander';
import { parseCount } from '../src/cli/options.ts';
import { SkbdropError } from '../src/sys/errors.ts';
import { accelerator } from './accel.ts';
import { type Arch, hostArch } from './config.ts';
import { imagePath, openKernel } from './kernel.ts';
import { boot, type Outcome, whyNoEnd } from './machine.ts';
import { runProgram } from './program.ts';
import { staticBusybox } from './rootfs.ts';
import { quoted } from './shell.ts';

const separator = process.argv.indexOf('--');
const ownWords = separator < 0 ? process.argv : process.argv.slice(0, separator);
const commandWords = separator < 0 ? [] : process.argv.slice(separator + 1);

const HOUR = 3600;
const DAY = 24 * HOUR;
/** Where the user is: npm itself goes to the project's root. */
const HERE = process.env.INIT_CWD ?? process.cwd();

interface Words {
  readonly shell?: boolean;
  readonly cpus: string;
  readonly memory: string;
  readonly timeout?: string;
  readonly append?: string;
}

await runProgram(
  new Command('npm run vm --')
    .description(
      'Boots a kernel in QEMU, on a copy of this root that forgets what is written, and runs a command in it.',
    )
    .usage('<kernel> [options] [-- command args...]')
    .argument('<kernel>', 'a series that Debian has (5.10, 6.1, 6.12, 7.2), or the path of an image')
    .option('--shell', 'a shell instead of a command')
    .option('--cpus <n>', 'processors', '2')
    .option('--memory <size>', 'memory, as QEMU takes it', '4G')
    .option('--timeout <seconds>', 'end the machine after so long (default: 3600, for a shell a day)')
    .option('--append <words>', 'more words for the kernel, such as lockdown=integrity')
    .action(async (kernelWord: string, words: Words) => {
      process.exitCode = await run(kernelWord, words);
    }),
  ownWords,
);

async function run(kernelWord: string, words: Words): Promise<number> {
  if (!words.shell && commandWords.length === 0) {
    throw new SkbdropError('usage', 'there is nothing to run', {
      hint: 'A command goes behind --; or ask for --shell',
    });
  }
  if (words.shell && !(process.stdin.isTTY && process.stdout.isTTY))
    throw new SkbdropError('usage', 'a shell needs a terminal');
  const arch = hostArch();
  if (arch === undefined) throw new SkbdropError('unsupported', `there are no machines for ${process.arch} here`);
  const outcome = await runHere(kernelWord, arch, words);
  return report(outcome);
}

async function runHere(kernelWord: string, arch: Arch, words: Words): Promise<Outcome> {
  const kernel = openKernel(kernelWord.includes('/') ? resolve(HERE, kernelWord) : imagePath(kernelWord, arch), arch);
  const busybox = staticBusybox(arch);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stop.abort());
  const seconds = words.timeout === undefined ? (words.shell ? DAY : HOUR) : parseCount(words.timeout, '--timeout');
  return boot({
    kernel,
    accelerator: await accelerator(arch, kernel, busybox),
    busybox,
    cpus: parseCount(words.cpus, '--cpus'),
    memory: words.memory,
    kernelArgs: words.append,
    script: inThisPlace(words.shell ? ['bash', '-i'] : commandWords),
    seconds,
    onOutput: (text) => process.stdout.write(text),
    signal: stop.signal,
    ...(words.shell ? { terminal: { columns: process.stdout.columns, rows: process.stdout.rows } } : {}),
  });
}

/** The command, as it would run here: same directory, same environment. */
function inThisPlace(command: readonly string[]): string {
  const variables = Object.entries(process.env)
    .filter(([name]) => /^[A-Za-z_]\w*$/.test(name))
    .map(([name, value]) => `export ${name}=${quoted(value!)}\n`);
  return `${variables.join('')}cd ${quoted(HERE)} || exit 1\n${command.map(quoted).join(' ')}\n`;
}

function report(outcome: Outcome): number {
  if (outcome.end.kind === 'exited') return outcome.end.status;
  const lines = outcome.tail.map((line) => `  | ${line}\n`).join('');
  process.stderr.write(`vm: ${whyNoEnd(outcome)}. The last it printed:\n${lines}`);
  return 1;
}
