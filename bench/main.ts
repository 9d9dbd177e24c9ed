import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cost } from './cost.ts';
import { start } from './start.ts';
import { median, table } from './table.ts';

/**
 * `npm run bench [-- --rounds 7 --only cost,start --json]`: skbdrop beside bpftrace and beside the floor, in
 * interleaved rounds of one run. Wants root, bpftool, and the bpftraces to compare with.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    only: { type: 'string', default: 'cost,start' },
    json: { type: 'boolean', default: false },
  },
});

const benches = { cost, start } as const;

function bpftraces(): Map<string, string> {
  const newest = fileURLToPath(new URL('../../.cache/bpftrace/run', import.meta.url));
  const found = new Map<string, string>();
  for (const command of ['bpftrace', ...(existsSync(newest) ? [newest] : [])]) {
    try {
      found.set(execFileSync(command, ['--version'], { encoding: 'latin1' }).trim().replace('bpftrace v', ''), command);
    } catch {
      process.stderr.write(`${command} is not here; nothing is compared with it\n`);
    }
  }
  return found;
}

const cells = [];
for (const name of values.only.split(',')) {
  const bench = benches[name as keyof typeof benches];
  if (bench === undefined) throw new RangeError(`there is no bench ${name}; there are ${Object.keys(benches)}`);
  cells.push(...(await bench(Number(values.rounds), bpftraces())));
}
if (values.json) {
  const rows = cells.map((cell) => ({ ...cell, median: median(cell.values) }));
  process.stdout.write(`${JSON.stringify({ kernel: release(), node: process.version, rows })}\n`);
} else {
  const [cpu] = cpus();
  process.stdout.write(
    `${cpus().length} x ${cpu?.model}, Linux ${release()}, Node ${process.version}\n${table(cells)}`,
  );
}
process.exit();
