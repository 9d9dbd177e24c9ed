import { fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withUnnamedFile } from '../../../src/binary/unnamed-file.ts';

const bytes = Buffer.from('code');

/** How many files this process has open that were made without a name: /proc shows them as `#INODE (deleted)`. */
function openUnnamed(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the folder's own
    }
  });
  return links.filter((link) => /\/#\d+ \(deleted\)$/.test(link)).length;
}

test('the file holds the bytes and has no name', () => {
  const failures: string[] = [];
  const found = withUnnamedFile(bytes, failures, (path) => ({
    text: readFileSync(path, 'latin1'),
    link: readlinkSync(path),
    names: fstatSync(Number(path.split('/').at(-1))).nlink,
  }));
  expect(found).toEqual({ text: 'code', link: expect.stringMatching(/ \(deleted\)$/), names: 0 });
  expect(failures).toEqual([]);
});

test('where it cannot be used, another folder is tried, and what was wrong is kept', () => {
  const failures: string[] = [];
  let tries = 0;
  const found = withUnnamedFile(bytes, failures, (path) => {
    tries++;
    if (tries === 1) throw new Error('noexec');
    return path;
  });
  expect(found).toMatch(/^\/proc\/self\/fd\/\d+$/);
  expect(failures[0]).toMatch(/^\/\S+: noexec$/);
  expect(tries).toBe(2);
});

test('where it can be used nowhere, every folder was tried, and no descriptor is left', () => {
  const failures: string[] = [];
  const found = withUnnamedFile(bytes, failures, () => {
    expect(openUnnamed()).toBe(1);
    throw new Error('noexec');
  });
  expect(found).toBeUndefined();
  expect(failures.length).toBeGreaterThan(3);
  expect(failures.join()).not.toContain('expected');
  expect(openUnnamed()).toBe(0);
});
