/**
 * What a line of `-f json` may hold, written down once more beside the renderers: a checker in a few lines, so that the schema is data and no
 * library stands between it and the reader.
 */
export type Schema =
  | { readonly kind: 'string'; readonly pattern?: RegExp }
  | { readonly kind: 'integer'; readonly minimum?: number }
  | { readonly kind: 'number'; readonly minimum?: number }
  | { readonly kind: 'array'; readonly of: Schema }
  | { readonly kind: 'object'; readonly required: Fields; readonly optional?: Fields };
type Fields = Readonly<Record<string, Schema>>;

const count: Schema = { kind: 'integer', minimum: 0 };
const reason: Schema = { kind: 'string', pattern: /^([A-Z][A-Z0-9_]*|reason#\d+|[A-Z0-9_]+#\d+|subsystem \d+#\d+)$/ };
const time: Schema = { kind: 'string', pattern: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/ };
const place: Schema = { kind: 'string', pattern: /^([\w.]+\+0x[0-9a-f]+( \[\w+\])?|0x[0-9a-f]+)$/ };
const of = (type: string): Schema => ({ kind: 'string', pattern: new RegExp(`^${type}$`) });

export const lines: Readonly<Record<string, Schema>> = {
  drop: {
    kind: 'object',
    required: { type: of('drop'), time, location: place },
    optional: {
      reason,
      len: count,
      protocol: { kind: 'integer', minimum: 1 },
      iface: { kind: 'string', pattern: /^[!-~]{1,15}$/ },
      ifindex: { kind: 'integer', minimum: 1 },
      netns: { kind: 'integer', minimum: 0xeffffff0 },
      iif: { kind: 'integer', minimum: 1 },
    },
  },
  counts: {
    kind: 'object',
    required: {
      type: of('counts'),
      time,
      interval: { kind: 'number', minimum: 0 },
      total: count,
      counts: {
        kind: 'array',
        of: {
          kind: 'object',
          required: { count, rate: { kind: 'number', minimum: 0 } },
          optional: { reason, location: place },
        },
      },
    },
  },
  histogram: {
    kind: 'object',
    required: {
      type: of('histogram'),
      time,
      of: of('len'),
      unit: of('bytes'),
      total: count,
      buckets: { kind: 'array', of: { kind: 'object', required: { low: count, high: count, count } } },
    },
    optional: { reason },
  },
  stacks: {
    kind: 'object',
    required: {
      type: of('stacks'),
      time,
      total: count,
      stacks: {
        kind: 'array',
        of: { kind: 'object', required: { count, frames: { kind: 'array', of: place } }, optional: { reason } },
      },
    },
  },
  summary: {
    kind: 'object',
    required: {
      type: of('summary'),
      seen: count,
      filtered: count,
      surplus: count,
      passed: count,
      reported: count,
      lost: count,
      missed: count,
      unaccounted: { kind: 'integer' },
      losses: {
        kind: 'array',
        of: {
          kind: 'object',
          required: { way: of('(ring_full|map_full|stack_collision|stack_unreadable|unread|output)'), count },
          optional: { reason },
        },
      },
    },
  },
};

/** What is wrong with a value, each with its path; nothing where it is right. */
export function faults(value: unknown, schema: Schema, path = '$'): string[] {
  switch (schema.kind) {
    case 'string':
      if (typeof value !== 'string') return [`${path}: not a string`];
      return schema.pattern === undefined || schema.pattern.test(value) ? [] : [`${path}: ${value}`];
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || (schema.kind === 'integer' && !Number.isSafeInteger(value))) {
        return [`${path}: not ${schema.kind === 'integer' ? 'an integer' : 'a number'}`];
      }
      return value < (schema.minimum ?? Number.NEGATIVE_INFINITY) ? [`${path}: ${value}`] : [];
    case 'array':
      if (!Array.isArray(value)) return [`${path}: not an array`];
      return value.flatMap((one, i) => faults(one, schema.of, `${path}[${i}]`));
    case 'object': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path}: not an object`];
      const fields: Fields = { ...schema.required, ...schema.optional };
      const missing = Object.keys(schema.required).filter((key) => !(key in value));
      return [
        ...missing.map((key) => `${path}.${key}: missing`),
        ...Object.entries(value).flatMap(([key, one]) => {
          const field = fields[key];
          return field === undefined ? [`${path}.${key}: unknown`] : faults(one, field, `${path}.${key}`);
        }),
      ];
    }
  }
}

/** What is wrong with one line of output, its newline included. */
export function lineFaults(text: string): string[] {
  if (!/^[^\n]+\n$/.test(text)) return ['not one line'];
  const value = JSON.parse(text) as { type?: unknown };
  const schema = lines[String(value.type)];
  return schema === undefined ? [`$.type: ${String(value.type)}`] : faults(value, schema);
}
