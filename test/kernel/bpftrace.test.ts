import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { openHost } from '../../src/kernel/host.ts';
import { attachModes } from '../../src/probes/context.ts';
import { type Bpftrace, bpftraceWords, findBpftraces } from '../helpers/bpftrace.ts';
import { appears, demo, Running, run, Scratch, skbdrop } from '../helpers/cli.ts';
import { needRoot } from '../helpers/need.ts';
import { givesReasons } from '../helpers/reasonless.ts';

/**
 * bpftrace and skbdrop watch the same drops at the same time, and must say the same, to the byte.
 *
 * The programs are the four that skbdrop grew from. A predicate keeps them to the demo's reasons, because the two do
 * not attach at the same instant, and a drop of somebody else's between the two would be a difference of no meaning.
 */
const isRoot = needRoot();
const bpftraces = isRoot ? findBpftraces() : [];
const counts: Readonly<Record<string, number>> = {
  IP_CSUM: 3,
  UDP_CSUM: 17,
  UNHANDLED_PROTO: 64,
  IP_NOPROTO: 101,
  PKT_TOO_SMALL: 5,
  TCP_INVALID_END_SEQUENCE: 11,
  PKT_TOO_BIG: 29,
  UNIX_SKIP_OOB: 2,
};
const names = Object.keys(counts);

const programs = {
  trace: 'print(args->reason)',
  top: '@[args->reason] = count();',
  hist: '@skb_len = hist(((struct sk_buff *) args->skbaddr)->len);',
  stacks: '@[kstack] = count();',
} as const;

const scratch = new Scratch();
afterAll(() => scratch.remove());

/** Both on the same drops: what each printed. */
async function sideBySide(bpftrace: Bpftrace, command: keyof typeof programs, mode: string) {
  const ready = scratch.file(`ready-${command}-${mode}`);
  const output = scratch.file(`out-${command}-${mode}`);
  const script = scratch.file('provoke.sh');
  // Long intervals: reading maps keeps tracepoint programs from running on that CPU, theirs and ours.
  const interval = command === 'trace' ? [] : ['-i', '1h'];
  const ours = new Running([
    ...[...skbdrop, command, '-r', names.join(','), '--attach', mode, '-f', 'bpftrace', ...interval],
    ...['-o', output, '--ready-file', ready, '--fail-on-loss'],
  ]);
  await appears(ready);
  const provoke = names.map((name) => `${demo([name], counts[name]!).join(' ')} >/dev/null`).join('\n');
  writeFileSync(script, `${provoke}\n`, { mode: 0o755 });

  const host = openHost();
  const numbers = host.reasons.all
    .filter(({ name }) => counts[name.replace('SKB_DROP_REASON_', '')] !== undefined)
    .map(({ number }) => number);
  expect(numbers).toHaveLength(names.length);
  const predicate = numbers.map((number) => `args->reason == ${number}`).join(' || ');
  const program = `tracepoint:skb:kfree_skb /${predicate}/ { ${programs[command]} }`;
  const theirs = await run(bpftraceWords(bpftrace, program, `/bin/sh ${script}`));
  expect(theirs, theirs.stderr).toMatchObject({ status: 0 });
  const end = await ours.kill('SIGINT');
  expect(end, end.stderr).toMatchObject({ status: 0 });

  const translate = (text: string): string =>
    bpftrace.namesReasons
      ? text
      : text
          .replace(/^Attaching \d+ probes?\.\.\.\n/, '')
          // 0.17 has a blank behind the colon, numbers for reasons, and half the indent before frames.
          .replace('@skb_len: \n', '@skb_len:\n')
          .replace(/^(@\[)?(\d+)(\]: \d+)?$/gm, (_, open = '', number, close = '') => {
            return `${open}${host.reasons.name(Number(number))}${close}`;
          })
          .replace(/^ {4}(?=\S)/gm, '        ');
  return { theirs: translate(theirs.stdout), ours: readFileSync(output, 'latin1') };
}

/** Blocks of a map's text, in an order of our own: entries with equal counts come in any order from the kernel. */
function entries(text: string): string[] {
  return text.split(/^(?=@)/m).sort();
}

describe.skipIf(!isRoot || !givesReasons())('beside bpftrace, on the same drops (as root)', () => {
  test('there is a bpftrace to compare with', ({ skip }) => {
    skip(bpftraces.length === 0, 'bpftrace is not installed');
    expect(bpftraces.length).toBeGreaterThan(0);
  });

  describe.each(bpftraces.map((bpftrace) => [bpftrace.version, bpftrace] as const))('%s', (_, bpftrace) => {
    describe.each(attachModes)('%s', (mode) => {
      test('trace prints the same lines', async () => {
        const { theirs, ours } = await sideBySide(bpftrace, 'trace', mode);
        expect(ours).toBe(theirs);
        expect(ours.split('\n').filter((line) => line !== '')).toHaveLength(
          Object.values(counts).reduce((sum, count) => sum + count, 0),
        );
      });

      test('top counts the same', async () => {
        const { theirs, ours } = await sideBySide(bpftrace, 'top', mode);
        expect(ours).toBe(theirs);
        for (const name of names) expect(ours).toContain(`@[SKB_DROP_REASON_${name}]: ${counts[name]}\n`);
      });

      test('hist has the same buckets', async () => {
        const { theirs, ours } = await sideBySide(bpftrace, 'hist', mode);
        expect(ours).toBe(theirs);
        expect(ours).toContain('[1K, 2K)');
      });

      test('stacks have the same frames and counts', async () => {
        const { theirs, ours } = await sideBySide(bpftrace, 'stacks', mode);
        expect(entries(ours)).toEqual(entries(theirs));
        expect(ours).toContain(']: 101\n');
      });
    });
  });
});
