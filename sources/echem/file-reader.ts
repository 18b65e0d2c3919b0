/**
 * Pieces of a file that another program may hold, write or replace: each read opens, reads and closes, so that
 * nobody is locked out; a busy file is asked again until it answers.
 */
import { open } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { SourceError } from "../../runtime/index.ts";
import { fill } from "../bytes.ts";

export interface FileState {
  readonly size: number;
  /** ns since 1970, UTC. */
  readonly modified: bigint;
}

export interface FileReader {
  /** Bytes `at … at + length`; fewer where the file ends before. They lie in `room` where that is given. */
  read(at: number, length: number, room?: Uint8Array): Promise<Uint8Array>;
  /** As it was at the last read. */
  state(): Promise<FileState>;
  /** As it is now; undefined where there is none. Throws SourceError where it is there and may not be read. */
  look(): Promise<FileState | undefined>;
  /** Seconds that it was locked by another program, since this was last asked. */
  waited_s(): number;
}

const BUSY = new Set(["EBUSY", "EAGAIN", "ETXTBSY"]);
const LONGEST_PAUSE_ms = 5000;

export function fileReader(path: string, signal: AbortSignal, openFile = open, wait = pause): FileReader {
  let state: FileState | undefined;
  let waited_ms = 0;

  /** Opens, looks, reads, closes. */
  async function once(at: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    const file = await openFile(path, "r");
    try {
      const { size, mtimeNs } = await file.stat({ bigint: true });
      state = { size: Number(size), modified: mtimeNs };
      const there = Math.max(0, Math.min(length, Number(size) - at));
      const bytes = room?.subarray(0, there) ?? new Uint8Array(there);
      return bytes.subarray(0, await fill(file, bytes, at)); // it may have shrunk since we looked
    } finally {
      await file.close();
    }
  }

  async function read(at: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    for (let pause_ms = 100; ; pause_ms = Math.min(2 * pause_ms, LONGEST_PAUSE_ms)) {
      try {
        return await once(at, length, room);
      } catch (cause) {
        const { code = "" } = cause as NodeJS.ErrnoException;
        if (!BUSY.has(code)) throw readingError(code, cause);
        await wait(pause_ms, undefined, { signal });
        waited_ms += pause_ms;
      }
    }
  }

  return {
    read,
    async state() {
      if (!state) await read(0, 0);
      return state!;
    },
    async look() {
      try {
        await read(0, 0);
      } catch (error) {
        const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
        if (code === "ENOENT") return undefined;
        throw error;
      }
      return state;
    },
    waited_s() {
      const waited_s = waited_ms / 1000;
      waited_ms = 0;
      return waited_s;
    },
  };
}

function readingError(code: string, cause: unknown): Error {
  const why = {
    ENOENT: "there is no such file",
    ENOTDIR: "there is no such file",
    EISDIR: "is a directory; name a file",
    EACCES: "may not be read by this user",
    EPERM: "may not be read by this user",
  }[code];
  return why ? new SourceError(why, { cause }) : (cause as Error);
}
