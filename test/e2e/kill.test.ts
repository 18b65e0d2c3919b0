// The command under load, killed or stopped; and runs whose end was torn off.
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { openRun } from "../../runtime/journal/index.ts";
import { newFolder, operando, setting, start } from "../helpers/installed-command.ts";
import { columnsOf, derivedFiles, rowCounts } from "../helpers/recorded-files.ts";
import { cyclerBytes } from "./make-files.ts";

const PIPELINE = fileURLToPath(new URL("../../examples/first-light.yaml", import.meta.url));
const CELL = { "cell.duration": "2 h", "cell.curve_rate": "1 Hz", "cell.topography_interval": "600 s" };

/** Bytes of the first segment of what the slowest part of the graph, a thread, derives while it is recorded. */
function derivedBytes(directory: string): number {
  const segment = join(directory, "streams", "modulus.modulus", "000000.arrows");
  return existsSync(segment) ? statSync(segment).size : 0;
}

const cell = (directory: string) =>
  start("run", PIPELINE, "--headless", "--speed", "max", "--out", directory, ...setting(CELL));
const reached = (directory: string, bytes: number): Promise<boolean> =>
  vi.waitUntil(() => derivedBytes(directory) >= bytes, { interval: 1, timeout: 50_000 });

const manifestOf = (directory: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(directory, "run.json"), "utf8")) as Record<string, unknown>;

// The long form, 20 kills: OPERANDO_TEST_KILLS=20
const kills = Number(process.env["OPERANDO_TEST_KILLS"] ?? 2);
let seed = 11;
const moments = Array.from({ length: kills }, () => 3000 + ((seed = (seed * 48271) % 2147483647) % 400_000));

test.each(moments)(
  "killed under load when %i bytes were derived, a run is inspected and replayed",
  async (bytes) => {
    const directory = join(newFolder(), "run");
    await using running = cell(directory);
    await reached(directory, bytes);
    running.kill("SIGKILL");
    expect((await running.ended).signal).toBe("SIGKILL");

    const { recovered } = await openRun(directory);
    const inspected = await operando("inspect", directory, "--json");
    expect(inspected.code, inspected.err).toBe(0);
    const { warnings } = JSON.parse(inspected.out) as { warnings: string[] };
    expect(warnings).toEqual([...recovered, expect.stringMatching(/^run\.json names no end/)]);
    const recorded = await rowCounts(directory);
    expect(recorded["cell.echem"]).toBeGreaterThan(0);

    const again = join(newFolder(), "replayed");
    const replayed = await operando("replay", directory, "--speed", "max", "--headless", "--out", again);
    expect([replayed.code, replayed.out], replayed.err).toEqual([0, `${again}\n`]);
    for (const sentence of recovered) expect(replayed.err).toContain(sentence);
    // Recorded first: whatever had been derived follows from what was recorded.
    const derived = (await openRun(directory)).streams.filter((stream) => stream.derived);
    expect(derived.map(({ stream }) => stream)).toContain("modulus.modulus");
    for (const { stream } of derived) {
      const before = await columnsOf(directory, stream);
      if (!before) continue;
      const after = (await columnsOf(again, stream))!;
      expect(after.time.length, stream).toBeGreaterThanOrEqual(before.time.length);
      expect(after.time.subarray(0, before.time.length), stream).toEqual(before.time);
      for (const [name, values] of Object.entries(before)) {
        if (!(values instanceof Float64Array)) continue;
        expect(after[name], `${stream} ${name}`).toBeInstanceOf(Float64Array);
        expect((after[name] as Float64Array).subarray(0, values.length), `${stream} ${name}`).toEqual(values);
      }
    }
  },
);

/** As they stand in run.json of a run that was killed: not. */
const BROKEN_OFF = { ended: undefined, ending: undefined };

test.each([
  { run: "was broken off", manifest: BROKEN_OFF, code: 0 },
  { run: "had ended, so that its files were changed since", manifest: {}, code: 1 },
])("a last message that was torn is dropped, and a sentence says so, of a run that $run", async ({ manifest, code }) => {
  const folder = newFolder();
  writeFileSync(join(folder, "cell.mpr"), cyclerBytes());
  writeFileSync(join(folder, "pipeline.yaml"), "sources: { cycler: { use: echem/file, path: cell.mpr, timezone: UTC } }");
  const directory = join(folder, "run");
  const made = await operando("run", join(folder, "pipeline.yaml"), "--headless", "--out", directory);
  expect(made.code, made.err).toBe(0);
  writeFileSync(join(directory, "run.json"), JSON.stringify({ ...manifestOf(directory), ...manifest }));
  const segment = join(directory, "streams", "cycler.echem", "000000.arrows");
  const whole = statSync(segment).size;
  truncateSync(segment, whole - 1000);

  const torn = /streams\/cycler\.echem\/000000\.arrows: the last message was cut off after [\d,]+ of [\d,]+ bytes; dropped it; 0 rows remain/;
  const inspected = await operando("inspect", directory);
  expect(inspected.out).toMatch(torn);
  expect(inspected.code, inspected.err).toBe(code);
  // Looking changes nothing; a replay mends, says so, and notes it in the manifest.
  expect(statSync(segment).size).toBe(whole - 1000);
  const replayed = await operando("replay", directory, "--speed", "max", "--headless", "--out", join(folder, "again"));
  expect([replayed.code, replayed.err]).toEqual([0, expect.stringMatching(torn)]);
  expect(manifestOf(directory)["recovered"]).toEqual([expect.stringMatching(torn)]);
  expect((await rowCounts(directory))["cycler.echem"]).toBe(0);
  expect((await openRun(directory)).recovered).toEqual([]);
}); // prettier-ignore

test.each(["SIGINT", "SIGTERM"] as const)("%s ends the sources and drains the graph", async (signal) => {
  const directory = join(newFolder(), "run");
  await using running = cell(directory);
  await reached(directory, 50_000);
  running.kill(signal);
  const { code, out, err } = await running.ended;
  expect([code, out], err).toEqual([0, `${directory}\n`]);
  expect(err).toMatch(/Stopping: the sources end, the graph drains/);
  expect(manifestOf(directory)).toMatchObject({ ending: "stopped", ended: expect.any(String) });
  const run = await openRun(directory);
  expect([run.recovered, await run.verify()]).toEqual([[], []]);
  // Drained: all that follows from what was recorded has been derived.
  const again = join(newFolder(), "replayed");
  const replayed = await operando("replay", directory, "--speed", "max", "--headless", "--out", again);
  expect(replayed.code, replayed.err).toBe(0);
  expect(await derivedFiles(again)).toEqual(await derivedFiles(directory));
});
