/**
 * The command as it is installed, in a process of its own: what it says is waited for, and how it ended is told.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** Killed, if it still runs, when it goes out of scope. */
export interface Running extends AsyncDisposable {
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** The first match in its words for people, said or still to come. Rejects when it ends without. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

export function start(...args: readonly string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  let hear = (): void => {};
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
    hear();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, out, err }));
  });
  return {
    ended,
    kill: (signal) => void child.kill(signal),
    says(pattern) {
      const heard = new Promise<RegExpExecArray>((resolve) => {
        const before = hear;
        hear = () => {
          before();
          const match = pattern.exec(err);
          if (match) resolve(match);
        };
        hear();
      });
      const never = ended.then(({ code, signal }) => {
        throw new Error(`ended (${signal ?? code}) and never said ${String(pattern)}; it said:\n${err}`);
      });
      return Promise.race([heard, never]);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

export async function operando(...args: readonly string[]): Promise<Ended> {
  await using running = start(...args);
  return await running.ended;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** An empty folder with a space and an umlaut in its name, as people have them; gone when the file's tests have ended. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "operando prüfung "));
  folders.push(folder);
  return folder;
}

/** `--set a=1 --set b=2` */
export const setting = (values: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(values).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
