import {
  alu64,
  type Code,
  call,
  comment,
  fp,
  jump,
  label,
  mapFd,
  mov,
  r0,
  r1,
  r2,
  r3,
  r4,
  store,
} from '../../asm/index.ts';
import { BPF_NOEXIST } from '../sys/bpf.ts';
import { type Account, type LossWay, lookup } from './account.ts';

const BPF_MAP_UPDATE_ELEM = 2;

export interface Tally {
  /** A per-CPU hash. */
  readonly map: string;
  /** Where the key stands on the stack: fp + keyAt. */
  readonly keyAt: number;
  /** 64-bit counters in a value, and where so many zero words may be put on the stack. */
  readonly words: number;
  readonly zerosAt: number;
  /** How a drop is lost whose key no longer fits. */
  readonly full: LossWay;
}

/**
 * r0 = this CPU's counters for the key; puts the key in with zeros where it is new. Another CPU may put it in at
 * the same time, so what counts is the second lookup. Counts the drop as lost, and leaves, where there is no room.
 */
export function tally(account: Account, { map, keyAt, words, zerosAt, full }: Tally): Code {
  const found = `${map}_found`;
  return [
    lookup(map, keyAt),
    jump.ne(r0, 0, found),
    comment(
      'a new key: all counters zero',
      Array.from({ length: words }, (_, i) => store.u64(fp, zerosAt + 8 * i, 0)),
    ),
    mapFd(r1, { name: map }),
    mov(r2, fp),
    alu64.add(r2, keyAt),
    mov(r3, fp),
    alu64.add(r3, zerosAt),
    mov(r4, BPF_NOEXIST),
    comment('fails if another CPU was faster, or the map is full', call(BPF_MAP_UPDATE_ELEM, 'bpf_map_update_elem')),
    lookup(map, keyAt),
    jump.ne(r0, 0, found),
    account.lost(full),
    jump.always('out'),
    label(found),
  ];
}
