import { describe, expect, test } from 'vitest';
import { type DemoOptions, runDemo, selectRecipes } from '../../../src/cli/commands/demo.ts';
import { recipes } from '../../../src/demo/index.ts';
import { SkbdropError } from '../../../src/sys/errors.ts';

const first = (pattern: string): (string | undefined)[] => selectRecipes([pattern]).map(({ reasons }) => reasons[0]);

async function printed(options: DemoOptions): Promise<string> {
  let text = '';
  const output = {
    write(part: string): void {
      text += part;
    },
  };
  await runDemo(options, output, new AbortController().signal);
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

describe('choosing', () => {
  test('by name, in any case, with or without the prefix', () => {
    expect(first('NO_SOCKET')).toEqual(['NO_SOCKET']);
    expect(first('skb_drop_reason_no_socket')).toEqual(['NO_SOCKET']);
  });

  test('by a name of older kernels', () => {
    expect(first('PTYPE_ABSENT')).toEqual(['UNHANDLED_PROTO']);
  });

  test('by glob and by list, each once, in the order of the list', () => {
    expect(first('*_CSUM')).toEqual(['IP_CSUM', 'UDP_CSUM', 'TCP_CSUM', 'ICMP_CSUM']);
    expect(first('TCP_CSUM,IP_CSUM,*P_CSUM')).toEqual(['IP_CSUM', 'UDP_CSUM', 'TCP_CSUM', 'ICMP_CSUM']);
  });

  test('nothing chosen is everything', () => {
    expect(selectRecipes([])).toBe(recipes);
    expect(selectRecipes([''])).toBe(recipes);
  });

  test('an unknown name is an error that knows better', () => {
    const choose = (): unknown => selectRecipes(['NO_SOKET']);
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

  test('as JSON, of what is chosen', async () => {
    const text = await printed({ list: true, reason: ['UNHANDLED_PROTO'], format: 'json' });
    expect(JSON.parse(text)).toEqual({
      type: 'recipe',
      reason: 'SKB_DROP_REASON_UNHANDLED_PROTO',
      also: ['SKB_DROP_REASON_PTYPE_ABSENT'],
      length: 20,
      description: expect.any(String),
    });
  });
});
