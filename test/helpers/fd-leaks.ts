import { afterEach, beforeEach, expect } from 'vitest';
import { type Fd, observeFds } from '../../src/sys/fd.ts';

/** Watches every descriptor that `body` opens; gives those it left open, by what they are. */
export function leftOpen(body: () => void): string[] {
  const open = new Set<Fd>();
  observeFds({ opened: (fd) => open.add(fd), closed: (fd) => open.delete(fd) });
  try {
    body();
  } finally {
    observeFds(undefined);
  }
  return [...open].map(({ what }) => what);
}

/** In a suite: each test has to close what it opens. */
export function noLeaks(): void {
  const open = new Set<Fd>();
  beforeEach(() => {
    open.clear();
    observeFds({ opened: (fd) => open.add(fd), closed: (fd) => open.delete(fd) });
  });
  afterEach(() => {
    observeFds(undefined);
    expect(
      [...open].map(({ what }) => what),
      'descriptors left open',
    ).toEqual([]);
  });
}
