import { type Command, CommanderError } from 'commander';
import { describeError, exitStatus, Status } from '../src/cli/exit.ts';

/** Runs a command line; what goes wrong is told in a sentence, and by the same statuses as skbdrop's own. */
export async function runProgram(program: Command, words: readonly string[]): Promise<void> {
  try {
    await program.exitOverride().parseAsync(words);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? Status.ok : Status.usage;
    } else {
      process.stderr.write(describeError(error, true));
      process.exitCode = exitStatus(error);
    }
  }
}
