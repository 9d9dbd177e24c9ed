import { readFileSync } from 'node:fs';
import { Btf } from '../../btf/index.ts';
import { openHost } from '../../src/kernel/host.ts';

/** Whether this kernel gives a reason for its drops. */
export function givesReasons(): boolean {
  return openHost().reasons.all.length > 0;
}

const HEADER = { typeAt: 8, stringsAt: 16, length: 4 } as const;
/** Bytes behind the twelve that every type has, by kind: fixed, and for each of its `vlen` parts (btf.rst). */
const TAILS: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  1: [4, 0], // INT
  3: [12, 0], // ARRAY
  4: [0, 12], // STRUCT
  5: [0, 12], // UNION
  6: [0, 8], // ENUM
  13: [0, 8], // FUNC_PROTO
  14: [4, 0], // VAR
  15: [0, 12], // DATASEC
  17: [4, 0], // DECL_TAG
  19: [0, 12], // ENUM64
};
const FUNC_PROTO = 13;

/**
 * The running kernel's BTF, with another name for the tracepoint's third argument: who reads it finds no reason there,
 * and the kernel takes the same programs as one before 5.17, whose offsets are true all the same.
 */
export function btfWithoutReason(file = '/sys/kernel/btf/vmlinux'): Buffer {
  const bytes = Buffer.from(readFileSync(file));
  const prototype = prototypeOf(Btf.parse(bytes));
  const headerLength = bytes.readUInt32LE(HEADER.length);
  const strings = headerLength + bytes.readUInt32LE(HEADER.stringsAt);
  let at = headerLength + bytes.readUInt32LE(HEADER.typeAt);
  for (let id = 1; at < strings; id++) {
    const info = bytes.readUInt32LE(at + 4);
    const [kind, parts] = [(info >>> 24) & 0x1f, info & 0xffff];
    if (id === prototype) {
      if (kind !== FUNC_PROTO || parts < 4) throw new Error('the tracepoint has no third argument');
      // __data, skb, location, reason: eight bytes each, the name first. The first one's name will do.
      const param = (i: number): number => at + 12 + 8 * i;
      bytes.writeUInt32LE(bytes.readUInt32LE(param(0)), param(3));
      return bytes;
    }
    const [fixed, each] = TAILS[kind] ?? [0, 0];
    at += 12 + fixed + each * parts;
  }
  throw new Error('the prototype of the tracepoint is not in the BTF');
}

function prototypeOf(btf: Btf): number {
  const id = btf.find('__bpf_trace_kfree_skb', 'func');
  const func = id === undefined ? undefined : btf.type(id);
  if (func?.kind !== 'func') throw new Error('the BTF does not know the tracepoint');
  return func.type;
}
