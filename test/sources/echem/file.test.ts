import { existsSync } from "node:fs";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as pathOf } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Columns, Fault, Schema, SourceContext, SourceItem } from "../../../runtime/index.ts";
import { echemFile } from "../../../sources/echem/file.ts";
import { fileReader } from "../../../sources/echem/file-reader.ts";
import { ascii, mprBytes, type MprParts } from "./mpr-bytes.ts";

let directory = "";
beforeAll(async () => void (directory = await mkdtemp(pathOf(tmpdir(), "echem Prüfung "))));
afterAll(() => rm(directory, { recursive: true }));

const context = (rest: Partial<SourceContext> = {}): SourceContext => ({
  signal: new AbortController().signal, now: () => 0n, timezone: "Europe/Berlin", timezoneAssumed: false, directory, ...rest,
}); // prettier-ignore

const whole = (path: string) => ({ path, follow: false, poll_every: 1, ends_after: 0, columns: {} });

interface Taken {
  schema: Schema;
  pieces: Columns[];
  faults: Fault[];
  items: SourceItem[];
}

async function take(path: string, rest: Partial<SourceContext> = {}): Promise<Taken> {
  const items: SourceItem[] = [];
  for await (const item of echemFile.open(whole(path), context(rest)) as AsyncIterable<SourceItem>)
    items.push(item);
  const pieces = items.flatMap(({ rows }) => (rows ? [rows["echem"] as Columns] : []));
  return {
    items,
    pieces,
    schema: items[0]!.schema!["echem"]!,
    faults: items.flatMap(({ faults }) => faults ?? []),
  };
}

let files = 0;
async function fileOf(bytes: Uint8Array, modified = "2025-06-30T00:00:00Z"): Promise<string> {
  const path = `cell ${++files}.mpr`;
  await writeFile(pathOf(directory, path), bytes);
  await utimes(pathOf(directory, path), new Date(modified), new Date(modified));
  return path;
}

const makeFile = (parts: Partial<MprParts> = {}, modified?: string): Promise<string> =>
  fileOf(mprBytes({ layout: "new11", columns, start: "2025-05-28 14:23:16.145", ...parts }), modified);
const columns: MprParts["columns"] = [
  [4, "f64", [0, 0.5, 36.25]], [6, "f32", [3.5, 3.25, 3]], [8, "f32", [0, -250, 500]], [24, "f64", [0, 0, 1]],
]; // prettier-ignore

const utc = (text: string): bigint => BigInt(Date.parse(text)) * 1_000_000n;

test("rows in BDF's names and units, at the instrument's time", async () => {
  const { schema, pieces, faults, items } = await take(await makeFile());
  expect(faults).toEqual([]);
  expect(items[0]!.rows).toBeUndefined();
  expect(pieces).toHaveLength(1);
  const [rows] = pieces as [Columns];
  expect([...rows.time]).toEqual([
    utc("2025-05-28T12:23:16.145Z"), utc("2025-05-28T12:23:16.645Z"), utc("2025-05-28T12:23:52.395Z"),
  ]); // prettier-ignore
  expect(rows["test_time_second"]).toEqual(Float64Array.of(0, 0.5, 36.25));
  expect(rows["voltage_volt"]).toEqual(Float64Array.of(3.5, 3.25, 3));
  expect(rows["current_ampere"]).toEqual(Float64Array.of(0, -0.25, 0.5));
  expect(rows["cycle_count"]).toEqual(Int32Array.of(0, 0, 1));
  expect(rows["ewe"]).toEqual(Float32Array.of(3.5, 3.25, 3));
  expect(Object.keys(schema.fields).every((name) => rows[name] !== undefined)).toBe(true);
  expect(Object.keys(schema.fields).slice(0, 3)).toEqual([
    "test_time_second",
    "voltage_volt",
    "current_ampere",
  ]);
  expect(schema.fields["voltage_volt"]).toMatchObject({ unit: "V", type: "f64", vendor_name: "Ewe/V" });
  expect(schema.metadata).toMatchObject({
    technique: "GCPL", channel: "8", software_version: "11.61", time_basis: "absolute", timezone: "Europe/Berlin",
    acquisition_start: "2025-05-28T14:23:16.145+02:00",
  }); // prettier-ignore
});

test("what was not measured is NaN, and says so", async () => {
  const { schema, pieces } = await take(await makeFile({ columns: columns.slice(0, 2) }));
  expect(pieces[0]!["current_ampere"]).toEqual(Float64Array.of(NaN, NaN, NaN));
  expect(schema.fields["current_ampere"]!.doc).toBe("not measured in this file");
  expect(schema.fields["cycle_count"]).toBeUndefined();
});

test("current from charge does not depend on where the rows were cut", async () => {
  const n = 20_000;
  const time = Array.from({ length: n }, (_, i) => i * 0.25);
  const dq = time.map((_, i) => (i === 0 ? 0 : ((i % 7) - 3) * 1e-6));
  const { pieces } = await take(await makeFile({ columns: [[4, "f64", time], [7, "f64", dq]] })); // prettier-ignore
  expect(pieces.map(({ time: { length } }) => length)).toEqual([8192, 8192, n - 16_384]);
  const current = pieces.flatMap((piece) => [...(piece["current_ampere"] as Float64Array)]);
  expect(current[0]).toBeNaN();
  current.slice(1).forEach((ampere, i) => expect(ampere).toBe((dq[i + 1]! * 3.6) / 0.25));
});

test("a file without rows has a schema, and one row is a row", async () => {
  const none = await take(await makeFile({ columns: [[4, "f64", []], [6, "f32", []]] })); // prettier-ignore
  expect([none.pieces, none.faults]).toEqual([[], []]);
  expect(none.schema.fields["voltage_volt"]).toBeDefined();
  const one = await take(await makeFile({ columns: [[4, "f64", [5]], [6, "f32", [1]]] })); // prettier-ignore
  expect(one.pieces[0]!.time).toEqual(BigInt64Array.of(utc("2025-05-28T12:23:21.145Z")));
});

describe("time", () => {
  test("a zone that nobody named is said to be assumed; an offset may stand for a zone", async () => {
    const path = await makeFile();
    expect((await take(path, { timezoneAssumed: true })).schema.metadata["time_basis"]).toBe("zone assumed");
    const { pieces } = await take(path, { timezone: "UTC-05:00" });
    expect(pieces[0]!.time[0]).toBe(utc("2025-05-28T19:23:16.145Z"));
    await expect(take(path, { timezone: "Mars/Olympus" })).rejects.toThrow(
      /cell \d+\.mpr: timezone "Mars\/Olympus" is not known/,
    );
  });

  // Berlin, 26 October 2025: 02:30 at 00:30 and at 01:30 UTC. The rows end 36.25 s after the start.
  test.each([
    ["the rows cannot end after the file was written", "2025-10-26T00:31:00Z", "2025-10-26T00:30:00Z"],
    ["the file was written when they ended", "2025-10-26T01:31:00Z", "2025-10-26T01:30:00Z"],
  ])("the hour that comes twice: %s", async (_, modified, start) => {
    const { pieces, schema } = await take(await makeFile({ start: "2025-10-26 02:30:00" }, modified));
    expect(pieces[0]!.time[0]).toBe(utc(start));
    expect(schema.metadata["time_basis"]).toBe("absolute");
  });

  test("the hour that comes twice is refused where nothing tells, unless an offset is given", async () => {
    const path = await makeFile({ start: "2025-10-26 02:30:00" }, "2025-12-01T00:00:00Z");
    await expect(take(path)).rejects.toThrow(
      /showed 2025-10-26 02:30:00.000 twice.*"timezone: UTC\+02:00" for the first time/,
    );
    const { pieces } = await take(path, { timezone: "UTC+02:00" });
    expect(pieces[0]!.time[0]).toBe(utc("2025-10-26T00:30:00Z"));
  });

  test("rows that run over the hour that comes twice stay as far apart as they were measured", async () => {
    const { pieces } = await take(await makeFile({ start: "2025-10-26 01:30:00", columns: [[4, "f64", [0, 3600, 7200]]] })); // prettier-ignore
    expect(pieces[0]!.time).toEqual(
      BigInt64Array.from(["2025-10-25T23:30:00Z", "2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"], utc),
    );
  });

  test("without a start, the modification time stands in where it agrees with the settings' day", async () => {
    const bytes = mprBytes({ layout: "old3", columns, date: "02/17/22" });
    const fresh = await take(await fileOf(bytes, "2022-02-17T15:00:36.250Z"));
    expect(fresh.pieces[0]!.time[0]).toBe(utc("2022-02-17T15:00:00Z"));
    expect(fresh.schema.metadata["time_basis"]).toBe("first seen");
    expect(fresh.faults[0]!.what).toMatch(
      /has no start time .* taken from when the file was last written, less its last test time/,
    );
    // Who has said when it began is not asked for it.
    expect((await take(await fileOf(bytes), { placed: true })).faults).toEqual([]);
    const broken = mprBytes({ layout: "old3", columns: [[4, "f64", [0, 1e300]]], date: "02/17/22" }); // prettier-ignore
    expect((await take(await fileOf(broken, "2022-02-17T15:00:00Z"))).pieces[0]!.time[0]).toBe(
      utc("2022-02-17T15:00:00Z"),
    );
    const copied = await take(await fileOf(bytes, "2026-11-22T15:00:00Z"));
    expect(copied.pieces[0]!.time[0]).toBe(utc("2022-02-16T23:00:00Z"));
    expect(copied.schema.metadata["time_note"]).toMatch(
      /midnight that began 2022-02-17.*known to the day only/,
    );
  });
});

describe("rows out of order", () => {
  test("are handed on as they stand, after a promise that makes them late, and counted", async () => {
    const { items, faults } = await take(await makeFile({ columns: [[4, "f64", [0, 1, 2, 1.5, 1.75, 2.5, 3]]] })); // prettier-ignore
    const pieces = items.filter(({ rows }) => rows);
    expect(pieces.map(({ rows }) => [...(rows!["echem"] as Columns)["test_time_second"] as Float64Array])).toEqual([[0, 1, 2], [1.5, 1.75, 2.5, 3]]); // prettier-ignore
    const start = utc("2025-05-28T12:23:16.145Z");
    expect(pieces.map(({ watermark }) => Number(watermark! - start) / 1e9)).toEqual([2, 3]);
    expect(faults).toMatchObject([
      { count: 2, what: expect.stringMatching(/time runs backwards 3 rows after record 0: 2 rows/) },
    ]);
  });

  test("a row whose time is no number is left out, and the others stay together", async () => {
    const { pieces, faults } = await take(await makeFile({ columns: [[4, "f64", [0, NaN, 2, 1e300]], [6, "f32", [1, 2, 3, 4]]] })); // prettier-ignore
    expect(pieces).toHaveLength(1);
    expect(pieces[0]!["voltage_volt"]).toEqual(Float64Array.of(1, 3));
    expect(faults).toMatchObject([
      { count: 2, what: expect.stringMatching(/2 of the 4 rows from record 0 on have no usable test time/) },
    ]);
  });
});

describe("bad input", () => {
  test("a file that is cut short: the whole rows, then at which byte the rest is missing", async () => {
    const bytes = mprBytes({ layout: "old3", columns });
    const path = await fileOf(bytes.subarray(0, bytes.length - 10));
    const { pieces, faults } = await take(path);
    expect(pieces[0]!.time.length).toBe(2);
    expect(faults.map(({ what }) => what)).toEqual([
      expect.stringMatching("has no start time"),
      expect.stringMatching(
        `${path}: byte ${bytes.length - 10}: file ends 10 bytes before its module "VMP data" does, at byte ${bytes.length}`,
      ),
      expect.stringMatching(
        `${path}: byte ${bytes.length - 24}: record 2 of 3 is not whole; the 1 from here on are missing`,
      ),
    ]);
  });

  test.each([
    ["empty", new Uint8Array(0), /cell \d+\.mpr: is no cycler's file that is known: it is empty/],
    [
      "something else",
      ascii("Dear colleague,\nhere are the\n"),
      /has no heading, in its first 2 lines, over rows of numbers/,
    ],
    ["without its time", mprBytes({ layout: "old2", columns: [[6, "f32", [1]]] }), /has no column time\/s/], // prettier-ignore
  ])("a file that is %s is refused", async (_, bytes, message) => {
    await expect(take(await fileOf(bytes))).rejects.toThrow(message);
  });

  test("a file that is not there, and a directory", async () => {
    await expect(take("nowhere.mpr")).rejects.toThrow(/nowhere\.mpr: there is no such file/);
    await expect(take(".")).rejects.toThrow(/is a directory; name a file/);
  });

  test("a file that another program writes anew while it is read ends with a fault", async () => {
    const n = 10_000;
    const time = Array.from({ length: n }, (_, i) => i);
    const path = await makeFile({ columns: [[4, "f64", time]] }); // prettier-ignore
    const items: SourceItem[] = [];
    for await (const item of echemFile.open(whole(path), context()) as AsyncIterable<SourceItem>) {
      items.push(item);
      if (item.rows) await writeFile(pathOf(directory, path), mprBytes({ layout: "new11", columns: [[4, "f64", time], [6, "f32", time]] })); // prettier-ignore
    }
    expect(items.at(-1)!.faults![0]!.what).toMatch(
      /another program wrote the file anew while it was read; open it again for the rest/,
    );
    expect(items.filter(({ rows }) => rows)).toHaveLength(2);
  });

  test("a busy file is asked again until it answers, and says for how long", async () => {
    const path = pathOf(directory, await makeFile());
    let refusals = 3;
    const { open } = await import("node:fs/promises");
    const busy = ((...rest: Parameters<typeof open>) =>
      refusals-- > 0
        ? Promise.reject(Object.assign(new Error("busy"), { code: "EBUSY" }))
        : open(...rest)) as typeof open;
    const reader = fileReader(path, new AbortController().signal, busy, (() => Promise.resolve()) as never);
    expect(new TextDecoder().decode(await reader.read(0, 9))).toBe("BIO-LOGIC");
    expect(reader.waited_s()).toBeCloseTo(0.7);
    expect(reader.waited_s()).toBe(0);
  });

  test("a run that ends closes it", async () => {
    const n = 30_000;
    const path = await makeFile({ columns: [[4, "f64", Array.from({ length: n }, (_, i) => i)]] }); // prettier-ignore
    const stop = new AbortController();
    let rows = 0;
    for await (const item of echemFile.open(
      whole(path),
      context({ signal: stop.signal }),
    ) as AsyncIterable<SourceItem>) {
      rows += (item.rows?.["echem"] as Columns | undefined)?.time.length ?? 0;
      if (rows) stop.abort();
    }
    expect(rows).toBe(8192);
  });
});

test("claims what begins as BioLogic's files do, whatever its name", () => {
  const bytes = mprBytes({ layout: "old3", columns });
  expect(echemFile.claims!(bytes.subarray(0, 4096), "renamed.dat")).toBe(true);
  expect(echemFile.claims!(ascii("Dear colleague"), "cell.mpr")).toBe(false);
  expect(echemFile.claims!(new Uint8Array(0), "cell.mpr")).toBe(true); // so that it is told that its file is empty
});

const shared = new URL("../../../../shared/data/echem/biologic/", import.meta.url);

describe.runIf(existsSync(shared))("files of the field", () => {
  test("two parts of one run follow each other", async () => {
    const here = { directory: fileURLToPath(shared) };
    const first = await take("250116_kigr_gen6_01_01_GCPL_CD8.mpr", here);
    const second = await take("250116_kigr_gen6_01_02_GCPL_CD8.mpr", here);
    expect(first.schema.metadata["acquisition_start"]).toBe(second.schema.metadata["acquisition_start"]);
    const gap_s = Number(second.pieces[0]!.time[0]! - first.pieces.at(-1)!.time.at(-1)!) / 1e9;
    expect(gap_s).toBeGreaterThan(0);
    expect(gap_s).toBeLessThan(60);
  });

  test("force and temperature under names and units of their own", async () => {
    const { schema, pieces } = await take("vsp_peis_with.mpr", { directory: fileURLToPath(shared) });
    expect([schema.fields["force"]!.unit, schema.fields["temperatur"]!.unit]).toEqual(["N", "Cel"]);
    const force = pieces[0]!["force"] as Float32Array;
    expect(Math.max(...force)).toBeCloseTo(152.7, 0);
    expect(schema.metadata["acquisition_start"]).toBe("2022-02-17T00:00:00.000+01:00");
  });
});
