/**
 * The BTF is damaged, or is of a form this reader does not know.
 *
 * There is one class and no `cause`: where the fault sits says more than which function noticed it.
 */
export class BtfError extends Error {
  override readonly name = 'BtfError';
  /** What was being read, such as `type 1234 (struct sk_buff)/member 3/name`. */
  readonly path: string;
  /** Where that is: bytes from the start of the blob. */
  readonly offset: number;

  constructor(path: string, offset: number, problem: string) {
    super(`btf: ${path}: ${problem} (at byte ${offset})`);
    this.path = path;
    this.offset = offset;
  }
}

/** The BTF is sound, and does not hold what was asked for. */
export class BtfNotFoundError extends Error {
  override readonly name = 'BtfNotFoundError';
  /** What was looked for, as the caller wrote it. */
  readonly wanted: string;
  /** Names that do exist and are spelt much like it; often empty. */
  readonly nearest: readonly string[];

  constructor(wanted: string, problem: string, nearest: readonly string[] = []) {
    super(`btf: ${wanted}: ${problem}${nearest.length > 0 ? `; did you mean ${nearest.join(', ')}?` : ''}`);
    this.wanted = wanted;
    this.nearest = nearest;
  }
}
