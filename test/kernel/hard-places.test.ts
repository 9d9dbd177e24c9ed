import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appears, copyForOthers, demo, type Ended, Running, run, Scratch, skbdrop, until } from '../helpers/cli.ts';
import { needRoot, needTool } from '../helpers/need.ts';

/** Where a program must not fail badly: bad words, no rights, nothing to read, nobody to write to. */
const isRoot = needRoot();
const scratch = new Scratch();
const PROVOKE = demo(['IP_CSUM'], 5);

let copy: readonly string[];
beforeAll(() => {
  copy = copyForOthers(scratch);
});
afterAll(() => scratch.remove());

/** One sentence, and what to do; never a stack trace. */
function expectSentence({ stderr, stdout }: Ended, text: string | RegExp): void {
  expect(stderr).toMatch(/^skbdrop: /);
  expect(stderr).toMatch(text);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stdout).toBe('');
}

describe('wrong words end with 2', () => {
  test.each<[string[], RegExp]>([
    [['top', '-r', 'NOSOCKET'], /no drop reason "NOSOCKET"\n {9}Did you mean NO_SOCKET/],
    [['trace', '-R', 'IP_CSUMM'], /Did you mean IP_CSUM/],
    [['stacks', '-r', 'FOO_*'], /no drop reason "FOO_\*"/],
    [['bogus'], /there is no command "bogus"/],
    [['trace', 'word'], /takes no argument "word"/],
    [['top', '--bogus'], /unknown option '--bogus'/],
    [['top', '-d', '5x'], /--duration "5x" is not a time/],
    [['hist', '-n', '0'], /--count "0" is not a whole number/],
    [['top', '-f', 'xml'], /Allowed choices are text, json, bpftrace/],
    [['top', '--attach', 'kprobe'], /Allowed choices are auto, tp_btf, raw_tp, tracepoint/],
    [['top', '-c', 'true', '--', 'true'], /a command was given twice/],
    [['trace', '--buffer-size', '1T'], /--buffer-size "1T" is not a size/],
    [['top', '--btf', '/etc/passwd'], /neither BTF nor an ELF file/],
    [['top', '--btf', '/nonexistent'], /cannot read the BTF file \/nonexistent/],
    [['top', '--btf', process.execPath], /no section \.BTF/],
    [['demo', '-r', 'NOPE', '-n', '1'], /NOPE/],
    [['demo', '-n', 'x'], /--count "x" is not a whole number/],
    [['demo', 'word'], /demo takes no argument "word"/],
    [['demo', '-n', '1', '--', 'true'], /demo runs no command/],
    [['top', '-r', ''], /--reason "" names no reason/],
    [['top', '-r', 'IP_CSUM', '-R', ' , '], /--not-reason " , " names no reason/],
    [['trace', '-i', '1s'], /unknown option '-i'/],
  ])('%j', async (words, text) => {
    const ended = await run([...skbdrop, ...words]);
    expectSentence(ended, text);
    expect(ended.status).toBe(2);
  });

  test('a damaged BTF file says where', async () => {
    const file = scratch.file('damaged.btf');
    // A header whose string section begins beyond the file (include/uapi/linux/btf.h).
    writeFileSync(file, Buffer.from('9feb0100180000000000000000ffffff0000ff0010000000', 'hex'));
    const ended = await run([...skbdrop, 'top', '--btf', file]);
    expectSentence(ended, /the BTF in .* is damaged/);
    expect(ended.status).toBe(2);
  });
});

describe.skipIf(!isRoot)('without rights it ends with 3 and says which are missing', () => {
  const setpriv = (...words: string[]): string[] => ['setpriv', ...words];
  const nobody = setpriv('--reuid=65534', '--regid=65534', '--clear-groups');

  test.each(['trace', 'top', 'hist', 'stacks'])('%s as nobody', async (command) => {
    const ended = await run([...nobody, ...copy, command]);
    expectSentence(ended, /the kernel wants CAP_BPF and CAP_PERFMON, this process has none of them/);
    expect(ended.status).toBe(3);
  });

  test('demo as nobody', async () => {
    const ended = await run([...nobody, ...copy, 'demo', '-n', '1']);
    expectSentence(ended, /CAP_SYS_ADMIN/);
    expect(ended.status).toBe(3);
  });

  test('with CAP_BPF alone', async () => {
    const ended = await run([...setpriv('--bounding-set=-all,+bpf', '--inh-caps=-all'), ...copy, 'top']);
    expectSentence(ended, /the kernel wants CAP_PERFMON, this process has CAP_BPF only/);
    expect(ended.status).toBe(3);
  });

  test('CAP_BPF and CAP_PERFMON are enough, and functions without names are said to be so', async () => {
    const caps = setpriv('--bounding-set=-all,+bpf,+perfmon', '--inh-caps=-all');
    const ready = scratch.file('ready-caps');
    const watch = new Running([...caps, ...copy, 'trace', '-r', 'IP_CSUM', '-n', '5', '--ready-file', ready]);
    await appears(ready);
    await run(PROVOKE);
    const ended = await watch.ended;
    expect(ended.status).toBe(0);
    expect(ended.stderr).toContain('the kernel hides its addresses from this process');
    expect(ended.stdout.trim().split('\n')).toHaveLength(5);
    expect(ended.stdout).toMatch(/ 0x[0-9a-f]{16}$/m);
  });

  test('the tracepoint way without CAP_SYS_ADMIN, where tracefs is not mounted', async () => {
    const caps = setpriv('--bounding-set=-all,+bpf,+perfmon', '--inh-caps=-all');
    const hide = [
      'unshare',
      '-m',
      'sh',
      '-c',
      'umount -l /sys/kernel/tracing /sys/kernel/debug 2>/dev/null; exec "$@"',
    ];
    const ended = await run([...hide, 'sh', ...caps, ...copy, 'top', '--attach', 'tracepoint']);
    expectSentence(ended, /cannot read tracefs, which is not mounted: the kernel wants CAP_SYS_ADMIN/);
    expect(ended.status).toBe(3);
  });
});

describe.skipIf(!isRoot)('without BTF', () => {
  const hideBtf = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', 'sh'];

  test('top counts by the names that tracefs has', async () => {
    const ended = await run([...hideBtf, ...skbdrop, 'top', '-f', 'json', '-r', 'IP_CSUM', '--', ...PROVOKE]);
    expect(ended.stderr).toContain('attached kfree_skb (raw_tp)');
    expect(ended.stdout).toContain('"counts":[{"reason":"SKB_DROP_REASON_IP_CSUM","count":5');
    expect(ended.status).toBe(0);
  });

  test('trace says which columns are missing', async () => {
    const ended = await run([...hideBtf, ...skbdrop, 'trace', '-r', 'IP_CSUM', '--', ...PROVOKE]);
    expect(ended.stderr).toContain('no length, protocol, interface: without BTF nothing says where they stand');
    expect(ended.stdout).toMatch(/IP_CSUM +- - +- +ip_rcv_core\+0x/);
    expect(ended.status).toBe(0);
  });

  test('hist cannot, and says why', async () => {
    const ended = await run([...hideBtf, ...skbdrop, 'hist']);
    expectSentence(ended, /no BTF, which says where the length stands in struct sk_buff/);
    expect(ended.status).toBe(3);
  });

  test('hist can with --btf', async () => {
    const file = scratch.file('vmlinux.btf');
    cpSync('/sys/kernel/btf/vmlinux', file);
    const words = ['hist', '--btf', file, '-r', 'IP_CSUM', '-f', 'json'];
    const ended = await run([...hideBtf, ...skbdrop, ...words, '--', ...PROVOKE]);
    expect(ended.stdout).toContain('"buckets":[{"low":32,"high":64,"count":5}]');
    expect(ended.status).toBe(0);
  });
});

describe.skipIf(!isRoot)('every way to end ends it', () => {
  test.each([
    ['SIGINT', 'top'],
    ['SIGTERM', 'hist'],
    ['SIGHUP', 'stacks'],
    ['SIGTERM', 'trace'],
  ] as const)('%s ends %s: the last report, the books, 0', async (signal, command) => {
    const ready = scratch.file(`ready-${signal}`);
    const watch = new Running([...skbdrop, command, '-r', 'IP_CSUM', '--ready-file', ready]);
    await appears(ready);
    await run(PROVOKE);
    const ended = await watch.kill(signal);
    expect(ended.stdout).toMatch(
      { top: /^IP_CSUM +5 /m, hist: / 5 +100\.0%/, stacks: /^5 × /m, trace: / IP_CSUM /m }[command],
    );
    expect(ended.stderr).toMatch(/5 (?:counted|printed), 0 lost/);
    expect(ended.status).toBe(0);
    expect(existsSync(ready)).toBe(false);
  });

  test('a duration', async () => {
    const ended = await run([...skbdrop, 'trace', '-d', '200ms']);
    expect(ended.status).toBe(0);
    expect(ended.stderr).toContain('0 lost');
  });

  test('a closed pipe', async () => {
    const script = '("$@" & echo $! >"$pid"; wait $!; echo "status $?" >&2) | head -n 1';
    const pid = scratch.file('pid');
    const ready = scratch.file('ready-pipe');
    const command = [...skbdrop, 'trace', '-r', 'IP_CSUM', '--ready-file', ready];
    const pipeline = new Running(['sh', '-c', script, 'sh', ...command], { env: { ...process.env, pid } });
    await appears(ready);
    // The first drops let head end; those after it find nobody there.
    let gone = false;
    pipeline.ended.then(() => {
      gone = true;
    });
    while (!gone) await run(PROVOKE);
    const ended = await pipeline.ended;
    expect(ended.stdout.trim().split('\n')).toHaveLength(1);
    expect(ended.stderr).toContain('the reader of the output went away');
    expect(ended.stderr).toMatch(/\d+ drops seen, .*\d+ printed, \d+ lost/);
    expect(ended.stderr).toContain('status 0');
  });

  /** Drops into a pipe whose other end is `reader`; what the reader made of them, and the books. */
  async function pipeTo(reader: string, words: readonly string[], count: number) {
    const got = scratch.file('got');
    const books = scratch.file('books');
    const script = `("$@" 2>${books}) | ${reader} >${got}`;
    const provoke = demo(['UNHANDLED_PROTO'], count).join(' ');
    const command = [...skbdrop, 'trace', '-r', 'UNHANDLED_PROTO', ...words, '-c', `${provoke} >/dev/null`];
    await run(['sh', '-c', script, 'sh', ...command]);
    const text = readFileSync(books, 'latin1');
    const [, printed = '', lost = ''] = /([\d,]+) printed, ([\d,]+) lost/.exec(text) ?? [];
    const number = (digits: string): number => Number(digits.replaceAll(',', ''));
    return { got: readFileSync(got, 'latin1'), printed: number(printed), lost: number(lost) };
  }

  test('a reader that stops reading is given up, and the books say what it has', async () => {
    // It reads nothing until skbdrop has gone, then counts the lines that it was left.
    const { got, printed, lost } = await pipeTo('(sleep 6; wc -l)', [], 20_000);
    expect(printed + lost).toBe(20_000);
    expect(lost).toBeGreaterThan(0);
    expect(Number(got)).toBe(printed);
  });

  test('a slow reader that keeps reading gets everything', async () => {
    const piece = scratch.file('piece');
    const slow = `sh -c 'while dd bs=16000 count=1 2>/dev/null >${piece}; [ -s ${piece} ]; do cat ${piece}; sleep 0.05; done'`;
    const { got, printed, lost } = await pipeTo(slow, [], 20_000);
    expect([printed, lost]).toEqual([20_000, 0]);
    expect(got.split('\n').filter((line) => line.includes(' UNHANDLED_PROTO '))).toHaveLength(20_000);
  });

  test('an output that is a pipe with a name holds up nothing either', async () => {
    const fifo = scratch.file('fifo');
    const script = `mkfifo ${fifo}; sleep 8 <${fifo} & exec "$@"`;
    const provoke = `${demo(['UNHANDLED_PROTO'], 20_000).join(' ')} >/dev/null`;
    const words = [...skbdrop, 'trace', '-r', 'UNHANDLED_PROTO', '-o', fifo, '-c', provoke];
    const ended = await run(['sh', '-c', script, 'sh', ...words]);
    expect(ended.stderr).toMatch(/20,000 drops seen, [\d,]+ printed, [\d,]+ lost/);
    expect(ended.status).toBe(0);
  });

  test('a full disk', async () => {
    const ended = await run([...skbdrop, 'trace', '-r', 'IP_CSUM', '-o', '/dev/full', '--', ...PROVOKE]);
    expect(ended.stderr).toContain('cannot write to /dev/full: ENOSPC');
    expect(ended.stderr).toMatch(/0 printed, 5 lost \(the output did not take them: 5\)/);
    expect(ended.status).toBe(1);
  });

  test('an output file that cannot be', async () => {
    const ended = await run([...skbdrop, 'trace', '-o', '/nonexistent/file']);
    expectSentence(ended, /cannot write to \/nonexistent\/file/);
    expect(ended.status).toBe(1);
  });

  test.each<[string, string[], number]>([
    ['a child that is not there', ['--', '/nonexistent'], 127],
    ['a child that is no program', ['--', '/etc/passwd'], 126],
    ['a child with a status', ['-c', 'exit 7'], 7],
    ['a child that is killed', ['-c', 'kill -9 $$'], 137],
    ['a child that is done', ['--', 'true'], 0],
  ])('%s', async (_, words, status) => {
    const ended = await run([...skbdrop, 'top', '-q', ...words]);
    expect(ended.status).toBe(status);
    expect(ended.stderr.trim().split('\n').filter(Boolean)).toHaveLength(status === 126 || status === 127 ? 1 : 0);
  });

  test('what a shell has started ends with it', async () => {
    const pid = scratch.file('grandchild');
    const ended = await run([...skbdrop, 'top', '-q', '-d', '500ms', '-c', `sleep 77 & echo $! > ${pid}; wait; true`]);
    expect(ended.status).toBe(0);
    const grandchild = Number(readFileSync(pid, 'latin1'));
    await until('it has ended', () => !existsSync(`/proc/${grandchild}`));
  });

  test('a file that is not ours is never removed', async () => {
    const victim = scratch.file('victim');
    writeFileSync(victim, 'precious');
    await run([...skbdrop, 'trace', '-o', '/nonexistent/x', '--ready-file', victim]);
    expect(readFileSync(victim, 'latin1')).toBe('precious');
    const ended = await run([...skbdrop, 'top', '--ready-file', '/dev/null', '-d', '100ms']);
    expectSentence(ended, /cannot create the ready file \/dev\/null: there is something else by that name/);
    expect(ended.status).toBe(1);
    expect(existsSync('/dev/null')).toBe(true);
  });

  test('a second signal ends it at once, the child and the ready file too', async () => {
    const ready = scratch.file('ready-second');
    const pid = scratch.file('stubborn');
    const child = `echo $$ >${pid}; trap "" TERM INT; while :; do sleep 1; done`;
    const watch = new Running([...skbdrop, 'top', '-q', '--ready-file', ready, '-c', child]);
    await appears(pid);
    watch.process.kill('SIGINT');
    await until('it waits for its child', () => existsSync(ready));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const ended = await watch.kill('SIGTERM');
    expect(ended.status ?? ended.signal).toBe(143);
    const stubborn = Number(readFileSync(pid, 'latin1'));
    await until('the child has ended', () => !existsSync(`/proc/${stubborn}`));
    expect(existsSync(ready)).toBe(false);
  });

  test('a demo that cannot write', async () => {
    const ended = await run(['sh', '-c', 'exec "$@" >/dev/full', 'sh', ...PROVOKE]);
    expectSentence(ended, /cannot write to standard output: ENOSPC/);
    expect(ended.status).toBe(1);
  });

  test.each(['--help', '--version'])('%s that cannot be written, and one that nobody reads', async (word) => {
    const full = await run(['sh', '-c', 'exec "$@" >/dev/full', 'sh', ...skbdrop, word]);
    expectSentence(full, /cannot write to standard output: ENOSPC/);
    expect(full.status).toBe(1);
    const script = '{ sleep 1; "$@"; echo "status $?" >&2; } | true';
    const unread = await run(['sh', '-c', script, 'sh', ...skbdrop, word]);
    expect(unread.stderr).toBe('status 0\n');
  });

  test('no room for locked memory is no error on kernels that do not need it', async () => {
    const ended = await run(['sh', '-c', 'ulimit -l 0 && exec "$@"', 'sh', ...skbdrop, 'top', '--', 'true']);
    expect(ended.status).toBe(0);
  });

  test('no program is left in the kernel', async ({ skip }) => {
    const bpftool = needTool('bpftool');
    if (bpftool === undefined) return skip('bpftool is not installed');
    const ids = async (): Promise<string[]> => {
      const { stdout } = await run([bpftool, 'prog', 'list']);
      return [...stdout.matchAll(/^(\d+): .* name skbdrop_/gm)].map((match) => match[1]!);
    };
    const before = await ids();
    const ready = scratch.file('ready-left');
    const watch = new Running([...skbdrop, 'trace', '--ready-file', ready]);
    await appears(ready);
    const during = (await ids()).filter((id) => !before.includes(id));
    await watch.kill('SIGTERM');
    expect(during).toHaveLength(1);
    await until('the kernel has let go of it', async () => !(await ids()).includes(during[0]!));
  });
});

describe.skipIf(!isRoot)('on a terminal', () => {
  /** `script` gives it a terminal of its own. */
  const onTerminal = (words: readonly string[]): string[] => [
    ...['script', '-qefc', words.map((word) => `'${word}'`).join(' '), '/dev/null'],
  ];

  test('top redraws in place, and gives the cursor back', async ({ skip }) => {
    if (needTool('script') === undefined) return skip('script (bsdutils) is not installed');
    const words = [...skbdrop, 'top', '-r', 'IP_CSUM', '-i', '100ms', '-c', `${PROVOKE.join(' ')} >/dev/null; sleep 1`];
    const { stdout, status } = await run(onTerminal(words));
    expect(status).toBe(0);
    expect(stdout.split('\x1b[2J')).toHaveLength(2);
    expect(stdout.split('\x1b[H').length).toBeGreaterThan(5);
    expect(stdout).toContain('\x1b[?25l');
    expect(stdout.lastIndexOf('\x1b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\x1b[?25l'));
    expect(stdout).toMatch(/IP_CSUM +5 /);
  });

  test('a terminal that goes away ends it', async ({ skip }) => {
    if (needTool('script') === undefined) return skip('script (bsdutils) is not installed');
    const ready = scratch.file('ready-terminal');
    const told = scratch.file('told');
    // The shell lives on, and writes down what skbdrop says and how it ends.
    const shell = `trap "" HUP; ${[...skbdrop, 'top', '--ready-file', ready].join(' ')} 2>${told}; echo status $? >>${told}`;
    const terminal = new Running(['script', '-qefc', shell, '/dev/null']);
    await appears(ready);
    await terminal.kill('SIGKILL');
    await until('it has ended', () => /^status/m.test(readFileSync(told, 'latin1')));
    expect(readFileSync(told, 'latin1')).toMatch(/drops? seen, .* 0 lost\nstatus 0\n$/);
    expect(existsSync(ready)).toBe(false);
  });
});
