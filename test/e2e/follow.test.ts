// A cycler's file followed by the built command while another process writes it, is killed, and goes on.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test, vi } from "vitest";
import { RECORD_BYTES, mprHead } from "../../bench/mpr-file.ts";
import { newFolder, start } from "../helpers/installed-command.ts";
import { columnsOf } from "../helpers/recorded-files.ts";

// The long form, ten minutes: OPERANDO_TEST_FOLLOW_SECONDS=600
const seconds = Number(process.env["OPERANDO_TEST_FOLLOW_SECONDS"] ?? 4);
const ROWS = 1000 * seconds;

/** Appends a thousand records a second, torn in two now and then; goes on where a killed one left off. */
const WRITER = (maker: string): string => `
  import { openSync, writeSync, fstatSync, readSync, ftruncateSync } from "node:fs";
  import { mprHead, mprRecords, RECORD_BYTES } from ${JSON.stringify(maker)};
  const [path, rows] = [process.argv[2], Number(process.argv[3])];
  const file = openSync(path, "a+");
  const head = mprHead(0);
  const first = head.length;
  const inPlace = openSync(path, "r+");
  if (fstatSync(file).size < first) writeSync(inPlace, head, 0, first, 0);
  let done = Math.floor((fstatSync(file).size - first) / RECORD_BYTES);
  ftruncateSync(inPlace, first + done * RECORD_BYTES);
  const count = Buffer.alloc(4);
  const begin = performance.now() - done;
  const write = () => {
    const due = Math.min(rows, Math.floor(performance.now() - begin));
    for (; done < due; done++) {
      const record = mprRecords(done, 1, 0.001);
      const at = first + done * RECORD_BYTES;
      const half = done % 3 === 0 ? 20 : RECORD_BYTES;
      writeSync(inPlace, record, 0, half, at);
      if (done % 2) { count.writeUInt32LE(done + 1); writeSync(inPlace, count, 0, 4, first - 1007); }
      if (half < RECORD_BYTES) writeSync(inPlace, record, half, RECORD_BYTES - half, at + half);
      if (!(done % 2)) { count.writeUInt32LE(done + 1); writeSync(inPlace, count, 0, 4, first - 1007); }
    }
    if (done < rows) setTimeout(write, 1);
  };
  write();
`;

test(`${seconds} s at 1 kHz × 16 columns: no row is missed, none comes twice, though its writer is killed twice`, async () => {
  const folder = newFolder();
  const file = join(folder, "cell.mpr");
  const maker = pathToFileURL(join(import.meta.dirname, "../../dist/bench/mpr-file.js")).href;
  writeFileSync(join(folder, "writer.mjs"), WRITER(maker));
  const write = () => spawn(process.execPath, [join(folder, "writer.mjs"), file, String(ROWS)], { stdio: "inherit" });
  writeFileSync(
    join(folder, "pipeline.yaml"),
    `sources: { cycler: { use: echem/file, path: cell.mpr, timezone: UTC, follow: true, poll_every: 1 s, ends_after: 5 s } }`,
  );
  const directory = join(folder, "run");
  await using running = start("run", join(folder, "pipeline.yaml"), "--headless", "--out", directory);

  const written = (): number => (existsSync(file) ? Math.floor((statSync(file).size - mprHead(0).length) / RECORD_BYTES) : 0);
  for (const part of [0.3, 0.7]) {
    const writer = write();
    await vi.waitUntil(() => written() >= part * ROWS, { interval: 5, timeout: 1e6 });
    writer.kill("SIGKILL");
    await once(writer, "exit");
  }
  const last = write();
  expect((await once(last, "exit"))[0]).toBe(0);
  const { code, err } = await running.ended;
  expect(code, err).toBe(0);

  const { test_time_second: time, voltage_volt: voltage } = (await columnsOf(directory, "cycler.echem"))! as Record<string, Float64Array>;
  expect(time!.length).toBe(ROWS);
  expect(time!.findIndex((s, i) => s !== (i + 1) * 0.001)).toBe(-1);
  expect(voltage!.findIndex((V, i) => V !== Math.fround(3 + (i % 10_000) / 1e4))).toBe(-1);
}, 60_000 + 2000 * seconds); // prettier-ignore
