/** Times are microseconds since 1970, UTC. */

const SECOND = 1_000_000;

/** The text of one second, kept for the next line: under a flood thousands of lines share it. */
class SecondText {
  readonly #make: (date: Date) => string;
  #second = Number.NaN;
  #text = '';

  constructor(make: (date: Date) => string) {
    this.#make = make;
  }

  of(time: number): string {
    const second = Math.floor(time / SECOND);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = this.#make(new Date(second * 1000));
    }
    return this.#text;
  }
}

const two = (value: number): string => String(value).padStart(2, '0');
const local = new SecondText((date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`);
const utc = new SecondText((date) => date.toISOString().slice(0, 19));

/** `14:42:30.123456` in local time. */
export function clockTime(time: number): string {
  return `${local.of(time)}.${fraction(time)}`;
}

/** RFC 3339, UTC, with microseconds: `2026-03-01T12:34:56.123456Z`. */
export function rfc3339(time: number): string {
  return `${utc.of(time)}.${fraction(time)}Z`;
}

/** Now, to the millisecond. */
export function now(): number {
  return Date.now() * 1000;
}

/** Six digits. */
function fraction(time: number): string {
  return String((time % SECOND) + SECOND).slice(1);
}
