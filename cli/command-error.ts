/** What a command ends with when it could not do what was asked: one text for the person, and the exit code. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export type ExitCode = typeof DONE | typeof FAILED | typeof MISTAKE;

export const DONE = 0;
/** The run failed, or a file or run could not be read. */
export const FAILED = 1;
/** The command or its configuration was wrong; nothing was started. */
export const MISTAKE = 2;

/** What the system said about a file that could not be written, in words; what else went wrong stays what it is. */
export function couldNotWrite(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (typeof code !== "string" || error instanceof CommandError) return error;
  const why = code === "ENOSPC" ? "the disk is full" : message;
  return new CommandError(`${path} could not be written: ${why}`, FAILED, { cause: error });
}
