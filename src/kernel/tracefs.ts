import { readFileSync, statSync } from 'node:fs';
import { explainPermission } from '../sys/capabilities.ts';
import { NotSupportedError, SyscallError } from '../sys/errors.ts';
import type { Fd } from '../sys/fd.ts';
import { detachedMount } from '../sys/mount.ts';
import { errno } from '../sys/syscall.ts';

/** One field of a tracepoint's record, as its format file gives it. */
export interface TracepointField {
  readonly name: string;
  /** C type as written there: `unsigned short`. */
  readonly type: string;
  /** Bytes from the start of the record. */
  readonly offset: number;
  readonly size: number;
  readonly signed: boolean;
}

/** What tracefs says of a tracepoint. */
export interface TracepointFormat {
  readonly id: number;
  readonly fields: ReadonlyMap<string, TracepointField>;
  /** The names that the print format gives to numbers, per field: reason → 2 → NOT_SPECIFIED. */
  readonly symbols: ReadonlyMap<string, ReadonlyMap<number, string>>;
}

/** Only root may look into tracefs; the capability stands in for it. */
const TRACEFS = ['CAP_DAC_READ_SEARCH'] as const;

/** Where tracefs is mounted by custom; the second is debugfs's automount of it. */
const MOUNT_POINTS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

/**
 * Reads the format and the id of a tracepoint, `skb/kfree_skb`.
 *
 * Where tracefs is mounted nowhere, it is mounted for this process's eyes only: the host's mounts stay as they are.
 *
 * @throws PermissionError, NotSupportedError where the kernel has no tracefs or not this tracepoint
 */
export function tracepointFormat(name: string): TracepointFormat {
  return explainPermission('read tracefs', TRACEFS, () => {
    const mounted = mountedTracefs();
    if (mounted !== undefined) return readFormat(mounted, name);
    using mount: Fd = explainPermission('read tracefs, which is not mounted', ['CAP_SYS_ADMIN'], () =>
      detachedMount('tracefs'),
    );
    return readFormat(`/proc/self/fd/${mount.fd}`, name);
  });
}

/**
 * Where tracefs is mounted; undefined where it is not, or not where it is by custom.
 *
 * @throws SyscallError EACCES where this process may not look
 */
export function mountedTracefs(): string | undefined {
  return MOUNT_POINTS.find((folder) => isThere(`${folder}/events`));
}

/** access(2), and with it existsSync(), does not know of capabilities; stat(2) does. */
function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    const { errno: negative = -errno.ENOENT, code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new SyscallError('stat', -negative, `stat(${path})`);
  }
}

/** @throws SyscallError, which callers know by its number: EPERM under lockdown, EACCES without rights */
function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const { errno: negative } = error as NodeJS.ErrnoException;
    throw negative === undefined ? error : new SyscallError('open', -negative, `open(${path})`);
  }
}

function readFormat(root: string, name: string): TracepointFormat {
  const folder = `${root}/events/${name}`;
  if (!isThere(folder)) throw new NotSupportedError(`tracepoint ${name.replace('/', ':')}`);
  return parseFormat(readText(`${folder}/format`), Number(readText(`${folder}/id`).trim()));
}

/**
 * Parses a tracepoint's format file (v6.12 kernel/trace/trace_events.c, f_show()).
 *
 * @throws NotSupportedError where it does not look like one
 */
export function parseFormat(text: string, id: number): TracepointFormat {
  const fields = new Map<string, TracepointField>();
  const line = /^\tfield:(.+?)\s*;\s*offset:(\d+);\s*size:(\d+);\s*signed:([01]);$/gm;
  for (const [, declaration = '', offset, size, signed] of text.matchAll(line)) {
    const match = /^(.*?[\s*])(\w+)(?:\[.*\])?$/.exec(declaration);
    if (match === null) continue;
    const [, type = '', name = ''] = match;
    fields.set(name, {
      name,
      type: type.trim(),
      offset: Number(offset),
      size: Number(size),
      signed: signed === '1',
    });
  }
  if (fields.size === 0) throw new NotSupportedError('readable format file for its tracepoints');
  return { id, fields, symbols: parseSymbols(text) };
}

/** `__print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, …)` of the print format. */
function parseSymbols(text: string): Map<string, Map<number, string>> {
  const symbols = new Map<string, Map<number, string>>();
  const call = /__print_symbolic\(REC->(\w+),((?:\s*\{[^}]*\}\s*,?)*)/g;
  for (const [, field = '', list = ''] of text.matchAll(call)) {
    const names = new Map<number, string>();
    for (const [, number, name = ''] of list.matchAll(/\{\s*(\w+)\s*,\s*"([^"]*)"\s*\}/g)) {
      // An enumerator that the kernel left unresolved (no TRACE_DEFINE_ENUM for it) is no number.
      if (Number.isInteger(Number(number))) names.set(Number(number), name);
    }
    symbols.set(field, names);
  }
  return symbols;
}
