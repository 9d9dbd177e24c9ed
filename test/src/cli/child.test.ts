import { chmodSync, existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Child } from '../../../src/cli/child.ts';
import { withFolder } from '../../helpers/files.ts';

// A folder in PATH that may not be searched makes "not found" a "not permitted", says execvp(3).
const path = process.env.PATH;
beforeAll(() => {
  process.env.PATH = '/usr/bin:/bin';
});
afterAll(() => {
  process.env.PATH = path;
});

const sh = (script: string): Child => new Child(['/bin/sh', '-c', script]);

describe('how it ended', () => {
  test.each([
    // script            status
    ['exit 0', 0],
    ['exit 3', 3],
    ['exit 255', 255],
    ['kill -TERM $$', 143],
    ['kill -KILL $$', 137],
    ['kill -HUP $$', 129],
    ['exec /nonexistent/command 2>/dev/null', 127],
  ])('%s: %i', async (script, status) => {
    expect(await sh(script).ended).toEqual({ status });
  });

  test.each([
    ['a name that is nowhere', ['skbdrop-no-such-command'], 127, 'there is no such command'],
    ['a file that is not there', ['/nonexistent/x'], 127, 'there is no such command'],
    ['a file in a file', ['/etc/passwd/x'], 127, 'there is no such command'],
    ['a folder', ['/'], 126, 'it cannot be run (EACCES)'],
    ['a name too long', [`/${'x'.repeat(5000)}`], 126, 'it cannot be run (ENAMETOOLONG)'],
    ['no name', [''], 126, 'it cannot be run (ERR_INVALID_ARG_VALUE)'],
  ])('%s', async (_, words, status, why) => {
    const child = new Child(words);
    expect(await child.ended).toEqual({ status, problem: `cannot start ${JSON.stringify(words[0])}: ${why}` });
    await child.stop();
  });

  test('a file that may not be executed, and a link to itself', async () => {
    await withFolder(async (folder) => {
      const file = join(folder, 'plain');
      writeFileSync(file, 'exit 0\n');
      chmodSync(file, 0o644);
      expect((await new Child([file]).ended).status).toBe(126);
      const loop = join(folder, 'loop');
      symlinkSync(loop, loop);
      expect((await new Child([loop]).ended).status).toBe(126);
    });
  });
});

describe('stop()', () => {
  test('ends it with SIGTERM', async () => {
    const child = sh('exec sleep 1000');
    await child.stop();
    expect(await child.ended).toEqual({ status: 143 });
    await child.stop();
  });

  test('ends what does not want to end', async () => {
    await withFolder(async (folder) => {
      const ready = join(folder, 'ready');
      const child = sh(`trap '' TERM; : > ${ready}; while :; do sleep 0.05; done`);
      while (!existsSync(ready)) await new Promise((resolve) => setTimeout(resolve, 10));
      await child.stop();
      expect(await child.ended).toEqual({ status: 137 });
    });
  });
});
