import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openHost } from '../../../src/kernel/host.ts';
import { SkbdropError } from '../../../src/sys/errors.ts';
import { withNative } from '../../../src/sys/ffi.ts';
import { errno } from '../../../src/sys/syscall.ts';
import { thrown } from '../../asm/helpers.ts';
import { elfFile } from '../../helpers/elf.ts';
import { kernelBlob } from '../../helpers/fake-host.ts';
import { FakeNative } from '../../helpers/fake-native.ts';
import { withFiles, withFolder } from '../../helpers/files.ts';

const { blob } = kernelBlob();

/** Opens a host with this as its --btf file. */
function open(content: Uint8Array): ReturnType<typeof openHost> {
  return withFolder((folder) => {
    const file = join(folder, 'given.btf');
    writeFileSync(file, content);
    return openHost(file);
  });
}

describe('--btf', () => {
  test.each<[string, Uint8Array]>([
    ['a raw blob', blob],
    ['an ELF file', elfFile({ '.text': Buffer.alloc(16), '.BTF': blob })],
    ['an ELF file with .BTF first', elfFile({ '.BTF': blob, '.BTF.ext': Buffer.alloc(8) })],
  ])('%s', (_, content) => {
    const host = open(content);
    expect(host.btf?.find('btf_trace_kfree_skb', 'typedef')).toBeDefined();
    expect(host.reasons.name(3)).toBe('SKB_DROP_REASON_NO_SOCKET');
    expect(host.guardsReentry).toBe(true);
    expect(host.release).toBe(release());
  });

  const damaged = Buffer.from(blob);
  damaged.writeUInt32LE(0x7fffffff, 12);
  test.each<[string, Uint8Array, string]>([
    ['nothing', Buffer.alloc(0), 'is neither BTF nor an ELF file'],
    ['one byte', Buffer.from([0x9f]), 'is neither BTF nor an ELF file'],
    ['text', Buffer.from('#!/bin/sh\n'), 'is neither BTF nor an ELF file'],
    ['zeros', Buffer.alloc(4096), 'is neither BTF nor an ELF file'],
    ['the magic and no more', Buffer.from([0x9f, 0xeb]), 'is damaged: '],
    ['half a blob', blob.subarray(0, blob.length >> 1), 'is damaged: '],
    ['all but the last byte', blob.subarray(0, -1), 'is damaged: '],
    ['sections beyond the end', damaged, 'is damaged: '],
    ['an ELF file without .BTF', elfFile({ '.text': Buffer.alloc(8) }), 'has no section .BTF'],
    ['an ELF file with an empty .BTF', elfFile({ '.BTF': Buffer.alloc(0) }), 'has no section .BTF'],
    ['an ELF file with half a .BTF', elfFile({ '.BTF': blob.subarray(0, 40) }), 'is damaged: '],
    ['an ELF file with text in .BTF', elfFile({ '.BTF': Buffer.from('no BTF at all') }), 'is damaged: '],
    ['the ELF magic and no more', Buffer.from('\x7fELF'), 'is a damaged ELF file: '],
    ['half an ELF file', elfFile({ '.BTF': blob }).subarray(0, 500), 'is a damaged ELF file: '],
  ])('%s is wrong usage', (_, content, message) => {
    const error = thrown(SkbdropError, () => open(content));
    expect(error.code).toBe('usage');
    expect(error.message).toContain('given.btf');
    expect(error.message).toContain(message);
  });

  test('a file that is not there, and a folder', () => {
    withFolder((folder) => {
      for (const name of ['missing', 'folder']) {
        const file = join(folder, name);
        if (name === 'folder') mkdirSync(file);
        const error = thrown(SkbdropError, () => openHost(file));
        expect([error.code, error.message.startsWith(`cannot read the BTF file ${file}: `)]).toEqual(['usage', true]);
      }
    });
  });

  test('an ELF file with any one byte changed is sound or wrong usage', () => {
    const file = elfFile({ '.text': Buffer.alloc(8), '.BTF': blob.subarray(0, 200) });
    withFolder((folder) => {
      const name = join(folder, 'x');
      fc.assert(
        fc.property(fc.nat(file.length - 1), fc.nat(255), (at, byte) => {
          const changed = Buffer.from(file);
          changed[at] = byte;
          writeFileSync(name, changed);
          try {
            openHost(name);
          } catch (error) {
            expect(error).toMatchObject({ name: 'SkbdropError', code: 'usage' });
          }
        }),
        { numRuns: 400 },
      );
    });
  });
});

describe("the running kernel's own", () => {
  const VMLINUX = '/sys/kernel/btf/vmlinux';
  const nowhere = {
    [VMLINUX]: undefined,
    '/sys/kernel/btf': undefined,
    '/sys/kernel/tracing/events': undefined,
    '/sys/kernel/debug/tracing/events': undefined,
  };

  test('neither BTF nor tracefs: numbers, and atomic counters', () => {
    const fake = new FakeNative(() => -errno.EPERM);
    withNative(fake, () =>
      withFiles(nowhere, () => {
        const host = openHost();
        expect(host.btf).toBeUndefined();
        expect(host.reasons.source).toBe('none');
        expect(host.guardsReentry).toBe(false);
        expect(() => host.tracepoint()).toThrow('cannot read tracefs');
      }),
    );
  });

  test('read once, when somebody asks', () => {
    withFiles({ ...nowhere, [VMLINUX]: Buffer.from(blob) }, () => {
      const host = openHost();
      expect(host.reasons).toBe(host.reasons);
      expect(host.symbols).toBe(host.symbols);
      expect(host.reasons.all).toHaveLength(7);
    });
  });

  test('a kernel that enters programs twice', () => {
    const older = kernelBlob({ guardsReentry: false }).blob;
    expect(withFiles({ ...nowhere, [VMLINUX]: Buffer.from(older) }, () => openHost().guardsReentry)).toBe(false);
  });
});
