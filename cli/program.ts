/**
 * The command, composed of its sub-commands; one file each.
 */
import { Command, CommanderError } from "commander";
import { addAct } from "./act.ts";
import { addBench } from "./bench.ts";
import { addCheck } from "./check.ts";
import { addDemo } from "./demo.ts";
import { addReplay } from "./replay.ts";
import { addRun } from "./run.ts";
import { CommandError, DONE, FAILED, MISTAKE, type ExitCode } from "./command-error.ts";
import { addExport } from "./export.ts";
import { addFollowLog } from "./follow-log.ts";
import { addInspect } from "./inspect.ts";
import { addList } from "./list.ts";
import { tell } from "./print.ts";
import { operandoVersion } from "./version.ts";

function makeProgram(): Command {
  const program = new Command("operando");
  program
    .description(
      "Watches a battery while it works: cycler, force microscope and X-ray microscope on one time axis.",
    )
    .version(operandoVersion(), "-V, --version", "prints the version")
    .showHelpAfterError("(operando --help, or operando COMMAND --help, says what there is)")
    .exitOverride();
  for (const add of [
    addDemo,
    addRun,
    addReplay,
    addAct,
    addInspect,
    addExport,
    addCheck,
    addList,
    addBench,
    addFollowLog,
  ])
    add(program);
  // Sub-commands were made with settings of their own; they end like the whole.
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

/** Runs one command. Resolves with the exit code once it is done, all that it had to say said. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  try {
    await makeProgram().parseAsync(args, { from: "user" });
    return DONE;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : MISTAKE;
    if (error instanceof CommandError) {
      await tell(error.message);
      return error.exitCode;
    }
    // A bug of ours: whoever reports it needs the place.
    await tell(`operando: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return FAILED;
  }
}
