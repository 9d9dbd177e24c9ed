const MICROSECOND = 1000n;
const SECOND_US = 1_000_000n;

/** `14:42:30.123456` in local time. `time` is nanoseconds since 1970. */
export function clockTime(time: bigint): string {
  const microseconds = time / MICROSECOND;
  const date = new Date(Number(microseconds / 1000n));
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${fraction(microseconds)}`;
}

/** RFC 3339, UTC, with microseconds: `2026-03-01T12:34:56.123456Z`. `time` is nanoseconds since 1970. */
export function rfc3339(time: bigint): string {
  const microseconds = time / MICROSECOND;
  const seconds = new Date(Number(microseconds / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${fraction(microseconds)}Z`;
}

/** Now, in nanoseconds since 1970, to the millisecond. */
export function now(): bigint {
  return BigInt(Date.now()) * SECOND_US;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function fraction(microseconds: bigint): string {
  return String(microseconds % SECOND_US).padStart(6, '0');
}
