/** Which folders a folder may import from, itself aside. `drops/select` is a file that may be imported alone. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  asm: [],
  btf: [],
  'src/sys': [],
  'src/kernel': ['src/sys', 'btf'],
  'src/bpf': ['src/sys', 'asm'],
  'src/probes': ['src/bpf', 'src/kernel', 'src/sys', 'asm', 'btf'],
  'src/drops': ['src/probes', 'src/bpf', 'src/kernel', 'src/sys', 'btf'],
  'src/demo': ['src/drops/select.ts', 'src/bpf', 'src/kernel', 'src/sys', 'asm'],
  'src/doctor': ['src/demo', 'src/drops', 'src/probes', 'src/bpf', 'src/kernel', 'src/sys'],
  'src/cli': [
    'src/doctor',
    'src/demo',
    'src/drops',
    'src/probes',
    'src/bpf',
    'src/kernel',
    'src/sys',
    'src/version.ts',
    'asm',
    'btf',
  ],
  // What is inside the one file, and what makes it.
  'src/binary': ['src/kernel/elf.ts', 'src/sys/errors.ts'],
  // The library's front, and a constant.
  'src/index.ts': ['src/drops', 'src/probes', 'src/bpf', 'src/kernel', 'src/sys'],
  'src/version.ts': [],
};

/** Packages, each with the only places that may import it. */
const packages: Readonly<Record<string, readonly string[]>> = {
  koffi: ['src/sys/ffi.ts'],
  elfy: ['src/kernel/elf.ts', 'src/binary/module.ts'],
  commander: ['src/cli/'],
  esbuild: ['src/binary/bundle.ts'],
};

/** What a module names after `from`, `import` or `import(`, and what it requires. */
export function importsOf(source: string): string[] {
  const code = source.replace(/\/\*.*?\*\//gs, '').replace(/^\s*\/\/.*$/gm, '');
  const names = /\b(?:from|import)\s*\(?\s*(['"])([^'"\s]+)\1|\brequire(?:\([^)]*\))?\(\s*(['"])([^'"\n]+)\3/g;
  return [...code.matchAll(names)].map((match) => match[2] ?? match[4]!);
}

/** The path that `specifier` means in `file`; both relative to the repository. */
function resolve(file: string, specifier: string): string {
  const url = new URL(specifier, `file:///${file}`);
  return url.pathname.slice(1);
}

const isIn = (path: string, place: string): boolean =>
  path === place || path.startsWith(`${place.replace(/\/$/, '')}/`);

/** Which imports of a file point the wrong way, each in a sentence. */
export function wrongImports(file: string, source: string): string[] {
  const home = Object.keys(allowed).find((place) => isIn(file, place));
  if (home === undefined) return [`${file} is in no known folder`];
  return importsOf(source).flatMap((specifier) => {
    if (specifier.startsWith('.')) {
      const target = resolve(file, specifier);
      const places = [home, ...allowed[home]!];
      return places.some((place) => isIn(target, place)) ? [] : [`${file} imports ${target}`];
    }
    if (specifier.startsWith('node:')) {
      return home === 'asm' || home === 'btf' ? [`${file} imports ${specifier}`] : [];
    }
    const places = packages[specifier];
    if (places === undefined) return [`${file} imports the package ${specifier}`];
    return places.some((place) => isIn(file, place)) ? [] : [`${file} imports ${specifier}, which is for ${places}`];
  });
}
