import type { Btf } from './btf.ts';
import { MAX_DEPTH } from './format.ts';
import { sizeOf } from './layout.ts';
import type { BtfType, CompositeType, Enum64Type, EnumType, FuncProtoType } from './types.ts';

export interface PrintOptions {
  /** What one level is indented by; a tab by default. */
  readonly indent?: string;
  /**
   * Says of each member where it is, from the start of the printed type, and how large: `offset size` in bytes, or of
   * a bit-field `byte:bit width`.
   */
  readonly offsets?: boolean;
}

/**
 * The C definition of one type, laid out as `bpftool btf dump … format c` does it: with the padding and the packed
 * attribute a compiler needs to arrive at the same layout. Anonymous types are spelt out within it; named ones are
 * named.
 *
 * @throws BtfNotFoundError where there is no such type
 * @throws BtfError
 */
export function printType(btf: Btf, id: number, options: PrintOptions = {}): string {
  return new Printer(btf, options).definition(btf.type(id));
}

/** How C spells a type without a name: `char *`, `struct {...}`, `int (*)(void)`. */
export function spellType(btf: Btf, id: number): string {
  return new Printer(btf, {}, true).declaration(id, '', TOP);
}

/** No C definition in a kernel comes near; damaged BTF can spell out one anonymous type exponentially often. */
const MOST_CHARACTERS = 1 << 20;

/** Where something is printed. */
interface Place {
  /** How far it is indented. */
  readonly level: number;
  /** How many types led to it. */
  readonly depth: number;
  /** Bits from the start of the printed type. */
  readonly bit: number;
}

const TOP: Place = { level: 0, depth: 0, bit: 0 };

const deeper = (at: Place, types: number): Place => ({ ...at, depth: at.depth + types });

class Printer {
  readonly #btf: Btf;
  readonly #indent: string;
  readonly #offsets: boolean;
  /** Leave out what is between the braces of anonymous types. */
  readonly #brief: boolean;
  #printed = 0;

  constructor(btf: Btf, options: PrintOptions, brief = false) {
    this.#btf = btf;
    this.#indent = options.indent ?? '\t';
    this.#offsets = options.offsets ?? false;
    this.#brief = brief;
  }

  definition(type: BtfType): string {
    switch (type.kind) {
      case 'struct':
      case 'union':
        return `${this.#composite(type, TOP)};`;
      case 'enum':
      case 'enum64':
        return `${this.#enumeration(type, 0)};`;
      case 'fwd':
        return `${type.of} ${type.name};`;
      case 'typedef':
        return `typedef ${this.declaration(type.type, type.name, TOP)};`;
      case 'func': {
        const linkage = type.linkage === 'global' ? '' : `${type.linkage} `;
        return `${linkage}${this.declaration(type.type, type.name, TOP)};`;
      }
      case 'var': {
        const linkage = type.linkage === 'global' ? '' : `${type.linkage} `;
        return `${linkage}${this.declaration(type.type, type.name, TOP)};`;
      }
      case 'datasec':
        return this.#section(type.name, type.vars);
      case 'decl_tag':
        return `/* ${tag('btf_decl_tag', type.name, type.attribute)} on ${this.#btf.typeName(type.type)} */`;
      default:
        return `${this.declaration(type.id, '', TOP)};`;
    }
  }

  /**
   * A declaration of `name` with that type; without a name, the type alone.
   *
   * C writes a declarator from the inside out: `int (*name[4])(void)` is read from the name on. So the outermost type
   * of BTF is the first to be wrapped around the name, and what is not a declarator remains and stands in front.
   */
  declaration(id: number, name: string, at: Place): string {
    let declarator = name;
    /** Qualifiers met since the last pointer, array or function: they belong to what comes next. */
    let qualifiers: string[] = [];
    let current = id;
    for (let hops = 0; ; hops++) {
      if (hops + at.depth > MAX_DEPTH) throw this.#btf.error(current, '', `more than ${MAX_DEPTH} types lead to it`);
      const type = this.#btf.type(current);
      switch (type.kind) {
        case 'const':
        case 'volatile':
        case 'restrict':
          // An array and its elements are both const where C says it once.
          if (!qualifiers.includes(type.kind)) qualifiers.push(type.kind);
          current = type.type;
          continue;
        case 'type_tag':
          qualifiers.push(tag('btf_type_tag', type.name, type.attribute));
          current = type.type;
          continue;
        case 'ptr':
          declarator = pointer(qualifiers, declarator);
          qualifiers = [];
          current = type.type;
          continue;
        case 'array':
          declarator = `${parenthesized(declarator)}[${type.count}]`;
          current = type.type;
          continue;
        case 'func_proto':
          declarator = `${parenthesized(declarator)}(${this.#parameters(type, deeper(at, hops + 1))})`;
          qualifiers = [];
          current = type.returns;
          continue;
        default: {
          const base = [...qualifiers.reverse(), this.#base(type, deeper(at, hops + 1))].join(' ');
          return this.#count(
            declarator === '' || declarator.startsWith('[') ? `${base}${declarator}` : `${base} ${declarator}`,
          );
        }
      }
    }
  }

  /** A type that is no declarator: a name, or the definition of an anonymous type. */
  #base(type: BtfType, at: Place): string {
    switch (type.kind) {
      case 'struct':
      case 'union':
        if (type.name !== '') return `${type.kind} ${type.name}`;
        return this.#brief ? `${type.kind} {...}` : this.#composite(type, at);
      case 'enum':
      case 'enum64':
        if (type.name !== '') return `enum ${type.name}`;
        return this.#brief ? 'enum {...}' : this.#enumeration(type, at.level);
      case 'fwd':
        return `${type.of} ${type.name}`;
      case 'void':
        return 'void';
      default:
        return type.name === '' ? `/* ${type.kind} */` : type.name;
    }
  }

  #parameters(type: FuncProtoType, at: Place): string {
    const params = type.params.map((param) => this.declaration(param.type, param.name, at));
    if (type.variadic) params.push('...');
    return params.length === 0 ? 'void' : params.join(', ');
  }

  #composite(type: CompositeType, at: Place): string {
    const packed = this.#btf.isPacked(type) && type.kind === 'struct';
    const head = type.name === '' ? type.kind : `${type.kind} ${type.name}`;
    const lines = this.#members(type, packed, { ...at, level: at.level + 1 });
    const tail = packed ? ' __attribute__((packed))' : '';
    if (lines.length === 0) return `${head} {${type.size > 0 ? `\n${this.#indent.repeat(at.level)}` : ''}}${tail}`;
    const inner = this.#indent.repeat(at.level + 1);
    return `${head} {\n${lines.map((line) => `${inner}${line}\n`).join('')}${this.#indent.repeat(at.level)}}${tail}`;
  }

  #members(type: CompositeType, packed: boolean, at: Place): string[] {
    const lines: string[] = [];
    /** The bit up to which the members so far reach, for a compiler that lays them out. */
    let end = 0;
    let afterBitField = false;
    for (const member of type.members) {
      const bitField = member.bitSize !== undefined;
      const bit = at.bit + member.bitOffset;
      const align = packed ? 1 : this.#btf.alignof(member.type);
      if (type.kind === 'struct') lines.push(...this.#padding(end, member.bitOffset, align, afterBitField && bitField));
      const declaration = this.declaration(member.type, member.name, { ...at, bit });
      const size = sizeOf(this.#btf, member.type) ?? 0;
      lines.push(`${declaration}${bitField ? `: ${member.bitSize}` : ''};${this.#comment(bit, member.bitSize, size)}`);
      end = member.bitOffset + (member.bitSize ?? size * 8);
      afterBitField = bitField;
    }
    if (type.kind === 'struct') {
      lines.push(...this.#padding(end, type.size * 8, this.#btf.alignof(type.id), false));
    }
    return lines;
  }

  #comment(bit: number, bitSize: number | undefined, size: number): string {
    if (!this.#offsets) return '';
    const byte = Math.floor(bit / 8);
    return bitSize === undefined ? ` /* ${byte} ${size} */` : ` /* ${byte}:${bit % 8} ${bitSize} bits */`;
  }

  /**
   * Unnamed bit-fields that move a compiler from bit `from` to bit `to`, where it would not go by itself.
   *
   * The widest type that has a boundary in the gap leads there: by the alignment of what follows if that is enough,
   * else with `type: 0`, or among bit-fields with a counted width. Whole ones fill the rest.
   */
  #padding(from: number, to: number, nextAlign: number, amongBitFields: boolean): string[] {
    if (from >= to) return [];
    const pads = [
      { name: 'long', bits: this.#btf.pointerSize * 8 },
      { name: 'int', bits: 32 },
      { name: 'short', bits: 16 },
      { name: 'char', bits: 8 },
    ];
    const lines: string[] = [];
    const widest = pads.find((pad) => roundUp(from, pad.bits) <= to) ?? pads.at(-1)!;
    const boundary = roundUp(from, widest.bits);
    let at = from;
    if (boundary > from && boundary <= to) {
      const unaided = boundary === to && roundUp(from, nextAlign * 8) !== boundary;
      const swallowed = boundary !== to && to - boundary <= boundary - from;
      if (amongBitFields || unaided || swallowed) {
        lines.push(`${widest.name}: ${amongBitFields ? boundary - from : 0};`);
      }
      at = boundary;
    }
    const whole = Math.floor((to - at) / widest.bits);
    if (whole > MOST_PADS) {
      lines.push(`char __padding_${at / 8}[${(whole * widest.bits) / 8}];`);
    } else {
      for (let i = 0; i < whole; i++) lines.push(`${widest.name}: ${widest.bits};`);
    }
    const rest = to - at - whole * widest.bits;
    if (rest > 0) lines.push(`${pads.findLast((pad) => pad.bits >= rest)!.name}: ${rest};`);
    this.#count(lines.join());
    return lines;
  }

  #enumeration(type: EnumType | Enum64Type, level: number): string {
    const head = type.name === '' ? 'enum' : `enum ${type.name}`;
    const inner = this.#indent.repeat(level + 1);
    const suffix = type.kind === 'enum' ? '' : type.signed ? 'LL' : 'ULL';
    const lines = type.values.map(({ name, value }) => this.#count(`${inner}${name} = ${value}${suffix},\n`));
    const mode = enumMode(type);
    if (lines.length === 0) return `${head}${mode}`;
    return `${head} {\n${lines.join('')}${this.#indent.repeat(level)}}${mode}`;
  }

  #section(name: string, vars: readonly { type: number; offset: number; size: number }[]): string {
    const lines = vars.map(({ type, offset, size }) => {
      const variable = this.#btf.type(type);
      const what =
        variable.kind === 'var' ? this.declaration(variable.type, variable.name, TOP) : this.#btf.typeName(type);
      return this.#count(`${this.#indent}${what}; /* ${offset} ${size} */\n`);
    });
    return `/* section ${name} */ {\n${lines.join('')}};`;
  }

  #count(text: string): string {
    this.#printed += text.length;
    if (this.#printed > MOST_CHARACTERS) {
      throw this.#btf.error(0, '', `a definition has more than ${MOST_CHARACTERS} characters`);
    }
    return text;
  }
}

/** Larger gaps become one array, so that a damaged size cannot ask for millions of lines. */
const MOST_PADS = 4096;

const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/** `*name`, `* const name`, between two pointers `* const *name`, and before a function's name `* (*name)`. */
function pointer(qualifiers: readonly string[], declarator: string): string {
  const words = qualifiers.map((qualifier) => ` ${qualifier}`).join('');
  const space = declarator !== '' && (words !== '' || declarator.startsWith('(')) ? ' ' : '';
  return `*${words}${space}${declarator}`;
}

/** Brackets and parameters bind tighter than `*`. */
const parenthesized = (declarator: string): string => (declarator.startsWith('*') ? `(${declarator})` : declarator);

const tag = (word: string, name: string, attribute: boolean): string =>
  attribute ? `__attribute__((${name}))` : `__attribute__((${word}("${name}")))`;

/** An enum is an int to a compiler unless it is told otherwise. */
function enumMode(type: EnumType | Enum64Type): string {
  const mode = { 1: 'byte', 2: 'HI', 8: type.kind === 'enum' ? 'DI' : undefined }[type.size];
  return mode === undefined ? '' : ` __attribute__((mode(${mode})))`;
}
