import { defineConfig } from 'vitest/config';

/**
 * Two projects. `unit` needs no rights and no kernel feature; `kernel` loads BPF programs, so it wants root, and
 * its files run one after the other because drops are events of the whole host.
 */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{asm,btf,src,vm}/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
