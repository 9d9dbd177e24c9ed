import { createReadStream, readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { attachModes } from '../../src/probes/context.ts';
import { demo, jsonLines, run, Scratch, skbdrop } from '../helpers/cli.ts';
import { needRoot } from '../helpers/need.ts';
import { givesReasons } from '../helpers/reasonless.ts';

const FLOOD = 1_000_000;
const REASON = 'UNHANDLED_PROTO';

const scratch = new Scratch();
afterAll(() => scratch.remove());

/** Lines of a large file. */
async function countLines(file: string): Promise<number> {
  let lines = 0;
  for await (const chunk of createReadStream(file)) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
  }
  return lines;
}

/** A flood into `skbdrop` with these words; its summary, and how many drops it printed. */
async function flood(words: readonly string[]) {
  const file = scratch.file('flood');
  const command = [...skbdrop, ...words, '-r', REASON, '-o', file];
  const ended = await run([...command, '--', ...demo([REASON], FLOOD)]);
  return { ...ended, file };
}

describe.skipIf(!needRoot() || !givesReasons())('a flood of a million drops', () => {
  test('trace prints a million lines and says that none was lost', async () => {
    // Room for all of them, so that this says nothing about how busy the machine is: bench/ does.
    const { file, stderr, status } = await flood(['trace', '--buffer-size', '64M', '--fail-on-loss']);
    expect(stderr).toContain('1,000,000 printed, 0 lost');
    expect(status).toBe(0);
    expect(await countLines(file)).toBe(FLOOD);
  });

  test.each(attachModes)('with a ring made too small, printed and lost are a million (%s)', async (mode) => {
    const words = ['trace', '--buffer-size', '4k', '-f', 'json', '--fail-on-loss', '--attach', mode];
    const { file, status, stderr } = await flood(words);
    expect(status).toBe(4);
    const lines = await countLines(file);
    const [summary] = jsonLines(readFileSync(file, 'latin1').slice(-2000).split('\n').slice(-2).join('\n'));
    expect(summary).toMatchObject({ type: 'summary', passed: FLOOD, unaccounted: 0, missed: 0 });
    const { reported, lost, losses } = summary as { reported: number; lost: number; losses: unknown[] };
    expect(lines).toBe(reported + 1);
    expect(lost).toBeGreaterThan(0);
    expect(reported + lost).toBe(FLOOD);
    expect(losses).toEqual([{ way: 'ring_full', reason: `SKB_DROP_REASON_${REASON}`, count: lost }]);
    expect(stderr).toMatch(/the buffer was full: [\d,]+ UNHANDLED_PROTO/);
  });

  test.each([
    ['top', 'counts'],
    ['hist', 'histogram'],
    ['stacks', 'stacks'],
  ])('%s counts each of them', async (command, type) => {
    const { file, status, stderr } = await flood([command, '-f', 'json', '--fail-on-loss']);
    expect(status, stderr).toBe(0);
    const lines = jsonLines(readFileSync(file, 'utf8'));
    expect(lines.at(-1)).toMatchObject({ passed: FLOOD, reported: FLOOD, lost: 0, unaccounted: 0 });
    expect(lines.at(-2)).toMatchObject({ type, total: FLOOD });
  });

  test('what comes after the limit is surplus, and seen all the same', async () => {
    const { file } = await flood(['top', '-f', 'json', '-n', '1000']);
    const summary = jsonLines(readFileSync(file, 'utf8')).at(-1);
    expect(summary).toMatchObject({ passed: 1000, reported: 1000, lost: 0, unaccounted: 0 });
    expect(Number(summary?.surplus)).toBeGreaterThan(0);
  });
});
