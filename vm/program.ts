import { type Command, CommanderError } from 'commander';
import { describeError, exitStatus, Status } from '../src/cli/exit.ts';
import { SkbdropError } from '../src/sys/errors.ts';

/** Runs a command line; what goes wrong is told in a sentence, and by the same statuses as skbdrop's own. */
export async function runProgram(program: Command, words: readonly string[]): Promise<void> {
  try {
    await program.exitOverride().parseAsync(words);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? Status.ok : Status.usage;
    } else {
      const fault = inAWord(error);
      process.stderr.write(describeError(fault, true).replace(/^skbdrop: /, 'vm: '));
      process.exitCode = exitStatus(fault);
    }
  }
}

/** What the host refuses, such as a program that is not there or a disk that is full, is no fault of ours. */
function inAWord(error: unknown): unknown {
  const { syscall, message } = error as NodeJS.ErrnoException;
  return syscall === undefined || error instanceof SkbdropError
    ? error
    : new SkbdropError('system', message, { cause: error });
}
