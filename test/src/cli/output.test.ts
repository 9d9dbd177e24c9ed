import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openOutput } from '../../../src/cli/output.ts';
import { Screen } from '../../../src/cli/screen.ts';
import { SkbdropError } from '../../../src/sys/errors.ts';
import { thrown } from '../../asm/helpers.ts';
import { withFolder } from '../../helpers/files.ts';

/** Runs `body` while writes to files go through `write`. */
async function writingLike<T>(write: typeof fs.writeSync, body: () => Promise<T>): Promise<T> {
  const { writeSync } = fs;
  fs.writeSync = write;
  syncBuiltinESMExports();
  try {
    return await body();
  } finally {
    fs.writeSync = writeSync;
    syncBuiltinESMExports();
  }
}

/** A writeSync that takes so many bytes at each call, and refuses when it comes to a `string`. */
function taking(...sizes: readonly (number | string)[]): typeof fs.writeSync {
  const { writeSync } = fs;
  let n = 0;
  return ((fd: number, bytes: Uint8Array, offset: number) => {
    const size = sizes[n++] ?? Number.POSITIVE_INFINITY;
    if (typeof size === 'string') throw Object.assign(new Error(`${size}: no`), { code: size });
    return writeSync(fd, bytes, offset, Math.min(size, bytes.length - offset));
  }) as typeof fs.writeSync;
}

describe('a file', () => {
  test.each<[string, readonly (number | string)[], string, number]>([
    // how it is taken         what is in the file        lines that are not
    ['whole', [], 'one\ntwo\nthrée\n', 0],
    ['byte by byte', [1, 1, 1, 1, 1, 1, 1], 'one\ntwo\nthrée\n', 0],
    ['in the middle of a letter', [11, 1], 'one\ntwo\nthrée\n', 0],
    ['not at all', ['ENOSPC'], '', 3],
    ['to the end of a line', [4, 'ENOSPC'], 'one\n', 2],
    ['to the middle of a line', [6, 'EIO'], 'one\ntw', 2],
    ['all but the last byte', [14, 'ENOSPC'], 'one\ntwo\nthrée', 1],
  ])('taken %s', async (_, sizes, content, unwritten) => {
    await withFolder(async (folder) => {
      const file = join(folder, 'out');
      const output = openOutput(file);
      await writingLike(taking(...sizes), () => output.write('one\ntwo\nthrée\n'));
      expect(fs.readFileSync(file, 'utf8')).toBe(content);
      expect(output.unwrittenLines).toBe(unwritten);
      expect([output.isTerminal, output.size, output.blocked]).toEqual([false, undefined, false]);
      await output.close();
    });
  });

  test('after a failure nothing more is tried, everything is counted, and the end says why', async () => {
    await withFolder(async (folder) => {
      const file = join(folder, 'out');
      const output = openOutput(file);
      await writingLike(taking('ENOSPC'), async () => {
        await output.write('one\n');
        await output.write('two\nthree\n');
      });
      expect(output.unwrittenLines).toBe(3);
      expect(fs.readFileSync(file, 'utf8')).toBe('');
      expect(await output.ended).toMatchObject({
        kind: 'failed',
        error: { code: 'output', message: `cannot write to ${file}: ENOSPC: no` },
      });
      await output.close();
    });
  });

  test('a disk that is full', async () => {
    const output = openOutput('/dev/full');
    await output.write('one\ntwo\n');
    expect(output.unwrittenLines).toBe(2);
    const end = await output.ended;
    expect(end.kind).toBe('failed');
    if (end.kind === 'failed') expect(end.error.message).toMatch(/^cannot write to \/dev\/full: ENOSPC/);
    await output.close();
  });

  test('what was in it is gone', async () => {
    await withFolder(async (folder) => {
      const file = join(folder, 'out');
      fs.writeFileSync(file, 'old\n');
      const output = openOutput(file);
      await output.write('new\n');
      await output.close();
      expect(fs.readFileSync(file, 'utf8')).toBe('new\n');
    });
  });

  test.each(['/nonexistent/out', '/'])('%s cannot be opened', (file) => {
    const error = thrown(SkbdropError, () => openOutput(file));
    expect(error.code).toBe('output');
    expect(error.message).toContain(`cannot write to ${file}: `);
  });
});

describe('a screen', () => {
  const terminal = (columns: number | undefined) => {
    const written: string[] = [];
    const output = {
      isTerminal: true,
      size: columns === undefined ? undefined : { columns, rows: 24 },
      write: async (text: string) => void written.push(text),
      unwrittenLines: 0,
      ended: new Promise<never>(() => {}),
      blocked: false,
      close: async () => {},
    };
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
