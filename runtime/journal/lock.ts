/**
 * Who is recording into a run: nobody repairs files that a living recorder still writes.
 */
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

const NAME = "recording.lock";

export function lock(directory: string): () => void {
  const path = join(directory, NAME);
  writeFileSync(path, `${JSON.stringify({ process: process.pid, host: hostname() })}\n`);
  return () => {
    try {
      unlinkSync(path);
    } catch {
      // the directory is gone; so is the lock
    }
  };
}

/** The process that records, where there is one; a lock that its dead owner left does not count. */
export function recordingProcess(directory: string): number | undefined {
  try {
    const owner = JSON.parse(readFileSync(join(directory, NAME), "utf8")) as {
      process: number;
      host: string;
    };
    if (owner.host !== hostname()) return owner.process;
    process.kill(owner.process, 0);
    return owner.process;
  } catch (error) {
    // EPERM: it lives, as somebody else's
    return (error as NodeJS.ErrnoException).code === "EPERM" ? 0 : undefined;
  }
}
