/**
 * The part of JSON Schema (draft 2020-12) that docs/json.md is written in. A word that is not known here is an error,
 * so that nothing in the schema goes unchecked.
 */
export interface Schema {
  readonly [keyword: string]: unknown;
}

/** Words that say nothing about a value. */
const ANNOTATIONS = new Set(['$schema', '$defs', 'title', 'description']);

const typeOf = (value: unknown): string =>
  Array.isArray(value) ? 'array' : value === null ? 'null' : Number.isInteger(value) ? 'integer' : typeof value;

const own = (object: object, key: string): unknown =>
  Object.hasOwn(object, key) ? Reflect.get(object, key) : undefined;

export class Validator {
  readonly #root: Schema;
  /** `#/$defs/drop/properties/iface`: every property that a value has had. */
  readonly occurred = new Set<string>();

  constructor(root: Schema) {
    this.#root = root;
  }

  /** What is wrong with the value, each in a sentence; nothing where it is right. */
  check(value: unknown): string[] {
    return this.#check(this.#root, '#', value, '$', this.occurred);
  }

  /** Every property that the schema speaks of, written like `occurred`. */
  properties(schema: unknown = this.#root, at = '#'): string[] {
    if (typeof schema !== 'object' || schema === null) return [];
    return Object.entries(schema).flatMap(([key, below]) => [
      ...(at.endsWith('/properties') ? [`${at}/${key}`] : []),
      ...this.properties(below, `${at}/${key}`),
    ]);
  }

  #check(schema: Schema, at: string, value: unknown, path: string, occurred: Set<string>): string[] {
    return Object.entries(schema).flatMap(([word, wanted]) => {
      if (ANNOTATIONS.has(word)) return [];
      const wrong = (text: string): string[] => [`${path}: ${text}`];
      const size = typeof value === 'string' || Array.isArray(value) ? value.length : Number.NaN;
      const object = typeof value === 'object' && value !== null ? value : {};
      switch (word) {
        case '$ref':
          return this.#check(this.#resolve(String(wanted)), String(wanted), value, path, occurred);
        case 'oneOf':
          return this.#checkOneOf(wanted as Schema[], `${at}/oneOf`, value, path, occurred);
        case 'type': {
          const type = typeOf(value);
          const fits = type === wanted || (type === 'integer' && wanted === 'number');
          return fits ? [] : wrong(`${type}, not ${wanted}`);
        }
        case 'const':
          return value === wanted ? [] : wrong(`${JSON.stringify(value)}, not ${JSON.stringify(wanted)}`);
        case 'enum':
          return (wanted as unknown[]).includes(value) ? [] : wrong(`${JSON.stringify(value)} is not in the enum`);
        case 'pattern':
          return new RegExp(String(wanted), 'u').test(String(value)) ? [] : wrong(`${value} does not match ${wanted}`);
        case 'minimum':
          return Number(value) >= Number(wanted) ? [] : wrong(`${value} < ${wanted}`);
        case 'maximum':
          return Number(value) <= Number(wanted) ? [] : wrong(`${value} > ${wanted}`);
        case 'minLength':
        case 'minItems':
          return size >= Number(wanted) ? [] : wrong(`shorter than ${wanted}`);
        case 'maxLength':
        case 'maxItems':
          return size <= Number(wanted) ? [] : wrong(`longer than ${wanted}`);
        case 'items':
          return (Array.isArray(value) ? value : []).flatMap((item, i) =>
            this.#check(wanted as Schema, `${at}/items`, item, `${path}[${i}]`, occurred),
          );
        case 'properties':
          return Object.entries(object).flatMap(([key, item]) => {
            const below = own(wanted as object, key);
            if (below === undefined) return [];
            const place = `${at}/properties/${key}`;
            occurred.add(place);
            return this.#check(below as Schema, place, item, `${path}.${key}`, occurred);
          });
        case 'required':
          return (wanted as string[]).flatMap((key) => (Object.hasOwn(object, key) ? [] : wrong(`no ${key}`)));
        case 'dependentRequired':
          return Object.entries(wanted as Record<string, string[]>).flatMap(([key, others]) =>
            others.flatMap((other) =>
              Object.hasOwn(object, key) && !Object.hasOwn(object, other) ? wrong(`${key} without ${other}`) : [],
            ),
          );
        case 'additionalProperties': {
          if (wanted !== false) throw new TypeError(`${at}: additionalProperties is not false`);
          const known = Object.keys((schema.properties ?? {}) as object);
          return Object.keys(object).flatMap((key) => (known.includes(key) ? [] : wrong(`unknown property ${key}`)));
        }
        default:
          throw new TypeError(`${at}: the schema says ${word}, which is not understood here`);
      }
    });
  }

  /** Where none fits, the faults of the alternative that comes nearest. */
  #checkOneOf(
    alternatives: readonly Schema[],
    at: string,
    value: unknown,
    path: string,
    occurred: Set<string>,
  ): string[] {
    const tried = alternatives.map((alternative, i) => {
      const met = new Set<string>();
      return { met, faults: this.#check(alternative, `${at}/${i}`, value, path, met) };
    });
    const fitting = tried.filter(({ faults }) => faults.length === 0);
    if (fitting.length > 1) return [`${path}: fits ${fitting.length} alternatives`];
    if (fitting.length === 0) return tried.map(({ faults }) => faults).sort((a, b) => a.length - b.length)[0] ?? [];
    for (const place of fitting[0]!.met) occurred.add(place);
    return [];
  }

  #resolve(reference: string): Schema {
    const keys = reference.split('/');
    if (keys.shift() !== '#') throw new TypeError(`${reference} leads out of the document`);
    let found: unknown = this.#root;
    for (const key of keys) found = own(found as object, key);
    if (typeof found !== 'object' || found === null) throw new TypeError(`${reference} leads nowhere`);
    return found as Schema;
  }
}
