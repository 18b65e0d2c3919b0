/**
 * Who is recording into a run: nobody repairs files that a living recorder still writes.
 */
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

const NAME = "recording.lock";

export function lock(directory: string): () => void {
  const path = join(directory, NAME);
  const owner: Owner = { process: process.pid, host: hostname(), born: lifeOf(process.pid)?.born };
  writeFileSync(path, `${JSON.stringify(owner)}\n`);
  return () => {
    try {
      unlinkSync(path);
    } catch {
      // the directory is gone; so is the lock
    }
  };
}

interface Owner {
  readonly process: number;
  readonly host: string;
  /** When it was started: a number is given out again after a restart, or after some days. */
  readonly born?: string | undefined;
}

/** What Linux tells of a process: one that is dead and not yet buried by its parent still has its number. */
function lifeOf(pid: number): { state: string; born: string } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ");
    return { state: fields[0]!, born: fields[19]! };
  } catch {
    return undefined; // no such process, or no Linux
  }
}

/** The process that records, where there is one; a lock that its dead owner left does not count. */
export function recordingProcess(directory: string): number | undefined {
  try {
    const owner = JSON.parse(readFileSync(join(directory, NAME), "utf8")) as Owner;
    if (owner.host !== hostname()) return owner.process;
    process.kill(owner.process, 0);
    const life = lifeOf(owner.process);
    const another = life !== undefined && owner.born !== undefined && life.born !== owner.born;
    return another || life?.state === "Z" ? undefined : owner.process;
  } catch (error) {
    // EPERM: it lives, as somebody else's
    return (error as NodeJS.ErrnoException).code === "EPERM" ? 0 : undefined;
  }
}
