import { describe, expect, test } from 'vitest';
import { type DemoOptions, runDemo, selectRecipes } from '../../../src/cli/commands/demo.ts';
import { Expectation, recipes } from '../../../src/demo/index.ts';
import { SkbdropError } from '../../../src/sys/errors.ts';

/** A kernel that knows these reasons. */
const knowing = (...names: readonly string[]): Expectation =>
  new Expectation({ all: names.map((name, number) => ({ number, name: `SKB_DROP_REASON_${name}` })) });
const today = knowing('NOT_SPECIFIED', ...recipes.map(({ reasons }) => reasons[0]!));
/** As Linux 6.1, in part; and as 5.10, which gives no reason. */
const older = knowing('NOT_SPECIFIED', 'TCP_INVALID_SEQUENCE', 'TCP_MD5FAILURE', 'NO_SOCKET');
const reasonless = new Expectation({ all: [] }, '5.10.0-32-cloud-amd64');

const first = (pattern: string, kernel = today): (string | undefined)[] =>
  selectRecipes([pattern], kernel).map(({ reasons }) => reasons[0]);
const recipe = (name: string) => recipes.find(({ reasons }) => reasons[0] === name)!;

async function printed(options: DemoOptions, kernel = today): Promise<string> {
  let text = '';
  const output = {
    write(part: string): void {
      text += part;
    },
  };
  await runDemo(options, output, new AbortController().signal, kernel);
  return text;
}

describe('recipes', () => {
  test('each has a reason of its own, spelt as the kernel does', () => {
    const names = recipes.map(({ reasons }) => reasons[0]!);
    expect(new Set(names).size).toBe(names.length);
    for (const name of recipes.flatMap(({ reasons }) => reasons)) expect(name).toMatch(/^[A-Z][A-Z0-9_]+$/);
  });

  test('descriptions are one line for any terminal', () => {
    for (const { description } of recipes) expect(description).toMatch(/^[ -~]{10,110}$/);
  });
});

describe('what a kernel is expected to say', () => {
  test.each([
    // recipe            kernel      reason
    ['TCP_OLD_SEQUENCE', today, 'TCP_OLD_SEQUENCE'],
    ['TCP_OLD_SEQUENCE', older, 'TCP_INVALID_SEQUENCE'],
    ['TCP_AUTH_HDR', older, 'TCP_MD5FAILURE'],
    ['NO_SOCKET', older, 'NO_SOCKET'],
    ['IP_LOCALNET', older, 'NOT_SPECIFIED'],
    ['IP_LOCALNET', reasonless, undefined],
  ] as const)('%s', (name, kernel, reason) => {
    expect(kernel.reason(recipe(name))).toBe(reason);
  });

  test('a reason that is known makes up for the release', () => {
    const since = { ...recipe('TCP_FLAGS'), since: '999.0' };
    expect(today.isTooOld(since)).toBe(false);
    expect(older.isTooOld(since)).toBe(true);
    expect(reasonless.isTooOld(since)).toBe(true);
    expect(reasonless.isTooOld({ ...since, since: '2.6' })).toBe(false);
    expect(reasonless.isTooOld(recipe('NO_SOCKET'))).toBe(false);
  });
});

describe('choosing', () => {
  test('by name, in any case, with or without the prefix', () => {
    expect(first('NO_SOCKET')).toEqual(['NO_SOCKET']);
    expect(first('skb_drop_reason_no_socket')).toEqual(['NO_SOCKET']);
  });

  test('by a name of older kernels, where nothing else goes by it', () => {
    expect(first('PTYPE_ABSENT')).toEqual(['UNHANDLED_PROTO']);
    expect(first('TCP_MD5FAILURE')).toEqual(['TCP_MD5FAILURE']);
  });

  test('by what this kernel says', () => {
    expect(first('TCP_MD5FAILURE', older)).toEqual(['TCP_MD5FAILURE', 'TCP_AUTH_HDR']);
    expect(first('NOT_SPECIFIED', older)).toContain('IP_LOCALNET');
    expect(first('IP_LOCALNET', older)).toEqual(['IP_LOCALNET']);
    expect(first('IP_LOCALNET', reasonless)).toEqual(['IP_LOCALNET']);
  });

  test('by glob and by list, each once, in the order of the list', () => {
    expect(first('*_CSUM')).toEqual(['IP_CSUM', 'UDP_CSUM', 'TCP_CSUM', 'ICMP_CSUM']);
    expect(first('TCP_CSUM,IP_CSUM,*P_CSUM')).toEqual(['IP_CSUM', 'UDP_CSUM', 'TCP_CSUM', 'ICMP_CSUM']);
  });

  test('nothing chosen is everything', () => {
    expect(selectRecipes([], today)).toBe(recipes);
    expect(selectRecipes([''], reasonless)).toBe(recipes);
  });

  test('an unknown name is an error that knows better', () => {
    const choose = (): unknown => selectRecipes(['NO_SOKET'], today);
    expect(choose).toThrow(SkbdropError);
    expect(choose).toThrow(expect.objectContaining({ code: 'usage', hint: expect.stringContaining('NO_SOCKET') }));
  });
});

describe('--list', () => {
  test('a line for each, with its length; needs no rights', async () => {
    const lines = (await printed({ list: true })).trimEnd().split('\n');
    expect(lines).toHaveLength(recipes.length + 1);
    expect(lines[0]).toMatch(/^REASON +LENGTH +WHAT/);
    expect(lines.find((line) => line.startsWith('NO_SOCKET '))).toMatch(/^NO_SOCKET +28 {2}a UDP datagram/);
  });

  test('says what this kernel calls it, where that is something else', async () => {
    const listed = (kernel: Expectation) => printed({ list: true, reason: ['IP_LOCALNET'] }, kernel);
    expect(await listed(older)).toContain('127.0.0.1 from the network (NOT_SPECIFIED on this kernel)\n');
    expect(await listed(reasonless)).toContain('127.0.0.1 from the network\n');
    expect(await listed(today)).toContain('127.0.0.1 from the network\n');
    const tooOld = await printed({ list: true, reason: ['TCP_FLAGS'] }, reasonless);
    expect(tooOld).toContain('SYN and FIN at once (not on this kernel; on Linux 5.18 and later)\n');
  });

  test('as JSON, on a kernel that gives no reason', async () => {
    const text = await printed({ list: true, reason: ['IP_LOCALNET'], format: 'json' }, reasonless);
    expect(JSON.parse(text)).not.toHaveProperty('reason');
    expect(JSON.parse(text)).toMatchObject({ type: 'recipe', recipe: 'IP_LOCALNET', also: [] });
  });

  test('as JSON, of what is chosen', async () => {
    const text = await printed({ list: true, reason: ['UNHANDLED_PROTO'], format: 'json' });
    expect(JSON.parse(text)).toEqual({
      type: 'recipe',
      recipe: 'UNHANDLED_PROTO',
      reason: 'SKB_DROP_REASON_UNHANDLED_PROTO',
      also: ['SKB_DROP_REASON_PTYPE_ABSENT'],
      length: 20,
      description: expect.any(String),
    });
  });
});
