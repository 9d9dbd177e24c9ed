import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { needTool, strict } from './need.ts';

/** A bpftrace to compare with. */
export interface Bpftrace {
  readonly version: string;
  readonly command: string;
  /** 0.17 prints numbers where later ones print the names of an enum. */
  readonly namesReasons: boolean;
}

const newestScript = fileURLToPath(new URL('../oracles/newest-bpftrace.sh', import.meta.url));
const newestCommand = fileURLToPath(new URL('../../.cache/bpftrace/run', import.meta.url));

/**
 * The ones that are here: Debian's, and the newest that test/oracles/newest-bpftrace.sh has put into .cache.
 *
 * @throws Error with SKBDROP_TEST_STRICT=1 where one is missing
 */
export function findBpftraces(): readonly Bpftrace[] {
  const installed = needTool('bpftrace');
  if (strict && !existsSync(newestCommand)) execFileSync(newestScript, { stdio: 'inherit' });
  const commands = [installed, existsSync(newestCommand) ? newestCommand : undefined];
  return commands
    .filter((command) => command !== undefined)
    .map((command) => {
      const version = execFileSync(command, ['--version'], { encoding: 'latin1' })
        .trim()
        .replace(/^bpftrace v/, '');
      const [, minor = '0'] = version.split('.');
      return { version, command, namesReasons: Number(minor) >= 20 };
    });
}

/**
 * The words that run bpftrace where tracefs is mounted for it alone: the host's mounts stay as they are.
 *
 * @param child runs once it is attached; bpftrace splits it at spaces and ends with it
 */
export function bpftraceWords({ command }: Bpftrace, program: string, child: string): readonly string[] {
  const script = 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"';
  return ['unshare', '-m', 'sh', '-c', script, 'sh', command, '-e', program, '-c', child];
}
