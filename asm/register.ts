/** The eleven registers. They are objects, so that a register is never taken for a number. */

export type RegisterIndex = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

export interface Register {
  readonly kind: 'register';
  readonly index: RegisterIndex;
}

function make(index: RegisterIndex): Register {
  return Object.freeze({ kind: 'register', index });
}

/** Result of a call, and what the program returns. Calls overwrite it. */
export const r0: Register = make(0);
/** First argument of a call; on entry the context. Calls overwrite it. */
export const r1: Register = make(1);
/** Second argument of a call. Calls overwrite it. */
export const r2: Register = make(2);
/** Third argument of a call. Calls overwrite it. */
export const r3: Register = make(3);
/** Fourth argument of a call. Calls overwrite it. */
export const r4: Register = make(4);
/** Fifth argument of a call. Calls overwrite it. */
export const r5: Register = make(5);
/** Survives calls. */
export const r6: Register = make(6);
/** Survives calls. */
export const r7: Register = make(7);
/** Survives calls. */
export const r8: Register = make(8);
/** Survives calls. */
export const r9: Register = make(9);
/** The frame pointer: the end of the 512 bytes of stack, read only. */
export const r10: Register = make(10);
/** The frame pointer by its other name. */
export const fp: Register = r10;

/** All registers; `registers[3]` is r3. */
export const registers: readonly Register[] = Object.freeze([r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10]);

export function isRegister(value: unknown): value is Register {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'register';
}
