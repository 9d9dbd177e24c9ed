import { alu64, type Code, comment, imm64, jump, jump32, label, mov, type Register, r0, r1 } from '../../asm/index.ts';

/**
 * Which reasons pass, decided in the kernel. `all` lets everything pass; otherwise a reason passes if it is among
 * `reasons` (`only`), or if it is not (`not`).
 */
export type ReasonFilter =
  | { readonly kind: 'all' }
  | { readonly kind: 'only' | 'not'; readonly reasons: ReadonlySet<number> };

/** Up to so many reasons are compared one by one; that is as fast as the bit set, and easier to read. */
const CHAIN = 8;
/** The bit set covers the reasons below this: four words. */
const BITS = 256;

/** Falls through if the reason passes, else jumps to `rejected`. Uses r0 and r1. */
export function rejectUnless(filter: ReasonFilter, reason: Register, rejected: string): Code {
  if (filter.kind === 'all') return [];
  const reasons = [...filter.reasons].sort((a, b) => a - b);
  const [ifMember, ifNot] = filter.kind === 'only' ? ['accepted', rejected] : [rejected, 'accepted'];
  const small = reasons.filter((number) => number < BITS);
  const large = reasons.filter((number) => number >= BITS);
  const isOneOf = (numbers: readonly number[]): Code =>
    numbers.map((number) => jump32.eq(reason, number | 0, ifMember));
  // Nothing passes; but the verifier refuses code that no path leads to, so the jump only looks conditional.
  if (filter.kind === 'only' && reasons.length === 0) return comment('no reason passes', jump.ge(reason, 0, rejected));
  const otherwise = ifNot === 'accepted' ? [] : jump.always(ifNot);
  return comment(`filter: ${filter.kind} ${reasons.length} reasons`, [
    reasons.length <= CHAIN
      ? [isOneOf(reasons), otherwise]
      : [
          jump.ge(reason, BITS, 'beyond_bits'),
          testBit(small, reason),
          jump.ne(r0, 0, ifMember),
          jump.always(ifNot),
          label('beyond_bits'),
          isOneOf(large),
          otherwise,
        ],
    label('accepted'),
  ]);
}

/** r0 = whether the bit of `reason`, which is below 256, is set. */
function testBit(members: readonly number[], reason: Register): Code {
  const words = [0n, 0n, 0n, 0n];
  for (const number of members) words[number >> 6]! |= 1n << BigInt(number & 63);
  const [w0, w1, w2, w3] = words as [bigint, bigint, bigint, bigint];
  return [
    mov(r1, reason),
    alu64.rsh(r1, 6),
    imm64(r0, w0),
    jump.eq(r1, 0, 'have_word'),
    imm64(r0, w1),
    jump.eq(r1, 1, 'have_word'),
    imm64(r0, w2),
    jump.eq(r1, 2, 'have_word'),
    imm64(r0, w3),
    label('have_word'),
    mov(r1, reason),
    alu64.and(r1, 63),
    alu64.rsh(r0, r1),
    alu64.and(r0, 1),
  ];
}
