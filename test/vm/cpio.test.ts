import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directory, type Entry, file, link, newc, tree } from '../../vm/cpio.ts';
import { needTool } from '../helpers/need.ts';

const archive = (entries: Iterable<Entry>): Buffer => Buffer.concat([...newc(entries)]);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skbdrop-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('an archive is as the format says: a header of 110 characters, all parts padded to four bytes', () => {
  const bytes = archive([file('ab', 'xyz', 0o600)]);
  const header = `070701${'00000001'}${'00008180'}${'0'.repeat(16)}${'00000001'}${'0'.repeat(8)}${'00000003'}`;
  expect(bytes.toString('latin1')).toBe(
    `${header}${'0'.repeat(32)}${'00000003'}${'0'.repeat(8)}ab\0\0\0\0xyz\0` +
      `070701${'0'.repeat(32)}${'00000001'}${'0'.repeat(48)}${'0000000b'}${'0'.repeat(8)}TRAILER!!!\0\0\0\0`,
  );
});

test('what a directory holds comes back as entries', () => {
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin/tool'), 'code', { mode: 0o755 });
  symlinkSync('tool', join(folder, 'bin/alias'));
  writeFileSync(join(folder, 'empty'), '', { mode: 0o644 });
  expect([...tree(folder, 'at')]).toEqual([
    directory('at/bin'),
    link('at/bin/alias', 'tool'),
    file('at/bin/tool', 'code', 0o755),
    file('at/empty', '', 0o644),
  ]);
});

describe.skipIf(!needTool('cpio'))('cpio unpacks it', () => {
  test('files, directories and links of all lengths', () => {
    const contents = [0, 1, 2, 3, 4, 5, 1000, 65_537].map((length) => Buffer.alloc(length, length));
    const entries = [
      directory('d'),
      ...contents.map((content, index) => file(`d/${'n'.repeat(index + 1)}`, content, 0o640)),
      link('d/link', 'n'),
    ];
    execFileSync('cpio', ['-i', '--quiet'], { cwd: folder, input: archive(entries) });
    expect(readdirSync(join(folder, 'd'))).toHaveLength(contents.length + 1);
    contents.forEach((content, index) => {
      expect(readFileSync(join(folder, 'd', 'n'.repeat(index + 1))).equals(content)).toBe(true);
    });
    // Through the link.
    expect(readFileSync(join(folder, 'd/link'))).toEqual(contents[0]);
    expect([...tree(join(folder, 'd'), 'd')].map(({ mode }) => mode & 0o777).filter((mode) => mode !== 0o777)).toEqual(
      contents.map(() => 0o640),
    );
  });
});
