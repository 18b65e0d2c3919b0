import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openRun } from "../../../runtime/journal/index.ts";
import { newFolder } from "./rows.ts";

const CHILD = fileURLToPath(new URL("record-until-killed.mjs", import.meta.url));
const DIST = fileURLToPath(new URL("../../../dist/", import.meta.url));

/** Kills the recording process when it has acknowledged so often; gives the last acknowledged row of each stream. */
async function killAfter(directory: string, acknowledgements: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [CHILD, directory, DIST], { stdio: ["ignore", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (text) => (complaint += text));
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on("exit", (_, signal) => resolve(signal)),
  );
  const acknowledged = new Map<string, number>();
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [, stream, row] = /^(\S+) 0 (\d+)$/.exec(line) ?? [];
    if (stream) acknowledged.set(stream, Number(row)); // a last line may be cut off
    if (++count === acknowledgements) child.kill("SIGKILL");
  }
  expect([await ended, complaint]).toEqual(["SIGKILL", ""]);
  return acknowledged;
}

// The long form, 20 kills: OPERANDO_TEST_KILLS=20
const kills = Number(process.env["OPERANDO_TEST_KILLS"] ?? 3);
let seed = 5;
const moments = Array.from({ length: kills }, () => 2 + ((seed = (seed * 48271) % 2147483647) % 400));

test.each(moments)(
  "killed under load at acknowledgement %i, a run holds every row that was acknowledged",
  async (moment) => {
    const directory = newFolder();
    const acknowledged = await killAfter(directory, moment);
    expect([...acknowledged.keys()]).toContain("source.out");
    const run = await openRun(directory, { repair: true });
    expect(await run.verify()).toEqual([]);
    for (const [stream, row] of acknowledged) {
      let next = 0;
      for await (const { row: first, columns } of run.read(stream)) {
        expect(first).toBe(next);
        const value = columns["value"] as Float64Array;
        const name = columns["name"] as readonly string[];
        const wrong = value.findIndex((v, i) => v !== first + i || name[i] !== `row ${first + i}`);
        expect(wrong).toBe(-1);
        next += value.length;
      }
      expect(next, stream).toBeGreaterThanOrEqual(row);
    }
    expect((await openRun(directory)).recovered).toEqual([]);
  },
);
