import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** Where an address of kernel code lies. */
export interface SymbolPlace {
  readonly name: string;
  /** Bytes from the symbol's start. */
  readonly offset: number;
  /** The module it belongs to; undefined for the kernel itself. */
  readonly module: string | undefined;
}

const NEWLINE = 0x0a;
const DOLLAR = 0x24;
/** An address in /proc/kallsyms, on a 64-bit kernel (v6.12 kernel/kallsyms.c, s_show(): %px). */
const DIGITS = 16;
const NAME_AT = '0000000000000000 t '.length;
/** The list has no sizes. No function of the kernel comes near this; the interpreter of BPF has some 30 KiB. */
const LONGEST_FUNCTION = 256n * 1024n;
const SHORTEST_LINE = '0000000000000000 t x\n'.length;

/**
 * The kernel's symbols, from the text of /proc/kallsyms: `ffffffff81000000 T name\t[module]` a line.
 *
 * One pass over the bytes keeps each line's address and place; names become strings only when they are asked for.
 * The file is sorted neither across modules nor everywhere within the kernel, so it is sorted here.
 */
export class KernelSymbols {
  /** Every address reads as zero: the kernel hides them from this process (kptr_restrict). */
  readonly hidden: boolean;
  readonly #text: Buffer;
  /** Ascending; among equal addresses in file order. */
  readonly #addresses: BigUint64Array;
  /** Where each one's line starts in the text. */
  readonly #lines: Uint32Array;

  constructor(text: Buffer) {
    const listed = scan(text);
    const { halves, lines } = listed.sorted ? listed : ascending(listed);
    this.#text = text;
    this.hidden = listed.hidden;
    // x86-64 and arm64 are little-endian, and the low half comes first.
    this.#addresses = new BigUint64Array(halves.buffer, 0, lines.length);
    this.#lines = lines;
  }

  get count(): number {
    return this.#addresses.length;
  }

  /**
   * The function that holds `address`, or undefined: below the first symbol, after data, too far behind any
   * function (code that is not listed, such as a BPF program with net.core.bpf_jit_kallsyms=0), or symbols are hidden.
   * Of several symbols at one address the first one listed is taken, as the kernel itself does for `%pS`
   * (v6.12 kernel/kallsyms.c, get_symbol_pos()).
   */
  find(address: bigint): SymbolPlace | undefined {
    if (this.hidden) return undefined;
    const last = upperBound(this.#addresses, address) - 1;
    const start = this.#addresses[last];
    if (start === undefined || start === 0n || address - start > LONGEST_FUNCTION) return undefined;
    for (let i = upperBound(this.#addresses, start - 1n); i <= last; i++) {
      const { type, name, module } = this.#line(i);
      if ('tTwW'.includes(type)) return { name, offset: Number(address - start), module };
    }
    return undefined;
  }

  /**
   * Where a call returned to: the instruction after the call may already belong to the next function, so the byte
   * before it is looked up. The offset is that of `address` itself.
   */
  findReturn(address: bigint): SymbolPlace | undefined {
    const place = this.find(address - 1n);
    return place && { ...place, offset: place.offset + 1 };
  }

  #line(index: number): { type: string; name: string; module: string | undefined } {
    const start = this.#lines[index]!;
    let end = this.#text.indexOf(NEWLINE, start);
    if (end < 0) end = this.#text.length;
    const [, type = '', rest = ''] = this.#text.toString('latin1', start, end).split(' ');
    const [name = '', module] = rest.split('\t');
    return { type, name, module: module?.slice(1, -1) };
  }
}

/** The index of the first element greater than `value`. */
function upperBound(sorted: BigUint64Array, value: bigint): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Scan {
  /** The addresses, each as its low and its high half: as BigInts they would take ten times as long to compare. */
  readonly halves: Uint32Array;
  /** Where each one's line starts. */
  readonly lines: Uint32Array;
  readonly sorted: boolean;
  /** All of them are zero. A few zeros are normal (per-CPU symbols on some kernels). */
  readonly hidden: boolean;
}

function scan(text: Buffer): Scan {
  const room = Math.ceil(text.length / SHORTEST_LINE) + 1;
  const halves = new Uint32Array(2 * room);
  const lines = new Uint32Array(room);
  let count = 0;
  let sorted = true;
  let hidden = true;
  let [previousHigh, previousLow] = [0, 0];
  for (let start = 0; start + DIGITS < text.length && count < room; ) {
    const next = text.indexOf(NEWLINE, start + DIGITS);
    const end = next < 0 ? text.length : next + 1;
    // `$x` and `$d` mark code and data in arm64's modules; the kernel's own look-up passes over them too
    // (v6.12 include/linux/module_symbol.h, is_mapping_symbol()).
    if (text[start + NAME_AT] === DOLLAR) {
      start = end;
      continue;
    }
    const high = hex8(text, start);
    const low = hex8(text, start + 8);
    halves[2 * count] = low;
    halves[2 * count + 1] = high;
    lines[count++] = start;
    if (high < previousHigh || (high === previousHigh && low < previousLow)) sorted = false;
    if (high !== 0 || low !== 0) hidden = false;
    previousHigh = high;
    previousLow = low;
    start = end;
  }
  return { halves, lines: lines.subarray(0, count), sorted, hidden };
}

/** The same by ascending address; equal ones stay in their order. */
function ascending({ halves, lines }: Pick<Scan, 'halves' | 'lines'>): Pick<Scan, 'halves' | 'lines'> {
  const order: number[] = [];
  for (let i = 0; i < lines.length; i++) order.push(i);
  order.sort((a, b) => halves[2 * a + 1]! - halves[2 * b + 1]! || halves[2 * a]! - halves[2 * b]!);
  const [sortedHalves, sortedLines] = [new Uint32Array(2 * lines.length), new Uint32Array(lines.length)];
  for (let to = 0; to < lines.length; to++) {
    const from = order[to]!;
    sortedHalves[2 * to] = halves[2 * from]!;
    sortedHalves[2 * to + 1] = halves[2 * from + 1]!;
    sortedLines[to] = lines[from]!;
  }
  return { halves: sortedHalves, lines: sortedLines };
}

/** Turns addresses into `name+0x1c [module]`, and says when it cannot. Reads /proc/kallsyms at the first use. */
export class Symbolizer {
  readonly #file: string;
  readonly #moduleList: string;
  #symbols: KernelSymbols | undefined;
  /** The modules that were there when the symbols were read. */
  #modules = '';
  #reloads = 0;
  /** Why the file cannot be read. */
  #refusal: string | undefined;
  readonly #returns = new Map<bigint, SymbolPlace | undefined>();

  constructor(file: string = '/proc/kallsyms', moduleList: string = '/proc/modules') {
    this.#file = file;
    this.#moduleList = moduleList;
  }

  /** Reads the symbols ahead of the first question. The kernel takes its time to write them out. */
  async load(): Promise<void> {
    if (this.#symbols !== undefined) return;
    this.#modules = this.#loadedModules();
    this.#symbols = new KernelSymbols(await readFile(this.#file).catch((error: unknown) => this.#nothing(error)));
  }

  /** How many symbols there are. */
  get count(): number {
    return this.#table().count;
  }

  /** Whether there are symbols whose addresses are not shown to this process. */
  get hidden(): boolean {
    return this.count > 0 && this.#table().hidden;
  }

  /** Why there are no names, or undefined where there are. */
  get problem(): string | undefined {
    if (this.count === 0) {
      const why = this.#refusal ?? 'the kernel lists no symbols (CONFIG_KALLSYMS is off)';
      return `${why}, so functions are shown as numbers`;
    }
    if (!this.hidden) return undefined;
    return (
      'the kernel hides its addresses from this process, so functions are shown as numbers; ' +
      'run as root (or with CAP_SYSLOG), with sysctl kernel.kptr_restrict=1 or 0'
    );
  }

  /** The place a call returned to; see KernelSymbols.findReturn. Looked up once for each address. */
  findReturn(address: bigint): SymbolPlace | undefined {
    let place = this.#returns.get(address);
    if (place === undefined && !this.#returns.has(address)) {
      // A module that was loaded since would be taken for whatever function lies below it.
      if (this.#symbols !== undefined && this.#loadedModules() !== this.#modules) this.#symbols = undefined;
      place = this.#table().findReturn(address);
      // So may code that is no module; but never read the file again and again for one odd address.
      if (place === undefined && !this.#table().hidden && this.#reloads < MAX_RELOADS) {
        this.#reloads++;
        this.#symbols = undefined;
        place = this.#table().findReturn(address);
      }
      this.#returns.set(address, place);
    }
    return place;
  }

  /** Their names: the rest of the list, such as who uses them, changes all the time. */
  #loadedModules(): string {
    try {
      return readFileSync(this.#moduleList, 'latin1').replace(/ .*/g, '');
    } catch {
      // A kernel without modules has no such file.
      return '';
    }
  }

  #read(): Buffer {
    try {
      return readFileSync(this.#file);
    } catch (error) {
      return this.#nothing(error);
    }
  }

  /** A kernel without CONFIG_KALLSYMS has no such file, and not everybody may read it: no symbols, which is no fault. */
  #nothing(error: unknown): Buffer {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') this.#refusal = `${this.#file} cannot be read (${code})`;
    else if (code !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }

  #table(): KernelSymbols {
    if (this.#symbols === undefined) {
      this.#modules = this.#loadedModules();
      this.#symbols = new KernelSymbols(this.#read());
    }
    return this.#symbols;
  }
}

const MAX_RELOADS = 4;

/** `tcp_v4_rcv+0x9d`, `br_handle_frame+0x1 [bridge]`, or `0xffffffff81234567` where the place is not known. */
export function formatPlace(place: SymbolPlace | undefined, address: bigint): string {
  if (place === undefined) return `0x${address.toString(16)}`;
  const module = place.module === undefined ? '' : ` [${place.module}]`;
  return `${place.name}+0x${place.offset.toString(16)}${module}`;
}

/** The number that eight lower-case hexadecimal digits spell. */
function hex8(text: Buffer, start: number): number {
  let value = 0;
  for (let i = start; i < start + 8; i++) {
    const byte = text[i]!;
    // '0'-'9' are 0x30-0x39, 'a'-'f' are 0x61-0x66.
    value = (value << 4) | (byte < 0x40 ? byte - 0x30 : byte - 0x57);
  }
  return value >>> 0;
}
