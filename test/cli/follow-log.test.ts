import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { command } from "../helpers/command.ts";

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "operando growth "))));
afterAll(() => rm(folder, { recursive: true }));

test("records sizes and times of a file that grows, and nothing of what is in it", async () => {
  const [file, log] = [join(folder, "secret cell.mpr"), join(folder, "growth.jsonl")];
  await writeFile(file, "SECRET".repeat(100));
  const running = command("follow-log", file, "--out", log, "--every", "0.01", "--for", "1");
  const seen = async (n: number): Promise<void> => {
    while ((await readFile(log, "utf8").catch(() => "")).split("\n").length <= n) await new Promise(setImmediate);
  };
  await seen(2);
  await appendFile(file, "SECRET");
  await seen(3);
  await writeFile(file, "ANOTHER");
  const { code, err } = await running;
  expect([code, err]).toEqual([0, expect.stringMatching(/growth\.jsonl: [34] changes of .*none of its content/)]);
  const text = await readFile(log, "utf8");
  expect(text).not.toMatch(/SECRET|secret|ANOTHER/);
  const lines = text.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines[0]).toMatchObject({ file: "*.mpr", every_s: 0.01 });
  expect(lines[1]).toMatchObject({ size: 600, modified_ns: expect.stringMatching(/^\d{19}$/) });
  expect(lines[2]).toMatchObject({ size: 606, grown: 6 });
  expect(lines[2]).not.toHaveProperty("head_changed");
  expect(lines.at(-2)).toMatchObject({ size: 7, head_changed: true });
  expect(lines.at(-1)).toMatchObject({ ended: true });
}); // prettier-ignore

test("a file that never was, a directory, a log that is there, and a time that is none are told", async () => {
  const nowhere = await command("follow-log", join(folder, "nowhere.mpr"), "--for", "0.05");
  expect([nowhere.code, nowhere.err]).toEqual([1, expect.stringMatching(/nowhere\.mpr: was not there in all that time/)]); // prettier-ignore
  const directory = await command("follow-log", folder, "--for", "0.05");
  expect([directory.code, directory.err]).toEqual([2, expect.stringMatching(/is a directory; name a file/)]);
  const log = join(folder, "there.jsonl");
  await writeFile(log, "kept");
  const there = await command("follow-log", join(folder, "x"), "--out", log, "--for", "0.05");
  expect([there.code, there.err]).toEqual([2, expect.stringMatching(/there\.jsonl is there already/)]);
  expect(await readFile(log, "utf8")).toBe("kept");
  const never = await command("follow-log", log, "--for", "soon");
  expect([never.code, never.err]).toEqual([2, expect.stringMatching(/--for is a number of seconds above 0/)]);
});
