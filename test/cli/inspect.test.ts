import { appendFile, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { scalar } from "../../runtime/index.ts";
import { command } from "../helpers/command.ts";
import { recordedRun } from "../helpers/recorded-run.ts";

vi.mock("../../cli/registry.ts", async () => {
  const { lines } = await import("../helpers/lines-source.ts");
  return { registry: { sources: [lines], operators: [], sinks: [] } };
});

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "operando über "));
});

async function inspected(content: string | Uint8Array, ...options: string[]) {
  const path = join(directory, "cell 7.txt");
  await writeFile(path, content);
  return command("inspect", path, ...options);
}

test("says what a file holds, as one JSON document", async () => {
  const { code: exit, out, err } = await inspected("lines 1\n3.5\n3.6\n3.7\n", "--json");
  expect([exit, err]).toEqual([0, ""]);
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  expect(JSON.parse(out)).toEqual({
    format: "lines, version 1",
    streams: [
      {
        name: "echem",
        rows: 3,
        columns: [
          { name: "time", type: "timestamp", unit: "ns", shape: [] },
          { name: "voltage_volt", type: "f64", unit: "V", shape: [] },
        ],
        first_time: "1970-01-01T00:00:00.000000000Z",
        last_time: "1970-01-01T00:00:00.000000002Z",
        metadata: { format: "lines, version 1", time_basis: "zone assumed", timezone },
      },
    ],
    warnings: [`echem: times name no zone; they were read as ${timezone}`],
  });
});

test("and as a page", async () => {
  const { out } = await inspected("lines 1\n3.5\n");
  expect(out).toMatch(
    /^cell 7.txt: lines, version 1\n\nechem: 1 row\n {2}from 1970-01-01T00:00:00.000000000Z to /,
  );
  expect(out).toMatch(/voltage_volt +f64 +\[V\]/);
});

test("a file without rows still has its columns", async () => {
  const { code: exit, out } = await inspected("lines 1\n", "--json");
  expect(exit).toBe(0);
  expect(JSON.parse(out).streams[0]).toMatchObject({ rows: 0, first_time: null, last_time: null });
});

test("columns that change within a file are two parts of a stream", async () => {
  const { out } = await inspected("lines 1\n3.5\nimage\n", "--json");
  expect(JSON.parse(out).streams).toMatchObject([
    { name: "echem", epoch: 0, rows: 1 },
    {
      name: "echem",
      epoch: 1,
      rows: 0,
      columns: [
        { name: "time" },
        { name: "data", type: "f32", unit: "m", shape: [2, 3] },
        { name: "force", shape: [null] },
        { name: "index", type: "i32", unit: "" },
      ],
    },
  ]);
});

test("a doubt is a warning", async () => {
  const { code: exit, out } = await inspected("lines 1\n3.5\ndoubt\n", "--json");
  expect(exit).toBe(0);
  expect(JSON.parse(out).warnings[0]).toMatch(/the clock was set by hand, at 1970-01-01T00:00:00.000000003Z/);
});

describe("bad input", () => {
  test.each([
    ["broken", /byte 12: no number; the row is left out \(2 times\)/],
    ["tear", /byte 99: the file ends within a row/],
  ])("%s: what can be read is read, the place is named, and the exit code is 1", async (row, message) => {
    const { code: exit, out, err } = await inspected(`lines 1\n3.5\n${row}\n`, "--json");
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      streams: [{ rows: 1 }],
      warnings: [expect.stringMatching(message), expect.anything()],
    });
    expect(err).toMatch(message);
    expect(err).toMatch(/cell 7.txt/);
  });

  test.each([
    ["an unknown version", "lines 9\n", /^\S*.*cell 7.txt: byte 6: version 9 is not known; expected 1\n$/],
    ["nothing in it", "", /cell 7.txt: is empty \(0 bytes\)/],
    [
      "other content",
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47),
      /no source knows this content. It begins, at byte 0, with 89 50 4e 47 "\.PNG"; expected what one of these reads: test\/lines/,
    ],
  ])("%s", async (_, content, message) => {
    const { code: exit, out, err } = await inspected(content, "--json");
    expect([exit, out]).toEqual([1, ""]);
    expect(err).toMatch(message);
  });

  test("no file, and a directory that is no run", async () => {
    expect(await command("inspect", join(directory, "none"))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/none: there is no such file/) as string,
    });
    expect(await command("inspect", directory)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/without a run.json/) as string,
    });
  });
});

describe("a run", () => {
  const origin = 1_795_342_500_000_000_000n;
  const part = {
    stream: "cycler.echem",
    schema: { fields: { voltage_volt: scalar("V") }, metadata: { time_basis: "absolute" } },
    columns: { time: BigInt64Array.of(origin, origin + 5n), voltage_volt: Float64Array.of(3, 4) },
  };

  test("has its streams, and what its manifest says", async () => {
    const run = await recordedRun([part], { origin, experiment: { cell: "7" } });
    const { code: exit, out } = await command("inspect", run, "--json");
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      format: "operando run",
      streams: [
        {
          name: "cycler.echem",
          rows: 2,
          first_time: "2026-11-22T10:15:00.000000000Z",
          last_time: "2026-11-22T10:15:00.000000005Z",
        },
      ],
      warnings: [],
      manifest: { name: "test", experiment: { cell: "7" } },
    });
    expect((await command("inspect", run)).out).toMatch(/ending: finished/);
  });

  test("says what is dropped of a torn tail", async () => {
    const run = await recordedRun([part], { origin, ended: undefined });
    const folder = join(run, "streams", "cycler.echem");
    const segment = (await readdir(folder)).find((name) => name.endsWith(".arrows"))!;
    await appendFile(join(folder, segment), new Uint8Array(100).fill(7));
    const { code: exit, out } = await command("inspect", run, "--json");
    expect(exit).toBe(0);
    const { warnings, streams } = JSON.parse(out) as { warnings: string[]; streams: { rows: number }[] };
    expect(streams[0]!.rows).toBe(2);
    expect(warnings[0]).toMatch(/cycler.echem/);
    expect(warnings.at(-1)).toMatch(/names no end/);
  });

  describe("with a flipped bit", () => {
    /** Flips one bit of the first of two rows, both in message 1; the schema is message 0. */
    async function flipped(manifest: object = {}) {
      const run = await recordedRun([part], { origin, ...manifest });
      const segment = join(run, "streams", "cycler.echem", "000000.arrows");
      const bytes = await readFile(segment);
      const at = bytes.indexOf(Buffer.from(Float64Array.of(3, 4).buffer));
      bytes[at]! ^= 1;
      await writeFile(segment, bytes);
      return run;
    }

    test.each([["ended", {}], ["broken off", { ended: undefined }]])(
      "a run that %s names the place, and the exit code is 1",
      async (_, manifest) => {
        const run = await flipped(manifest);
        const { code: exit, out, err } = await command("inspect", run, "--json");
        expect(exit).toBe(1);
        expect(err).toMatch(/1 place is not as written/);
        expect(JSON.parse(out)).toMatchObject({
          streams: [{ name: "cycler.echem", rows: 2 }],
          damage: [
            {
              stream: "cycler.echem",
              segment: "streams/cycler.echem/000000.arrows",
              message: 1,
              offset: expect.any(Number) as number,
              what: "message 1 (rows 0 to 1) has changed since it was written: its checksum differs",
            },
          ],
        });
        expect((await command("inspect", run)).out).toMatch(
          /(?:Not as written|or damaged since)\n {2}streams\/cycler\.echem\/000000\.arrows, message 1, at byte [\d,]+: message 1 \(rows 0 to 1\) has changed/,
        );
      },
    ); // prettier-ignore

    test("--quick does not read it", async () => {
      const { code: exit, out } = await command("inspect", await flipped(), "--json", "--quick");
      expect(exit).toBe(0);
      expect(JSON.parse(out)).not.toHaveProperty("damage");
    });
  });

  test("that is as it was written says so", async () => {
    const run = await recordedRun([part], { origin });
    const { code: exit, out } = await command("inspect", run);
    expect(exit).toBe(0);
    expect(out).toMatch(/Every message is as it was written\.\n$/);
    expect(JSON.parse((await command("inspect", run, "--json")).out)).toMatchObject({ damage: [] });
  });
});
