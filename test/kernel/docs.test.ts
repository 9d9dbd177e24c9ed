import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demo, jsonLines, Running, run, skbdrop } from '../helpers/cli.ts';
import { codeBlocks, compileExamples, jsonSchema, readDocument, removeExamples, section } from '../helpers/docs.ts';
import { Validator } from '../helpers/json-schema.ts';
import { needRoot, needTool } from '../helpers/need.ts';

/** What the documents say, beside what the program does on this kernel. */

/** Drops with a device, without one, and of which only the index of the interface is left. */
const REASONS = ['IP_CSUM', 'UNIX_SKIP_OOB', 'TCP_OLD_DATA'];
const COUNT = 20;

/** Below dist/, so that the examples find the package by its name. */
const FOLDER = 'examples-of-the-library';

describe.skipIf(!needRoot())('docs/json.md', () => {
  const validator = new Validator(jsonSchema());

  /** The lines of a command, each held against the schema. */
  async function lines(words: readonly string[]): Promise<Record<string, unknown>[]> {
    const ended = await run([...skbdrop, ...words]);
    expect(ended, ended.stderr).toMatchObject({ status: 0 });
    const parsed = jsonLines(ended.stdout);
    for (const line of parsed) expect([validator.check(line), line]).toEqual([[], line]);
    return parsed;
  }

  /** The same for a command that watches the demo, which writes elsewhere. */
  async function watching(command: readonly string[], count = COUNT): Promise<Record<string, unknown>[]> {
    const provoke = `${demo(REASONS, count).join(' ')} >/dev/null`;
    return lines([...command, '-f', 'json', '-r', REASONS.join(','), '-c', provoke]);
  }

  const types = (parsed: readonly Record<string, unknown>[]): unknown[] => [...new Set(parsed.map(({ type }) => type))];

  test('trace', async () => {
    expect(types(await watching(['trace']))).toEqual(['drop', 'summary']);
  });

  test('trace, with losses', async () => {
    const parsed = await watching(['trace', '--buffer-size', '4k'], 50_000);
    expect(parsed.at(-1)).toMatchObject({ type: 'summary', losses: expect.arrayContaining([expect.anything()]) });
  });

  test.each(['tp_btf', 'raw_tp', 'tracepoint'])('top by %s', async (mode) => {
    expect(types(await watching(['top', '-i', '50ms', '--attach', mode]))).toEqual(['counts', 'summary']);
  });

  test('hist', async () => {
    expect(types(await watching(['hist', '-i', '50ms']))).toEqual(['histogram', 'summary']);
  });

  test('hist --by reason', async () => {
    expect(types(await watching(['hist', '--by', 'reason']))).toEqual(['histogram', 'summary']);
  });

  test('stacks', async () => {
    expect(types(await watching(['stacks', '-i', '50ms']))).toEqual(['stacks', 'summary']);
  });

  test('demo', async () => {
    const words = ['demo', '-n', '2', '-r', REASONS.join(','), '-f', 'json'];
    expect(types(await lines(words))).toEqual(['provoked', 'total']);
  });

  test('demo, with a reason that this kernel cannot give', async ({ skip }) => {
    const setarch = needTool('setarch');
    skip(setarch === undefined, 'setarch is not installed');
    // Said to be 2.6, the kernel is too old for whatever names a first release.
    const ended = await run([
      ...[setarch!, '--uname-2.6', ...skbdrop],
      ...['demo', '-n', '2', '-r', 'TCP_INVALID_END_SEQUENCE', '-f', 'json'],
    ]);
    expect(ended, ended.stderr).toMatchObject({ status: 0 });
    const parsed = jsonLines(ended.stdout);
    expect(types(parsed)).toEqual(['skipped', 'total']);
    for (const line of parsed) expect(validator.check(line)).toEqual([]);
  });

  test('demo --list', async () => {
    expect(types(await lines(['demo', '--list', '--json']))).toEqual(['recipe']);
  });

  test('doctor, where all is well and where much is not', async () => {
    expect(types(await lines(['doctor', '--json']))).toEqual(['doctor']);
    const noBtf = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', 'sh'];
    const ended = await run([...noBtf, ...skbdrop, 'doctor', '--json']);
    expect(ended, ended.stderr).toMatchObject({ status: 3 });
    for (const line of jsonLines(ended.stdout)) expect(validator.check(line)).toEqual([]);
  });

  test('no property is written down that does not occur', () => {
    expect(validator.properties().filter((place) => !validator.occurred.has(place))).toEqual([]);
  });
});

describe.skipIf(!needRoot())('README.md', () => {
  const library = section(readDocument('README.md'), 'As a library');
  const examples = codeBlocks(library).filter(({ language }) => language === 'ts');
  let files: readonly string[];
  beforeAll(() => {
    files = compileExamples(
      FOLDER,
      examples.map(({ text }) => text),
    );
  });
  afterAll(() => removeExamples(FOLDER));

  test('there are examples', () => {
    expect(examples.length).toBeGreaterThan(1);
  });

  test.each(examples.map((_, i) => i + 1))('example %i of the library runs', async (number) => {
    const example = new Running([process.execPath, files[number - 1]!]);
    // It does not say when it is attached, so drops keep coming until it ends.
    let over = false;
    const ended = example.ended.finally(() => {
      over = true;
    });
    while (!over) await run(demo(['IP_CSUM'], 5));
    const { status, stdout, stderr } = await ended;
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/SKB_DROP_REASON_(?:IP_CSUM|NO_SOCKET)/);
    // The law of the books, where an example prints it.
    expect(stdout).not.toContain('false');
  });
});
