import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { parseCount } from '../src/cli/options.ts';
import { SkbdropError } from '../src/sys/errors.ts';
import { accelerator } from './accel.ts';
import { hostArch, readTargets, type Target } from './config.ts';
import { tree } from './cpio.ts';
import { type Kernel, openKernel } from './kernel.ts';
import { boot, whyNoEnd } from './machine.ts';
import { cache, project } from './paths.ts';
import { runProgram } from './program.ts';
import { buildRootfs, sliceOfThisRoot, staticBusybox } from './rootfs.ts';
import { quoted } from './shell.ts';
import { featureTables, withTables } from './tables.ts';
import { type Checks, parseTap } from './tap.ts';

interface Words {
  readonly config: string;
  readonly filter?: string;
  readonly jobs: string;
  readonly timeout: string;
  readonly list?: boolean;
  readonly readme?: string;
}

/** A machine after its run. */
interface Result {
  readonly target: Target;
  readonly release: string;
  readonly seconds: number;
  readonly checks: Checks;
  /** What went wrong, with the lines that show it; undefined where all is well. */
  readonly trouble: readonly string[] | undefined;
}

const README = join(project, 'README.md');
const LOGS = join(cache, 'logs');

await runProgram(
  new Command('npm run test:vm --')
    .description('Boots the machines of the matrix, runs the checks in each, and prints one table.')
    .option('-c, --config <file>', "a configuration file of vmtest's", join(project, 'vm/vmtest.toml'))
    .option('-f, --filter <regex>', 'only the machines whose names match')
    .option('-j, --jobs <n>', 'machines at a time', String(availableParallelism()))
    .option('--timeout <seconds>', 'end a machine after so long', '900')
    .option('-l, --list', 'the names of the machines')
    .addOption(
      new Option('--readme <what>', 'put what was seen into README.md, or compare').choices(['write', 'check']),
    )
    .action(async (words: Words) => {
      process.exitCode = await runMatrix(words);
    }),
  process.argv,
);

async function runMatrix(words: Words): Promise<number> {
  const jobs = parseCount(words.jobs, '--jobs');
  const seconds = parseCount(words.timeout, '--timeout');
  if (words.readme !== undefined && words.filter !== undefined) {
    throw new SkbdropError('usage', 'the tables in README.md are about all machines, not those that --filter leaves');
  }
  const filter = pattern(words.filter ?? '');
  const targets = readTargets(words.config).filter(({ name }) => filter.test(name));
  if (targets.length === 0) throw new SkbdropError('usage', `no machine has a name like ${words.filter}`);
  if (words.list) {
    process.stdout.write(targets.map(({ name }) => `${name}\n`).join(''));
    return 0;
  }
  rmSync(LOGS, { recursive: true, force: true });
  mkdirSync(LOGS, { recursive: true });
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stop.abort());

  // What machines share is made before any starts, so that no two make it at once.
  const kernels = new Map<Target, Kernel>();
  for (const target of targets) {
    const { arch, rootfs } = target;
    if (rootfs === '/' && arch !== hostArch()) {
      throw new SkbdropError('unsupported', `"${target.name}" wants this host's root, which is not for ${arch}`);
    }
    kernels.set(target, openKernel(target.kernel, arch));
    await accelerator(arch, kernels.get(target)!, staticBusybox(arch));
    if (rootfs !== '/') await buildRootfs(rootfs, arch);
  }
  const waiting = [...targets];
  const results = new Map<Target, Result>();
  const worker = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined && !stop.signal.aborted; target = waiting.shift()) {
      const result = await runTarget(target, kernels.get(target)!, seconds, stop.signal);
      results.set(target, result);
      process.stderr.write(`${row(result)}\n`);
      for (const line of result.trouble ?? []) process.stderr.write(`    ${line}\n`);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, worker));
  } catch (error) {
    // The other machines need not go on.
    stop.abort();
    throw error;
  }
  if (stop.signal.aborted) return 130;

  const all = targets.map((target) => results.get(target)!);
  process.stdout.write(`\n${all.map((result) => `${row(result)}\n`).join('')}`);
  const failed = all.filter(({ trouble }) => trouble !== undefined).length;
  for (const { target, checks } of all) {
    for (const { name, why } of checks.skipped)
      process.stdout.write(`not checked on ${target.name}: ${name}: ${why}\n`);
  }
  process.stdout.write(`${all.length - failed} passed, ${failed} failed\n`);
  if (failed > 0) return 1;
  return words.readme === undefined ? 0 : tellReadme(all, words.readme);
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new SkbdropError('usage', `--filter: ${(cause as Error).message}`, { cause });
  }
}

async function runTarget(target: Target, kernel: Kernel, seconds: number, signal: AbortSignal): Promise<Result> {
  const { name, arch, rootfs } = target;
  const busybox = staticBusybox(arch);
  let output = '';
  const outcome = await boot({
    ...target,
    kernel,
    busybox,
    accelerator: await accelerator(arch, kernel, busybox),
    root: rootfs === '/' ? sliceOfThisRoot() : tree(rootfs),
    script: script(target),
    seconds,
    onOutput: (text) => {
      output += text;
    },
    signal,
  });
  const checks = parseTap(output);
  const log = join(LOGS, `${name.replaceAll(/[^\w.-]+/g, '-')}.log`);
  writeFileSync(log, outcome.end.kind === 'exited' ? output : `${output}\n${outcome.tail.join('\n')}\n`);
  const why = whyNoEnd(outcome);
  let trouble: string[] | undefined;
  if (why !== undefined) {
    trouble = [why, ...outcome.tail.map((line) => `| ${line}`)];
  } else if (checks.failed.length > 0) {
    trouble = checks.failed.flatMap((check) => [`not ok: ${check.name}`, ...check.details]);
  } else if (outcome.end.kind === 'exited' && outcome.end.status !== 0) {
    trouble = [`its command ended with status ${outcome.end.status}`, ...outcome.tail.map((line) => `| ${line}`)];
  } else if (checks.passed === 0) {
    trouble = ['it checked nothing', ...outcome.tail.map((line) => `| ${line}`)];
  }
  return { target, release: kernel.release, seconds: outcome.seconds, checks, trouble };
}

/** vmtest gives a command on the host's root the host's environment; other roots know nothing of this host. */
function script({ rootfs, command }: Target): string {
  const { PATH = '', HOME = '/root' } = process.env;
  if (rootfs !== '/') return `cd /\n${command}\n`;
  return `export PATH=${quoted(PATH)} HOME=${quoted(HOME)}\ncd ${quoted(project)} || exit 1\n${command}\n`;
}

function row({ target, release, seconds, checks, trouble }: Result): string {
  const verdict = trouble === undefined ? 'ok    ' : 'FAILED';
  const count = `${checks.passed} of ${checks.passed + checks.failed.length} checks`;
  return `${verdict} ${target.name.padEnd(28)} ${release.padEnd(30)} ${count.padStart(16)} ${seconds.toFixed(0).padStart(5)} s`;
}

function tellReadme(all: readonly Result[], what: string): number {
  const tables = featureTables(all.map(({ target, checks }) => ({ name: target.name, features: checks.features })));
  const readme = readFileSync(README, 'utf8');
  const told = withTables(readme, tables);
  if (told === undefined) throw new SkbdropError('usage', 'README.md has no place for the tables of features');
  if (told === readme) return 0;
  if (what === 'write') {
    writeFileSync(README, told);
    return 0;
  }
  process.stderr.write(`README.md says otherwise than the machines. What they say:\n\n${tables}`);
  return 1;
}
