import { expect, test } from 'vitest';
import { parseTap } from '../../vm/tap.ts';

const OUTPUT = `TAP version 13
# Subtest: top counts
ok 1 - top counts
  ---
  duration_ms: 12
  ...
# feature attach = tp_btf, raw_tp
# Subtest: trace prints
not ok 2 - trace prints
  ---
  error: |-
    3 !== 2
  ...
ok 3 - hist counts # SKIP not here
# feature attach = tp_btf
1..3
# tests 3
`;

test('points, failures with what they say, features', () => {
  expect(parseTap(OUTPUT.replaceAll('\n', '\r\n'))).toEqual({
    passed: 2,
    failed: [{ name: 'trace prints', details: ['  ---', '  error: |-', '    3 !== 2', '  ...'] }],
    features: new Map([['attach', 'tp_btf']]),
  });
});

test('nothing said is nothing checked', () => {
  expect(parseTap('bash: node: not found\n')).toEqual({ passed: 0, failed: [], features: new Map() });
});
