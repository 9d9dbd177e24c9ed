import {
  alu64,
  type Code,
  call,
  comment,
  fp,
  type Instruction,
  load,
  mov,
  type Register,
  r1,
  r2,
  r3,
  store,
} from '../../asm/index.ts';
import type { Btf, Field } from '../../btf/index.ts';
import type { ProgramSpec } from '../bpf/program.ts';
import { type Host, TRACEPOINT } from '../kernel/host.ts';
import type { TracepointField } from '../kernel/tracefs.ts';
import { ARGUMENTS, tracepointArguments } from '../kernel/tracepoint.ts';
import { NotSupportedError } from '../sys/errors.ts';
import type { AttachMode } from './attach-mode.ts';

export { type AttachMode, attachModes } from './attach-mode.ts';

/** What the tracepoint is called with. `reason` is there since Linux 5.17 and in some backports. */
export type Argument = 'skb' | 'location' | 'reason';

/**
 * How a program gets at the drop: the one thing that differs between the ways to attach.
 *
 * Each method returns instructions that leave a value in `dst`. They are free to use r0-r5, so what must outlive
 * them belongs into r6-r9, and `base` is one of those too.
 */
export interface DropContext {
  readonly mode: AttachMode;
  readonly program: Pick<ProgramSpec, 'type' | 'attachBtfId'>;
  /**
   * What the program returns. On the tracepoint itself 0 would keep the event from everybody else who counts it
   * (v6.12 kernel/trace/trace_events.c and bpf_trace.c, perf_trace_run_bpf_submit()); elsewhere nobody asks.
   */
  readonly returns: 0 | 1;
  /** False on kernels whose tracepoint carries no reason. */
  readonly hasReason: boolean;
  /** False where the kernel lets no program read its memory: lockdown=confidentiality. */
  readonly mayRead: boolean;
  /** dst = an argument of the tracepoint; `ctx` holds what the program was given in r1. */
  argument(dst: Register, ctx: Register, argument: Argument): Code;
  /** Whether `field()` can read this path, `sk_buff.len`: the type information must be there, and no lockdown. */
  canRead(path: string): boolean;
  /** dst = the field of the structure that `base` points at, zero-extended; 0 where the memory cannot be read. */
  field(dst: Register, base: Register, path: string): Code;
  /** Copies the field's bytes to the stack, at fp + `at` (a multiple of 8); zeros where it cannot be read. */
  copyField(at: number, base: Register, path: string): Code;
}

/** Where `field()` has bpf_probe_read_kernel() put what it reads: the lowest word of the stack. */
const SCRATCH = -512;
const BPF_PROBE_READ_KERNEL = 113; // enum bpf_func_id, include/uapi/linux/bpf.h; requires Linux 5.5

/**
 * What a program goes without, where the kernel has refused it otherwise. Some things kernels say only by refusing: how
 * many arguments a tracepoint has where there is no BTF, and that lockdown forbids reading memory.
 */
export interface Without {
  readonly reason?: boolean;
  /** Fields of structures. */
  readonly memory?: boolean;
}

/**
 * The context reader for one way to attach.
 *
 * @throws NotSupportedError where this kernel cannot be attached to in this way; PermissionError
 */
export function dropContext(mode: AttachMode, host: Host, without: Without = {}): DropContext {
  switch (mode) {
    case 'tp_btf':
      return tracingContext(host.btf);
    case 'raw_tp':
      return rawTracepointContext(host.btf, without);
    case 'tracepoint':
      return tracepointContext(host.tracepoint().fields, host.btf, without);
  }
}

/** BTF tells the verifier what the pointers are: fields are read with plain loads that cannot fault. */
function tracingContext(btf: Btf | undefined): DropContext {
  const attachBtfId = btf?.find(`btf_trace_${TRACEPOINT.name}`, 'typedef');
  const names = tracepointArguments(btf);
  if (btf === undefined || attachBtfId === undefined || names === undefined) {
    throw new NotSupportedError(`BTF for the tracepoint ${TRACEPOINT.name}`, { minimum: '5.5' });
  }
  return {
    mode: 'tp_btf',
    program: { type: 'TRACING', attachBtfId },
    returns: 0,
    hasReason: names.includes('reason'),
    mayRead: true,
    argument: argumentOf(names),
    canRead: (path) => btf.tryField(path) !== undefined,
    field: (dst, base, path) => {
      const field = btf.field(path);
      return comment(origin(dst, path, field), loadBytes(dst, base, field.offset, field.size));
    },
    copyField: (at, base, path) => {
      const field = btf.field(path);
      const words: Code[] = [];
      for (let done = 0; done < field.size; done += 8) {
        words.push(load.u64(r1, base, field.offset + done), store.u64(fp, at + done, r1));
      }
      return comment(`copy ${path}, ${field.size} bytes from byte ${field.offset} on, a word at a time`, words);
    },
  };
}

/**
 * Needs neither BTF nor tracefs for the arguments. How many there are, the kernel says by refusing to attach a
 * program that reads more (v5.4 kernel/trace/bpf_trace.c, max_ctx_offset); fields need BTF for their offsets.
 */
function rawTracepointContext(btf: Btf | undefined, without: Without): DropContext {
  const names = tracepointArguments(btf) ?? ARGUMENTS.slice(0, without.reason ? 2 : 3);
  return {
    mode: 'raw_tp',
    program: { type: 'RAW_TRACEPOINT' },
    returns: 0,
    hasReason: names.includes('reason'),
    argument: argumentOf(names),
    ...readerByHelper(btf, without),
  };
}

/** The textbook way: the arguments stand in the tracepoint's record, where its format file says. */
function tracepointContext(
  record: ReadonlyMap<string, TracepointField>,
  btf: Btf | undefined,
  without: Without,
): DropContext {
  const column = { skb: 'skbaddr', location: 'location', reason: 'reason' } as const;
  return {
    mode: 'tracepoint',
    program: { type: 'TRACEPOINT' },
    returns: 1,
    hasReason: record.has('reason'),
    argument: (dst, ctx, argument) => {
      const field = record.get(column[argument]);
      if (field === undefined) throw missing(argument);
      return comment(
        `r${dst.index} = ${argument}: ${field.size} bytes at ${field.offset}, says tracefs`,
        loadBytes(dst, ctx, field.offset, field.size),
      );
    },
    ...readerByHelper(btf, without),
  };
}

/** The arguments are an array of 64-bit words. */
function argumentOf(names: readonly string[]): DropContext['argument'] {
  return (dst, ctx, argument) => {
    const index = names.indexOf(argument);
    if (index < 0) throw missing(argument);
    const what = `r${dst.index} = ${argument}, argument ${index} of the tracepoint`;
    // The reason is a 32-bit enum; what stands above it in its word is nobody's promise.
    return comment(what, argument === 'reason' ? load.u32(dst, ctx, 8 * index) : load.u64(dst, ctx, 8 * index));
  };
}

/** Fields read by bpf_probe_read_kernel(), which leaves zeros where the memory is not there. */
function readerByHelper(
  btf: Btf | undefined,
  { memory: forbidden = false }: Without,
): Pick<DropContext, 'mayRead' | 'canRead' | 'field' | 'copyField'> {
  const need = (path: string): Field => {
    if (btf === undefined) throw new NotSupportedError('BTF to find fields by');
    return btf.field(path);
  };
  const read = (at: number, base: Register, offset: number, size: number): readonly Instruction[] => [
    mov(r1, fp),
    alu64.add(r1, at),
    mov(r2, size),
    mov(r3, base),
    alu64.add(r3, offset),
    call(BPF_PROBE_READ_KERNEL, 'bpf_probe_read_kernel'),
  ];
  return {
    mayRead: !forbidden,
    canRead: (path) => !forbidden && btf?.tryField(path) !== undefined,
    field: (dst, base, path) => {
      const field = need(path);
      return comment(origin(dst, path, field), [
        read(SCRATCH, base, field.offset, field.size),
        loadBytes(dst, fp, SCRATCH, field.size),
      ]);
    },
    copyField: (at, base, path) => {
      const field = need(path);
      return comment(`copy ${path}, ${field.size} bytes at ${field.offset}`, read(at, base, field.offset, field.size));
    },
  };
}

function missing(argument: Argument): NotSupportedError {
  return argument === 'reason'
    ? new NotSupportedError('reason in its drops', { minimum: '5.17' })
    : new NotSupportedError(`argument ${argument} in the tracepoint ${TRACEPOINT.name}`);
}

function origin(dst: Register, path: string, field: Field): string {
  return `r${dst.index} = ${path}: ${field.size} bytes at ${field.offset}, says BTF`;
}

function loadBytes(dst: Register, base: Register, offset: number, size: number): Instruction {
  switch (size) {
    case 1:
      return load.u8(dst, base, offset);
    case 2:
      return load.u16(dst, base, offset);
    case 4:
      return load.u32(dst, base, offset);
    case 8:
      return load.u64(dst, base, offset);
    default:
      throw new RangeError(`a field of ${size} bytes does not fit a register`);
  }
}
