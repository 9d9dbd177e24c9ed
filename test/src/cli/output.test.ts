import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Output, openOutput } from '../../../src/cli/output.ts';
import { Screen } from '../../../src/cli/screen.ts';
import { SkbdropError } from '../../../src/sys/errors.ts';
import { Fd } from '../../../src/sys/fd.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { thrown } from '../../asm/helpers.ts';
import { FakeNative, realFd } from '../../helpers/fake-native.ts';
import { noLeaks } from '../../helpers/fd-leaks.ts';
import { withFolder } from '../../helpers/files.ts';

type Step = number | string;

/** An output whose kernel takes so many bytes at each call, or refuses with that errno; then all it is given. */
function taking(...steps: readonly Step[]): { output: Output; sent: () => string } {
  const chunks: Buffer[] = [];
  let n = 0;
  const send = (_: number, bytes: Buffer): number => {
    const step = steps[n++] ?? Number.POSITIVE_INFINITY;
    if (typeof step === 'string') throw Object.assign(new Error(`${step}: no`), { code: step });
    const taken = Math.min(step, bytes.length);
    chunks.push(Buffer.from(bytes.subarray(0, taken)));
    return taken;
  };
  const output = new Output(new Fd(realFd(), 'out'), 'out', false, send);
  return { output, sent: () => Buffer.concat(chunks).toString() };
}

noLeaks();

describe('what the kernel takes', () => {
  test.each<[string, readonly Step[], string, number]>([
    // how                        what went out             drops that did not
    ['whole', [], 'one\ntwo\nthrée\n', 0],
    ['byte by byte', [1, 1, 1, 1, 1, 1, 1], 'one\ntwo\nthrée\n', 0],
    ['in the middle of a letter', [12, 1], 'one\ntwo\nthrée\n', 0],
    ['not at all', ['ENOSPC'], '', 3],
    ['to the end of a line', [4, 'ENOSPC'], 'one\n', 2],
    ['to the middle of a line', [6, 'EPIPE'], 'one\ntw', 2],
    ['all but the last byte', [14, 'ENOSPC'], 'one\ntwo\nthrée', 1],
  ])('%s', async (_, steps, content, unwritten) => {
    const { output, sent } = taking(...steps);
    await output.writeDrops('one\ntwo\nthrée\n');
    expect(sent()).toBe(content);
    expect(output.unwrittenDrops).toBe(unwritten);
    expect([output.isTerminal, output.size, output.blocked]).toEqual([false, undefined, false]);
    output.close();
  });

  test('lines that are no drops are not counted', async () => {
    const { output } = taking('ENOSPC');
    await output.write('head\n');
    await output.writeDrops('one\ntwo\n');
    expect(output.unwrittenDrops).toBe(2);
    output.close();
  });

  test('writes come out in order, also those that did not wait for one another', async () => {
    const { output, sent } = taking(1, 1, 2);
    await Promise.all([output.write('abc'), output.writeDrops('d\n'), output.write('e')]);
    expect(sent()).toBe('abcd\ne');
    output.close();
  });

  test.each([
    ['EPIPE', 'closed'],
    ['EIO', 'closed'],
    ['ECONNRESET', 'closed'],
    ['ENOSPC', 'failed'],
    ['EFBIG', 'failed'],
  ])('%s: %s, and nothing more is tried', async (code, kind) => {
    const { output, sent } = taking(code);
    await output.writeDrops('one\n');
    await output.writeDrops('two\nthree\n');
    expect(sent()).toBe('');
    expect(output.unwrittenDrops).toBe(3);
    const end = await output.ended;
    expect(end.kind).toBe(kind);
    if (end.kind === 'failed') {
      expect(end.error).toMatchObject({ code: 'output', message: `cannot write to out: ${code}: no` });
    }
    output.close();
  });

  test('no room: it waits until there is some', async () => {
    const fake = new FakeNative(({ name }) => (name === 'epoll_create1' ? realFd() : name === 'epoll_pwait' ? 1 : 0));
    const { output, sent } = taking(2, 'EAGAIN', 'EAGAIN');
    const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    let before = Promise.resolve();
    let after = Promise.resolve();
    await withNative(fake, async () => {
      before = output.writeDrops('one\n');
      after = output.write('two\n');
      await settled();
    });
    expect([output.blocked, sent(), output.unwrittenDrops]).toEqual([true, 'on', 1]);
    await withNative(fake, async () => {
      fake.watched[0]!.onReadable();
      await settled();
    });
    expect(output.blocked, 'still no room').toBe(true);
    await withNative(fake, async () => {
      fake.watched[0]!.onReadable();
      await before;
      await after;
    });
    expect([output.blocked, sent(), output.unwrittenDrops]).toEqual([false, 'one\ntwo\n', 0]);
    const [EPOLL_CTL_ADD, EPOLL_CTL_MOD] = [1n, 3n];
    const control = fake.calls.filter(({ name }) => name === 'epoll_ctl').map(({ args }) => args[1]);
    expect(control, 'heard of once, then again').toEqual([EPOLL_CTL_ADD, EPOLL_CTL_MOD]);
    await withNative(fake, async () => output.close());
  });
});

describe('a file', () => {
  test('what was in it is gone', async () => {
    await withFolder(async (folder) => {
      const file = join(folder, 'out');
      fs.writeFileSync(file, 'old\n');
      const output = openOutput(file);
      await output.write('new\n');
      output.close();
      expect(fs.readFileSync(file, 'utf8')).toBe('new\n');
    });
  });

  test('a disk that is full', async () => {
    const output = openOutput('/dev/full');
    await output.writeDrops('one\ntwo\n');
    expect(output.unwrittenDrops).toBe(2);
    const end = await output.ended;
    expect(end.kind).toBe('failed');
    if (end.kind === 'failed') expect(end.error.message).toMatch(/^cannot write to \/dev\/full: ENOSPC/);
    output.close();
  });

  test.each(['/nonexistent/out', '/'])('%s cannot be opened', (file) => {
    const error = thrown(SkbdropError, () => openOutput(file));
    expect(error.code).toBe('output');
    expect(error.message).toContain(`cannot write to ${file}: `);
  });
});

describe('a screen', () => {
  /** A terminal of so many columns. */
  class Terminal extends Output {
    readonly columns: number | undefined;
    constructor(columns: number | undefined, send: (fd: number, bytes: Buffer) => number) {
      super(new Fd(realFd(), 'terminal'), 'terminal', true, send);
      this.columns = columns;
    }
    override get size(): { columns: number; rows: number } | undefined {
      return this.columns === undefined ? undefined : { columns: this.columns, rows: 24 };
    }
  }
  const opened: Output[] = [];
  afterEach(() => {
    for (const output of opened.splice(0)) output.close();
  });
  const terminal = (columns: number | undefined) => {
    const written: string[] = [];
    const output = new Terminal(columns, (_, bytes) => {
      written.push(bytes.toString());
      return bytes.length;
    });
    opened.push(output);
    return { screen: new Screen(output), written };
  };
  const [HOME, LINE, BELOW, CLEAR, HIDE, SHOW] = ['\x1b[H', '\x1b[K', '\x1b[J', '\x1b[2J', '\x1b[?25l', '\x1b[?25h'];

  test('clears at first, then overwrites line by line', async () => {
    const { screen, written } = terminal(80);
    expect(screen.draw('a\nb\n')).toBe(`${HIDE}${CLEAR}${HOME}a${LINE}\nb${LINE}\n${BELOW}`);
    expect(screen.draw('c\n')).toBe(`${HOME}c${LINE}\n${BELOW}`);
    await screen.leave();
    expect(written).toEqual([SHOW]);
  });

  test.each([
    [3, 'abcdef', 'abc'],
    [6, 'abcdef', 'abcdef'],
    [7, 'abcdef', 'abcdef'],
    [2, '█▌x', '█▌'],
    [2, '𝄞𝄞𝄞', '𝄞𝄞'],
    [undefined, 'abcdef', 'abcdef'],
  ])('%s columns: %s', async (columns, line, cut) => {
    const { screen } = terminal(columns);
    expect(screen.draw(line)).toBe(`${HIDE}${CLEAR}${HOME}${cut}${BELOW}`);
    await screen.leave();
  });

  test('what was never drawn leaves nothing to restore', async () => {
    const { screen, written } = terminal(80);
    const before = process.listenerCount('exit');
    await screen.leave();
    expect(written).toEqual([]);
    expect(process.listenerCount('exit')).toBe(before - 1);
  });
});
