import { closeSync, readFileSync } from 'node:fs';
import { type Fd, observeFds } from '../../src/sys/fd.ts';
import { errno, trySyscall } from '../../src/sys/syscall.ts';

/** `BPF_*_GET_FD_BY_ID` of what has an id, by the word for it in fdinfo: enum bpf_cmd, include/uapi/linux/bpf.h. */
const getById = { prog: 13, map: 14, link: 30 } as const;
type Kind = keyof typeof getById;

/** A program, map or link. The kernel hands ids out in turn, so one does not come again soon. */
export interface BpfObject {
  readonly kind: Kind;
  readonly id: number;
  readonly what: string;
}

/** Every BPF object that this process gets a descriptor of while `body` runs, in order. */
export async function objectsOf(body: () => Promise<unknown>): Promise<readonly BpfObject[]> {
  const made: BpfObject[] = [];
  observeFds({
    opened: ({ fd, what }: Fd) => {
      const facts = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
      // A link tells the id of its program too, so its own is looked for first.
      const kinds = (['link', 'map', 'prog'] as const).map((kind) => [kind, idIn(facts, kind)] as const);
      const [kind, id] = kinds.find(([, id]) => id !== undefined) ?? [];
      if (kind !== undefined && id !== undefined) made.push({ kind, id, what });
    },
    closed: () => {},
  });
  try {
    await body();
  } finally {
    observeFds(undefined);
  }
  return made;
}

function idIn(facts: string, kind: Kind): number | undefined {
  const [, id] = new RegExp(`^${kind}_id:\\s*(\\d+)$`, 'm').exec(facts) ?? [];
  return id === undefined ? undefined : Number(id);
}

/** Whether the kernel still has it. */
export function isThere({ kind, id }: BpfObject): boolean {
  const attr = Buffer.alloc(16); // { id, next_id, open_flags }
  attr.writeUInt32LE(id, 0);
  const fd = trySyscall('bpf', [getById[kind], attr, attr.length]);
  if (fd === -errno.ENOENT) return false;
  if (fd < 0) throw new Error(`asking for ${kind} ${id}: errno ${-fd}`);
  closeSync(fd);
  return true;
}
