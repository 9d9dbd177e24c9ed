import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { doctorJson } from '../../src/cli/render/doctor.ts';
import { countsJson, dropJson, histogramJson, stacksJson, summaryJson } from '../../src/cli/render/json.ts';
import type { Loss } from '../../src/drops/summary.ts';
import { run, skbdrop } from '../helpers/cli.ts';
import {
  codeBlocks,
  compileExamples,
  documents,
  expectedOutput,
  jsonSchema,
  readDocument,
  removeExamples,
  section,
  tableRows,
} from '../helpers/docs.ts';
import { type Schema, Validator } from '../helpers/json-schema.ts';
import { healthy, hopeless } from './cli/render/diagnoses.ts';

/** What the documents say, beside what the program says. */

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('links', () => {
  test('there are documents', () => {
    for (const file of ['README.md', 'CHANGELOG.md', 'asm/README.md', 'btf/README.md', 'docs/architecture.md']) {
      expect(documents).toContain(file);
    }
  });

  test.each(documents)('%s: every relative link leads somewhere', (file) => {
    const text = readDocument(file).replace(/^```.*?^```$/gms, '');
    const targets = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target);
    const relative = targets.filter((target) => !/^[a-z]+:/.test(target));
    for (const target of relative) {
      const [path = '', anchor] = target.split('#');
      const linked = path === '' ? file : join(dirname(file), path);
      expect([target, existsSync(join(root, linked))]).toEqual([target, true]);
      if (anchor === undefined || statSync(join(root, linked)).isDirectory()) continue;
      const anchors = Array.from(readDocument(linked).matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
        heading
          .toLowerCase()
          .replace(/[^\w\s-]/g, '')
          .replaceAll(' ', '-'),
      );
      expect(anchors).toContain(anchor);
    }
  });
});

describe('the README and --help', () => {
  const options = section(readDocument('README.md'), 'Options');
  const flagsIn = (text: string): string[] =>
    tableRows(text).flatMap(([cell = '']) => Array.from(cell.matchAll(/`(-[^`]*)`/g), ([, flags = '']) => flags));
  /** The tables of the section, each with the command it is of. */
  const [common = '', ofTrace = '', ofReports = '', ofHist = '', ofDemo = '', ofDoctor = ''] = options.split(
    /^(?:Reasons are|Of `\w+` alone|Of `top`|Of `demo`|Of `doctor`)/m,
  );

  async function help(...words: string[]): Promise<string> {
    const ended = await run([...skbdrop, ...words, '--help'], { env: { ...process.env, COLUMNS: '200' } });
    expect(ended.status).toBe(0);
    return ended.stdout;
  }
  const flagsOf = (text: string): string[] =>
    Array.from(text.matchAll(/^ {2}(-.+?)(?: {2}|$)/gm), ([, flags = '']) => flags).filter(
      (flags) => !/--(?:help|version)$/.test(flags),
    );

  test.each([
    ['trace', common + ofTrace],
    ['top', common + ofReports],
    ['hist', common + ofReports + ofHist],
    ['stacks', common + ofReports],
    ['demo', ofDemo],
    ['doctor', ofDoctor],
  ])('have the same options of %s', async (command, text) => {
    expect(flagsIn(text).length).toBeGreaterThan(4);
    expect(flagsIn(text).sort()).toEqual(flagsOf(await help(command)).sort());
  });

  test('have the same commands', async () => {
    const listed = Array.from((await help()).matchAll(/^ {2}(\w+) \[/gm), ([, name]) => name);
    const rows = tableRows(section(readDocument('README.md'), 'Commands')).map(([cell]) => cell?.replaceAll('`', ''));
    expect(rows.sort()).toEqual(listed.filter((name) => name !== 'help').sort());
  });

  test('agree on how many reasons the demo can provoke', async () => {
    const listed = (await run([...skbdrop, 'demo', '--list', '--json'])).stdout.trim().split('\n').length;
    expect(readDocument('README.md')).toContain(`provokes drops for ${listed} reasons`);
  });
});

describe('docs/json.md', () => {
  const schema = jsonSchema();
  const definitions = schema.$defs as Record<string, Schema>;
  const isLine = ({ properties }: Schema): boolean => Object.hasOwn(properties ?? {}, 'type');
  const types = Object.keys(definitions).filter((name) => isLine(definitions[name]!));

  test('names the same types in its table and its schema', () => {
    const overview = readDocument('docs/json.md').split('## Conventions')[0]!;
    expect(tableRows(overview).map(([cell]) => cell)).toEqual(types.map((name) => `\`${name}\``));
    expect(schema.oneOf).toEqual(types.map((name) => ({ $ref: `#/$defs/${name}` })));
  });

  test('has the same properties in its tables and its schema', () => {
    const described = new Map<string, string[]>();
    const lines = section(readDocument('docs/json.md'), 'Lines');
    for (const part of lines.split(/^### /m).slice(1)) {
      const [heading = ''] = part.split('\n');
      const names = Array.from(heading.matchAll(/`(\w+)`/g), ([, name = '']) => name);
      let type = names[0]!;
      // The table of ways to lose a drop is not one of properties.
      for (const row of tableRows(part.split('Ways to lose')[0]!)) {
        const [first = '', second = ''] = row.map((cell) => cell.replaceAll('`', ''));
        if (names.length > 1 && first !== '') type = first;
        described.set(type, [...(described.get(type) ?? ['type']), names.length > 1 ? second : first]);
      }
    }
    const defined = types.map((name) => [name, Object.keys(definitions[name]!.properties as object)]);
    expect([...described]).toEqual(defined);
  });

  test('has every way to lose a drop', () => {
    const all: Record<Loss['way'], true> = {
      ...{ ring_full: true, map_full: true, stack_collision: true, stack_unreadable: true },
      ...{ unread: true, output: true },
    };
    const rows = tableRows(section(readDocument('docs/json.md'), '`summary`').split('Ways to lose')[1]!);
    expect(rows.map(([cell]) => cell?.replaceAll('`', ''))).toEqual(Object.keys(all));
    const way = { enum: Object.keys(all) };
    expect(definitions.summary).toMatchObject({ properties: { losses: { items: { properties: { way } } } } });
  });

  const validator = new Validator(schema);
  const time = 1_772_368_496_123_456;
  const facts = { reason: 'SKB_DROP_REASON_NO_SOCKET', reasonNumber: 3, location: 'tcp_v4_rcv+0x9d' };
  const summary = {
    ...{ seen: 9, filtered: 1, surplus: 1, passed: 7, reported: 5, lost: 2, unaccounted: 0, missed: 3 },
    losses: [
      { way: 'ring_full', reason: facts.reason, count: 1 },
      { way: 'output', reason: undefined, count: 1 },
    ],
  } as const;
  const buckets = [{ low: 0, high: 1, count: 7 }];
  const stack = { reason: facts.reason, count: 2, frames: [], head: [] };

  test.each<[string, string]>([
    ['a drop of which little is known', dropJson(facts)(time)],
    [
      'a drop with a device',
      dropJson({ ...facts, len: 0, device: { name: 'eth0', ifindex: 2, netns: 4026531840 } })(time),
    ],
    ['a drop from outside', dropJson({ ...facts, protocol: 0x88b5, iif: 2 })(time)],
    ['a reason without a name', dropJson({ ...facts, reason: 'reason#131' })(time)],
    ['a reason of a subsystem', dropJson({ ...facts, reason: 'OPENVSWITCH#5' })(time)],
    ['a reason of an unknown subsystem', dropJson({ ...facts, reason: 'subsystem 7#5' })(time)],
    ['a place in a module', dropJson({ ...facts, location: 'br_handle_frame+0x1 [bridge]' })(time)],
    ['a place with a suffix', dropJson({ ...facts, location: '__netif_receive_skb_core.constprop.0+0x7e6' })(time)],
    ['a place without a name', dropJson({ ...facts, location: '0xffffffff81234567' })(time)],
    ['no counts', countsJson(time, 1.0004, [])],
    ['counts', countsJson(time, 1, [{ reason: facts.reason, reasonNumber: 3, count: 2, rate: 0.3333 }])],
    ['a histogram', histogramJson(time, { buckets, total: 7 })],
    ['a histogram of a reason', histogramJson(time, { reason: facts.reason, buckets, total: 7 })],
    ['stacks', stacksJson(time, [stack])],
    ['a summary', summaryJson(summary)],
    ['a diagnosis where all is well', doctorJson(healthy)],
    ['a diagnosis where nothing is', doctorJson(hopeless)],
  ])('fits what is printed: %s', (_, line) => {
    expect(line.endsWith('\n')).toBe(true);
    expect(validator.check(JSON.parse(line))).toEqual([]);
  });

  const drop = JSON.parse(dropJson({ ...facts, len: 60, iif: 2 })(time));
  test.each<[string, unknown]>([
    ['an unknown property', { ...drop, colour: 'red' }],
    ['an unknown type', { ...drop, type: 'pick' }],
    ['no type', { ...drop, type: undefined }],
    ['a missing property', { type: 'drop', time: drop.time, reason: drop.reason }],
    ['a number as text', { ...drop, len: '60' }],
    ['a fraction', { ...drop, len: 0.5 }],
    ['a negative length', { ...drop, len: -1 }],
    ['null', { ...drop, len: null }],
    ['a time without microseconds', { ...drop, time: '2026-03-01T12:34:56Z' }],
    ['an interface without a namespace', { ...drop, iface: 'eth0', ifindex: 2 }],
    ['a way that is none', { ...JSON.parse(summaryJson(summary)), losses: [{ way: 'mood', count: 1 }] }],
    ['not an object', []],
  ])('does not fit %s', (_, value) => {
    expect(validator.check(JSON.parse(JSON.stringify(value)))).not.toEqual([]);
  });

  test('has no word in its schema that the tests do not understand', () => {
    expect(() => new Validator({ ...schema, uniqueItems: true }).check({})).toThrow(/uniqueItems/);
  });
});

describe.each(['asm/README.md', 'btf/README.md'])('%s', (file) => {
  const folder = `examples-of-${dirname(file)}`;
  const examples = codeBlocks(readDocument(file)).filter(({ language }) => language === 'ts');
  let files: readonly string[];
  beforeAll(() => {
    files = compileExamples(
      folder,
      examples.map(({ text }) => text),
    );
  });
  afterAll(() => removeExamples(folder));

  test.each(examples.map((_, i) => i + 1))('example %i prints what it says', async (number) => {
    const expected = expectedOutput(examples[number - 1]!.text);
    expect(expected).not.toBe('');
    const ended = await run([process.execPath, files[number - 1]!], { cwd: root });
    expect(ended).toEqual({ stdout: expected, stderr: '', status: 0, signal: null });
  });
});

test('the examples of the library compile', () => {
  const examples = codeBlocks(section(readDocument('README.md'), 'As a library')).filter(
    ({ language }) => language === 'ts',
  );
  expect(examples.length).toBeGreaterThan(1);
  compileExamples(
    'examples-of-README',
    examples.map(({ text }) => text),
  );
  removeExamples('examples-of-README');
});

test('no document names a path of the machine it was written on, or leaves something to be done', () => {
  for (const file of documents) {
    const text = readDocument(file);
    expect([file, text.match(/\/(?:work|root|tmp|home)\/\S+|\b(?:TODO|FIXME|XXX)\b|_OUTPUT\b/g)]).toEqual([file, null]);
  }
});
