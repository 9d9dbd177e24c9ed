/** What can be wrong with a program as a whole, or with bytes that are read as one. */
export type AsmFault =
  | 'unknown-label'
  | 'duplicate-label'
  | 'too-far'
  | 'unknown-map'
  | 'unresolved'
  | 'illegal'
  | 'truncated';

/** Where it is wrong. Only what applies is there. */
export interface AsmErrorDetails {
  /** Which instruction, counting instructions. */
  readonly index?: number;
  /** Where in the encoded program, counting slots of 8 bytes. */
  readonly slot?: number;
  readonly label?: string;
  readonly map?: string;
  /** How far the jump would have to go, in slots. */
  readonly distance?: number;
}

/**
 * A program that cannot be assembled, encoded or decoded.
 *
 * A single instruction that cannot exist is refused earlier, by its constructor, with a RangeError or TypeError.
 */
export class AsmError extends Error {
  override readonly name = 'AsmError';
  readonly fault: AsmFault;
  readonly index: number | undefined;
  readonly slot: number | undefined;
  readonly label: string | undefined;
  readonly map: string | undefined;
  readonly distance: number | undefined;

  constructor(fault: AsmFault, message: string, details: AsmErrorDetails) {
    super(message);
    this.fault = fault;
    this.index = details.index;
    this.slot = details.slot;
    this.label = details.label;
    this.map = details.map;
    this.distance = details.distance;
  }
}
