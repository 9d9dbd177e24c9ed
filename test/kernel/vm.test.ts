import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Ended, Running, until } from '../helpers/cli.ts';
import { needRoot, needTool } from '../helpers/need.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const VM = [process.execPath, `${project}dist/vm/main.js`];
const TOOLS = ['qemu-system-x86_64', 'depmod', 'setpriv', 'xz', 'flock', 'apt-get', 'dpkg-deb'];
const here = needRoot() && process.arch === 'x64' && TOOLS.every((tool) => needTool(tool) !== undefined);

/** What is there of a runner's machines: files, and processes that name them. Both carry the runner's number. */
function traces(runner: number): string[] {
  const mark = `skbdrop-vm-${runner}-`;
  const files = [tmpdir(), '/run/virtiofsd'].flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).filter((name) => name.includes(mark)) : [],
  );
  return [...files, ...machines(mark)];
}

function machines(mark: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(mark);
    } catch {
      return false;
    }
  });
}

function start(...words: readonly string[]): Running {
  const { INIT_CWD: _, ...env } = process.env;
  return new Running([...VM, ...words], { limitMs: 300_000, env });
}

/** Runs it to its end, which leaves nothing behind. */
async function vm(...words: readonly string[]): Promise<Ended> {
  const running = start(...words);
  const ended = await running.ended;
  expect(traces(running.process.pid!)).toEqual([]);
  return ended;
}

describe.skipIf(!here)('npm run vm', { timeout: 300_000 }, () => {
  test("the command's output and status are the machine's, and what it writes is gone", async () => {
    const file = `${project}written-in-the-machine`;
    const script = `uname -r; pwd; echo "$1"; echo oops >&2; touch ${file}; ls ${file}; printf 'no end'; exit 7`;
    const { stdout, status } = await vm('6.12', '--', 'sh', '-c', script, 'sh', "it's $HOME");
    const [release, ...rest] = stdout.split('\n');
    expect(release).toMatch(/^6\.12\./);
    expect(rest).toEqual([process.cwd(), "it's $HOME", 'oops', file, 'no end']);
    expect(status).toBe(7);
    expect(existsSync(file)).toBe(false);
  });

  test('a panic is a failure, and is shown', async () => {
    const { stdout, stderr, status } = await vm('6.12', '--', 'sh', '-c', 'echo working; echo c > /proc/sysrq-trigger');
    expect(status).toBe(1);
    expect(stdout).toContain('working\n');
    expect(stderr).toMatch(/^vm: the machine went off without saying how its command ended/);
    expect(stderr).toContain('Kernel panic - not syncing: sysrq triggered crash');
  });

  test('a machine that hangs is ended', async () => {
    const { stderr, status } = await vm('6.12', '--timeout', '45', '--', 'sh', '-c', 'echo hanging; sleep 1000');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^vm: the machine did not come to an end within \d+ s\. The last it printed:\n/);
    expect(stderr).toContain('| hanging');
  });

  test('a machine that is switched off by its command has no status', async () => {
    const { stderr, status } = await vm('6.12', '--', 'sh', '-c', 'echo o > /proc/sysrq-trigger; sleep 100');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^vm: the machine went off without saying/);
  });

  test('the machine does not outlive a runner that is killed', async () => {
    const running = start('6.12', '--', 'sleep', '1000');
    const runner = running.process.pid!;
    const mark = `skbdrop-vm-${runner}-`;
    await until('there is a machine and its file server', () => machines(mark).length >= 2, 120_000);
    await running.kill('SIGKILL');
    await until('they have gone', () => machines(mark).length === 0);
    // The next boot removes its files, which nobody was there to remove.
    expect(traces(runner)).not.toEqual([]);
    expect((await vm('6.12', '--', 'true')).status).toBe(0);
    expect(traces(runner)).toEqual([]);
  });

  test.each([
    [['6.12'], /there is nothing to run/],
    [['6.13', '--', 'true'], /there is no known source of Linux 6\.13/],
    [['/nowhere/vmlinuz', '--', 'true'], /there is no kernel \/nowhere\/vmlinuz/],
    [['6.12', '--shell'], /a shell needs a terminal/],
  ])('%j is wrong usage, in a sentence', async (words, says) => {
    const { stderr, status } = await vm(...words);
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(status).toBe(2);
  });
});
