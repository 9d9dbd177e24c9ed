/**
 * A program for `node -e` that forbids itself bpf(2) with a seccomp filter, and then runs the words behind it: what a
 * container's profile may do. Children inherit the filter (seccomp(2)).
 */
export const withoutBpf: string = `
const { spawnSync } = require('node:child_process');
const koffi = require(process.argv[1]);
const [PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER] = [38, 22, 2];
const BPF = process.arch === 'x64' ? 321 : 280;
// struct sock_filter: u16 code, u8 jt, u8 jf, u32 k.
const instructions = [
  [0x20, 0, 0, 0],          // A = seccomp_data.nr
  [0x15, 0, 1, BPF],        // if (A == bpf)
  [0x06, 0, 0, 0x00050001], //   return SECCOMP_RET_ERRNO | EPERM
  [0x06, 0, 0, 0x7fff0000], // return SECCOMP_RET_ALLOW
];
const filter = Buffer.alloc(8 * instructions.length);
instructions.forEach(([code, jt, jf, k], i) => {
  filter.writeUInt16LE(code, 8 * i);
  filter.writeUInt8(jt, 8 * i + 2);
  filter.writeUInt8(jf, 8 * i + 3);
  filter.writeUInt32LE(k, 8 * i + 4);
});
const fprog = Buffer.alloc(16);
fprog.writeUInt16LE(instructions.length, 0);
fprog.writeBigUInt64LE(BigInt(koffi.address(filter)), 8);
const prctl = koffi.load(null).func('prctl', 'int', ['int', 'long', 'long', 'long', 'long']);
if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw new Error('PR_SET_NO_NEW_PRIVS');
if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, koffi.address(fprog), 0, 0) !== 0) throw new Error('PR_SET_SECCOMP');
const [, , file, ...words] = process.argv;
process.exit(spawnSync(file, words, { stdio: 'inherit' }).status ?? 1);
`;
