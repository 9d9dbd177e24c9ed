import { expect, test } from 'vitest';
import { featureTables, withTables } from '../../vm/tables.ts';

const row = (name: string, features: Record<string, string>) => ({ name, features: new Map(Object.entries(features)) });

const ROWS = [
  row('5.10', { trace: 'by function', hist: 'yes' }),
  row('6.12', { trace: 'yes', hist: 'yes', extra: '3' }),
  row('6.12 arm64', { trace: 'yes', hist: 'yes' }),
  row('no BTF', { trace: 'yes', hist: 'no' }),
];

test('kernels stand beside each other, hosts below each other', () => {
  expect(featureTables(ROWS)).toBe(`|       | 5.10        | 6.12 | 6.12 arm64 |
| ----- | ----------- | ---- | ---------- |
| trace | by function | yes  | yes        |
| hist  | yes         | yes  | yes        |
| extra | –           | 3    | –          |

|        | trace | hist |
| ------ | ----- | ---- |
| no BTF | yes   | no   |
`);
});

test('they replace the tables of before, and nothing else', () => {
  const document =
    'Before.\n\n<!-- Written by `npm run test:vm -- --readme write`. -->\nold\n<!-- Until here. -->\n\nAfter.\n';
  const once = withTables(document, featureTables(ROWS));
  expect(once).toMatch(/^Before\.\n\n<!-- Written[^\n]*\n\n\| {7}\| 5\.10/);
  expect(once).toMatch(/no \|?.*\n\n<!-- Until here\. -->\n\nAfter\.\n$/s);
  expect(once).not.toContain('old');
  expect(withTables(once!, featureTables(ROWS))).toBe(once);
});

test('a document without a place for them is not touched', () => {
  expect(withTables('nothing', 'tables')).toBeUndefined();
});
