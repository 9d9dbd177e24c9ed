import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nodeVersion } from '../src/binary/ingredients.ts';
import type { Cell } from './table.ts';

const MAIN = fileURLToPath(new URL('../bin/skbdrop.js', import.meta.url));

/** The one file, and the Node that is in it; there once `npm run build:binary` has made them. */
const BINARY = fileURLToPath(new URL(`../skbdrop-linux-${process.arch}`, import.meta.url));
const ITS_NODE = fileURLToPath(new URL(`../../.cache/node/${nodeVersion}-${process.arch}/bin/node`, import.meta.url));

const COUNT = 'tracepoint:skb:kfree_skb { @[args->reason] = count(); }';
/** bpftrace lets this go once it is attached; the moment its output arrives is the moment. */
const CHILD = '/bin/echo attached';

const oneFile: readonly [string, readonly string[]][] = [
  ['one file top', [BINARY, 'top', '-d', '1ms']],
  [`node ${nodeVersion} -e 0`, [ITS_NODE, '-e', 'console.log("attached")']],
];

/** From exec to attached, with counts by reason. */
export async function start(rounds: number, bpftraces: ReadonlyMap<string, string>): Promise<Cell[]> {
  const candidates: [string, readonly string[]][] = [
    // bpftrace has forked its child before it attaches; we say so on standard error at that same moment.
    ['skbdrop top', [process.execPath, MAIN, 'top', '-d', '1ms']],
    [`node ${process.versions.node} -e 0`, [process.execPath, '-e', 'console.log("attached")']],
    ...(existsSync(BINARY) ? oneFile : []),
    ...[...bpftraces].map(([version, command]): [string, readonly string[]] => [
      `bpftrace ${version}`,
      [command, '-e', COUNT, '-c', CHILD],
    ]),
  ];
  const times = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, words] of candidates) times.set(name, [...(times.get(name) ?? []), await timeToAttached(words)]);
  }
  const slowest = Math.max(...[...times.values()].map((values) => Math.min(...values)));
  return [...times].map(([name, values]) => ({
    name: `start, ${name}`,
    unit: 'ms',
    values,
    against: { name: 'slowest', value: slowest },
  }));
}

async function timeToAttached(words: readonly string[]): Promise<number> {
  // The same wrapper for all: bpftrace needs tracefs, and mounting it costs what it costs.
  const script = 'mount -t tracefs tracefs /sys/kernel/tracing && echo ready && read go && exec "$@" 2>&1';
  const process = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', ...words], { stdio: ['pipe', 'pipe', 'ignore'] });
  let text = '';
  const seen = (mark: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!text.includes(mark)) return;
        process.stdout.off('data', look);
        resolve();
      };
      process.stdout.on('data', look);
      process.once('exit', () => reject(new Error(`${words.join(' ')} ended before it was attached`)));
      look();
    });
  process.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = once(process, 'exit');
  await seen('ready');
  const begun = performance.now();
  process.stdin.end('go\n');
  await seen('attached');
  const attached = performance.now();
  process.kill('SIGINT');
  await ended;
  return attached - begun;
}
