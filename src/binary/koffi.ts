import { getRawAsset } from 'node:sea';
import { SkbdropError } from '../sys/errors.ts';
import { withUnnamedFile } from './unnamed-file.ts';

/**
 * What the one file has in the place of the package koffi: its native library alone, whose exports are koffi's
 * functions (koffi 3.3.4; the JavaScript around it finds the library for the platform and adds older names).
 *
 * The library is inside the program, and the dynamic loader loads from files only. The choice was between Node 24 and
 * unnamed files, and Node 26, whose node:ffi can call memfd_create(2) before anything is loaded. Both start equally
 * fast. But Node 26 is linked against libatomic, which small installations lack, so there the program would not even
 * start, and it is larger; and node:ffi is an experiment.
 */
function load(): object {
  const failures: string[] = [];
  const exports = withUnnamedFile(new Uint8Array(getRawAsset('koffi.node') as ArrayBuffer), failures, (path) => {
    const module = { exports: {} };
    process.dlopen(module, path);
    return module.exports;
  });
  if (exports !== undefined) return exports;
  throw new SkbdropError('unsupported', 'no file system here lets a program load code: all are read-only or noexec', {
    hint: 'Mount one that does, for example: mount -t tmpfs tmpfs /tmp',
    details: failures.join('\n'),
  });
}

const koffi: object = load();
export default koffi;
