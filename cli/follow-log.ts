import { createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { Changes } from "../sources/index.ts";
import { CommandError, couldNotWrite, FAILED, MISTAKE } from "./command-error.ts";
import { print, tell } from "./print.ts";
import { operandoVersion } from "./version.ts";

interface Given {
  out?: string;
  every: string;
  for?: string;
}

/** Bytes at the beginning that are compared from look to look: a file that is written anew mostly changes there. */
const HEAD_BYTES = 4096;

/** `operando follow-log`: how a file grows, so that people can send evidence of how their instrument's software writes. */
export function addFollowLog(program: Command): void {
  program
    .command("follow-log")
    .description("records how a file grows: sizes and times, none of its content; one JSON line a change, until Ctrl-C")
    .argument("<file>", "a file that an instrument's software is writing, or will write")
    .option("--out <file>", "writes there instead of to the screen")
    .option("--every <seconds>", "looks at least so often (default: 0.05)", "0.05")
    .option("--for <seconds>", "ends after so long")
    .action(async (file: string, given: Given) => {
      const every_s = positive("--every", given.every);
      const most_s = given.for === undefined ? Infinity : positive("--for", given.for);
      const out = given.out === undefined ? undefined : createWriteStream(given.out, { flags: "wx" });
      const failed = out && new Promise<never>((_, reject) => out.once("error", (error: NodeJS.ErrnoException) =>
        reject(error.code === "EEXIST" ? new CommandError(`${given.out} is there already; name another file`, MISTAKE) : couldNotWrite(given.out!, error)),
      ));
      failed?.catch(() => undefined);
      const say = (line: object): Promise<unknown> =>
        out ? Promise.race([failed, new Promise((done) => out.write(`${JSON.stringify(line)}\n`, done))]) : print(`${JSON.stringify(line)}\n`);
      const stop = new AbortController();
      const end = (): void => stop.abort();
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
      try {
        const seen = await record(resolve(file), { every_s, most_s, signal: stop.signal, say });
        if (given.out !== undefined) await tell(`${given.out}: ${seen} changes of ${file}; sizes and times, none of its content`);
        if (seen === 0) throw new CommandError(`${file}: was not there in all that time`, FAILED);
      } finally {
        for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, end);
        await new Promise<void>((done) => (out ? out.end(done) : done()));
      }
    });
} // prettier-ignore

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new CommandError(`${option} is a number of seconds above 0, not ${text}`, MISTAKE);
  return value;
}

interface Look {
  readonly size: number;
  readonly modified_ns: string;
  /** Another file has this name by now. */
  readonly inode: string;
  readonly head: Buffer;
}

async function record(
  path: string,
  about: { every_s: number; most_s: number; signal: AbortSignal; say: (line: object) => Promise<unknown> },
): Promise<number> {
  const changes = new Changes(dirname(path), about.signal);
  const begin = performance.now();
  const at_s = (): number => Number(((performance.now() - begin) / 1000).toFixed(4));
  let last: Look | undefined;
  let seen = 0;
  try {
    await about.say({
      operando: operandoVersion(), file: basename(path).replace(/^.*(?=\.\w+$)/, "*"), began: new Date().toISOString(),
      platform: process.platform, every_s: about.every_s,
    }); // prettier-ignore
    while (!about.signal.aborted && at_s() < about.most_s) {
      const now = await look(path);
      if (now && !same(now, last)) {
        seen++;
        const grown = last === undefined ? undefined : now.size - last.size;
        await about.say({
          at_s: at_s(), size: now.size, ...(grown !== undefined && { grown }), modified_ns: now.modified_ns,
          ...(last && now.inode !== last.inode && { replaced: true }),
          ...(last && !beginsAs(now, last) && { head_changed: true }),
        }); // prettier-ignore
      } else if (!now && last) {
        await about.say({ at_s: at_s(), gone: true });
      }
      last = now;
      await changes.wait(about.every_s * 1000);
    }
    await about.say({ at_s: at_s(), ended: true });
  } finally {
    changes.close();
  }
  return seen;
}

/** What can be told of a file without telling what is in it; undefined where there is none. */
async function look(path: string): Promise<Look | undefined> {
  let file;
  try {
    file = await open(path, "r");
    const { size, mtimeNs, ino } = await file.stat({ bigint: true });
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return {
      size: Number(size),
      modified_ns: String(mtimeNs),
      inode: String(ino),
      head: buffer.subarray(0, bytesRead),
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EBUSY" || code === "EACCES") return undefined;
    if (code === "EISDIR") throw new CommandError(`${path}: is a directory; name a file`, MISTAKE);
    throw error;
  } finally {
    await file?.close();
  }
}

const beginsAs = (now: Look, before: Look): boolean =>
  now.head.subarray(0, before.head.length).equals(before.head);

const same = (a: Look, b: Look | undefined): boolean =>
  b !== undefined &&
  a.size === b.size &&
  a.modified_ns === b.modified_ns &&
  a.inode === b.inode &&
  a.head.equals(b.head);
