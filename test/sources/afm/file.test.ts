import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { zipSync } from "fflate";
import { afterAll, describe, expect, test } from "vitest";
import { readConfig } from "../../../runtime/config.ts";
import type { SourceItem } from "../../../runtime/index.ts";
import { afmFile } from "../../../sources/afm/file.ts";
import { height_m, makeJpk, measured_m, volts, type MadeCurve, type MadeFile } from "./make-jpk.ts";

const folder = mkdtempSync(join(tmpdir(), "operando afm ä-"));
afterAll(() => rmSync(folder, { recursive: true }));

const place = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(folder, name), bytes);
  return name;
};

interface Opened {
  signal?: AbortSignal;
  timezone?: string;
  directory?: string;
}
function open(
  given: Record<string, unknown>,
  { signal, timezone = "Europe/Berlin", directory = folder }: Opened = {},
) {
  const { config, problems } = readConfig(afmFile.config, given);
  if (problems.length) throw new Error(problems.map(({ message }) => message).join("\n"));
  const context = {
    signal: signal ?? new AbortController().signal,
    now: () => 0n,
    timezone,
    timezoneAssumed: true,
    directory,
  };
  return afmFile.open(config, context) as AsyncIterable<SourceItem>;
}

// oxlint-disable-next-line no-explicit-any
type Row = any;
async function readAll(given: Record<string, unknown>, opened: Opened = {}) {
  const read = { curves: [] as Row[], topography: [] as Row[], faults: [] as string[], schemas: [] as Row[] };
  for await (const { rows, faults, schema } of open(given, opened)) {
    if (schema) read.schemas.push(schema);
    if (rows?.["curves"]) read.curves.push(rows["curves"]);
    if (rows?.["topography"]) read.topography.push(rows["topography"]);
    for (const { what } of faults ?? []) read.faults.push(what);
  }
  return read;
}

const ramp = (n: number, from: number, to: number): number[] =>
  Array.from({ length: n }, (_, i) => Math.round(from + ((to - from) * i) / (n - 1)));
const approachAndRetract = (more: Partial<MadeCurve> = {}, second = 10): MadeCurve => ({
  x: 1e-6, y: -2e-6,
  segments: [
    { style: "extend", deflection: ramp(24, -100, 900), height: ramp(24, 9000, 1000), ended: `2021-01-29 17:03:${second}.356 +0100`, duration: 1 },
    { style: "retract", deflection: ramp(12, 900, -100), height: ramp(12, 1000, 9000), ended: `2021-01-29 17:03:${second + 1}.500 +0100`, duration: 1 },
  ],
  ...more,
}); // prettier-ignore
const CALIBRATED = { spring: 0.04, sensitivity: 7e-8 };

describe("numbers", () => {
  test.each([
    { encoder: "signedshort", shared: false, version: "0.12" },
    { encoder: "unsignedshort", shared: true },
    { encoder: "signedinteger", shared: true },
    { encoder: "unsignedinteger", shared: false },
    { encoder: "signedlong", shared: true },
    { encoder: "float", shared: true },
    { encoder: "double", shared: false },
  ] as const)("of $encoder (shared header: $shared) are those that were written", async (how) => {
    const lift = how.encoder.startsWith("unsigned") ? 100 : 0; // no negative numbers there
    const [deflection, height] = [ramp(24, -100 + lift, 900), ramp(24, 9000, 1000)];
    const made = makeJpk({ ...how, ...CALIBRATED, curves: [{ segments: [{ style: "extend", deflection, height }, { style: "retract", deflection, height }] }] }); // prettier-ignore
    const { curves, faults } = await readAll({ path: place(`${how.encoder}.jpk-force`, made) });
    const [row] = curves;
    expect(faults).toEqual([]);
    const twice = (raw: number[], of: (x: number, encoder: string) => number) => [...raw, ...raw].map((x) => of(x, how.encoder)); // prettier-ignore
    twice(deflection, volts).forEach((v, i) => expect(row.force.values[i]).toBeCloseTo(v * 7e-8 * 0.04, 24));
    twice(height, height_m).forEach((h, i) => expect(row.height.values[i]).toBeCloseTo(h, 18));
    expect([...row.segment.values]).toEqual([...Array(24).fill(0), ...Array(24).fill(1)]);
    expect([...row.force.offsets]).toEqual([0, 48]);
  });

  test("where a curve was measured and when it ended", async () => {
    const path = place(
      "one.jpk-force",
      makeJpk({ ...CALIBRATED, shared: true, curves: [approachAndRetract()] }),
    );
    const { curves, schemas, topography } = await readAll({ path });
    expect(curves[0]).toMatchObject({
      x: Float64Array.of(1e-6),
      y: Float64Array.of(-2e-6),
      index: Int32Array.of(0),
    });
    expect(curves[0].time[0]).toBe(BigInt(Date.parse("2021-01-29T16:03:11.500Z")) * 1_000_000n);
    expect(curves[0]).toMatchObject({
      spring_constant: Float64Array.of(0.04),
      deflection_sensitivity: Float64Array.of(7e-8),
    });
    expect(schemas[0].curves.metadata).toMatchObject({ time_basis: "absolute", instrument: "Bench µ1" });
    expect(Object.keys(schemas[0])).toEqual(["curves"]);
    expect(topography).toEqual([]);
  });

  test("of a sensor go before those of the piezo, where every segment has them", async () => {
    const measured = ramp(24, 9000, 1000);
    const [extend, retract] = approachAndRetract().segments as [Row, Row];
    const all = makeJpk({ ...CALIBRATED, shared: true, curves: [{ segments: [{ ...extend, measured }] }] });
    const some = makeJpk({
      ...CALIBRATED,
      shared: true,
      curves: [{ segments: [{ ...extend, measured }, retract] }],
    });
    const a = await readAll({ path: place("all.jpk-force", all) });
    const b = await readAll({ path: place("some.jpk-force", some) });
    expect(a.curves[0].height.values[0]).toBeCloseTo(measured_m(9000), 18);
    expect(b.curves[0].height.values[0]).toBeCloseTo(height_m(9000), 18);
  });

  test("of pauses and modulation stay, with their code; of an unknown style too, with a fault", async () => {
    const segments = ["extend", "pause", "modulation", "retract", "wobble"].map((style) => ({
      style,
      deflection: [1, 2],
      height: [3, 4],
    }));
    const { curves, faults } = await readAll({
      path: place("styles.jpk-force", makeJpk({ ...CALIBRATED, shared: true, curves: [{ segments }] })),
    });
    expect([...curves[0].segment.values]).toEqual([0, 0, 2, 2, 3, 3, 1, 1, 255, 255]);
    expect(faults).toEqual([
      expect.stringMatching(/segments\/4\/ is of style "wobble"; known are extend, retract/),
    ]);
  });

  test("a spring constant set by hand scales every force by exactly the ratio", async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 1e-3, max: 100, noNaN: true }), async (k) => {
        const path = place("ratio.jpk-force", makeJpk({ ...CALIBRATED, curves: [approachAndRetract()] }));
        const [asIs, byHand] = [
          await readAll({ path }),
          await readAll({ path, spring_constant: `${k} N/m` }),
        ];
        const before = asIs.curves[0].force.values;
        byHand.curves[0].force.values.forEach((f: number, i: number) =>
          expect(Math.abs(f / before[i] / (k / 0.04) - 1)).toBeLessThan(1e-14),
        );
        expect(byHand.schemas[0].curves.metadata).toMatchObject({
          spring_constant: String(k),
          spring_constant_from: "set by hand",
        });
      }),
      { seed: 3, numRuns: 20 },
    );
  });

  test("that cannot be newtons are NaN, and a fault says what to give", async () => {
    const path = place(
      "no-k.jpk-force",
      makeJpk({ sensitivity: 7e-8, shared: true, curves: [approachAndRetract()] }),
    );
    const { curves, faults } = await readAll({ path });
    expect(curves[0].force.values.every(Number.isNaN)).toBe(true);
    expect(curves[0].height.values.some(Number.isNaN)).toBe(false);
    expect(faults).toEqual([
      expect.stringMatching(/spring_constant is not in the file, so force is NaN; give it as an option/),
    ]);
    const helped = await readAll({ path, spring_constant: "0.5 N/m" });
    expect(helped.curves[0].force.values[0]).toBeCloseTo(volts(-100) * 7e-8 * 0.5, 22);
    expect(helped.faults).toEqual([]);
  });
});

describe("a map", () => {
  const grid = { columns: 3, rows: 2, size: 3e-6, backAndForth: true };
  const at = (visit: number): MadeCurve =>
    approachAndRetract({ visit, x: visit * 1e-7, y: 0 }, 10 + 2 * visit);
  const map = (curves: (MadeCurve | undefined)[], more: Partial<MadeFile> = {}) =>
    makeJpk({ kind: "force-scan-map", grid, shared: true, ...CALIBRATED, curves, ...more });

  test("gives its curves one by one, and their pixels where lines go back and forth", async () => {
    const { curves, schemas, topography } = await readAll({
      path: place("map.jpk-force-map", map([0, 1, 2, 3, 4, 5].map(at))),
    });
    expect(curves.map((row) => row.index[0])).toEqual([0, 1, 2, 5, 4, 3]);
    expect(schemas[0].curves.metadata).toMatchObject({
      grid_columns: "3",
      grid_rows: "2",
      grid_size_x: "0.000003",
    });
    expect(schemas[0].topography.fields.data.shape).toEqual([2, 3]);
    expect(Number(schemas[0].topography.metadata.pixel_size_x)).toBeCloseTo(1e-6, 15);
    // height at the end of the approach
    expect([...topography[0].data]).toEqual(Array(6).fill(Math.fround(curves[0].height.values[23])));
    expect(topography[0].time[0]).toBe(curves.at(-1).time[0]);
  });

  test("with curves missing keeps their numbers and gives no topography", async () => {
    const { curves, topography, faults } = await readAll({
      path: place(
        "gaps.jpk-qi-data",
        map([at(0), undefined, undefined, at(3)], { kind: "quantitative-imaging-map" }),
      ),
    });
    expect(curves.map((row) => row.index[0])).toEqual([0, 5]);
    expect(topography).toEqual([]);
    expect(faults).toEqual([expect.stringMatching(/holds 2 of the 6 curves of its grid/)]);
  });

  test("without time stamps is timed by its start and the durations", async () => {
    const bare = (visit: number) => ({
      ...at(visit),
      segments: at(visit).segments.map(({ style, deflection, height }) => ({
        style,
        deflection,
        height,
        duration: 0.25,
      })),
    });
    const { curves, schemas } = await readAll({
      path: place("bare.jpk-force-map", map([bare(0), bare(1)], { start: "2022-10-29 12:27:34.564 +0200" })),
    });
    const start = BigInt(Date.parse("2022-10-29T10:27:34.564Z")) * 1_000_000n;
    expect(curves.map((row) => row.time[0] - start)).toEqual([500_000_000n, 1_000_000_000n]);
    expect(schemas[0].curves.metadata).toMatchObject({
      time_basis: "absolute",
      time_from: "start of the file and the durations of its segments",
    });
  });

  test("whose clock ran backwards says so and stays in order", async () => {
    const { curves, faults } = await readAll({ path: place("back.jpk-force-map", map([at(1), at(0)])) });
    expect(curves[1].time[0]).toBe(curves[0].time[0]);
    expect(faults[0]).toMatch(/index\/1 is timed 2 s before what stands ahead of it/);
  });

  test("with one damaged entry gives the other curves", async () => {
    const bytes = map([0, 1, 2].map(at), { level: 0 });
    const name = Buffer.from("index/1/segments/0/channels/vDeflection.dat");
    const where = Buffer.from(bytes).indexOf(name) + name.length + 4;
    bytes[where] = bytes[where]! ^ 0x55;
    const { curves, faults } = await readAll({ path: place("damaged.jpk-force-map", bytes) });
    expect(curves.map((row) => row.index[0])).toEqual([0, 2]);
    expect(faults[0]).toMatch(
      /damaged\.jpk-force-map: entry index\/1\/segments\/0\/channels\/vDeflection\.dat at byte \d+ does not have the checksum.*left out/,
    );
  });

  test("is closed when its reader stops early", async () => {
    for await (const { rows } of open({ path: place("early.jpk-force-map", map([0, 1, 2].map(at))) }))
      if (rows) break;
  });
});

describe("a file that says two things about itself", () => {
  test("points", async () => {
    const segments = [{ style: "extend", deflection: [1, 2, 3], height: [1, 2, 3], points: 4 }];
    const { curves, faults } = await readAll({
      path: place("points.jpk-force", makeJpk({ ...CALIBRATED, curves: [{ segments }] })),
    });
    expect(curves[0].force.values.length).toBe(3);
    expect(faults[0]).toMatch(/height\.dat holds 3 points, its header says 4/);
  });

  test("a deflection that is far from its trigger", async () => {
    const rise = volts(900) - volts(-100);
    const with_ = (setpoint: number) => {
      const [extend] = approachAndRetract().segments as [Row];
      return readAll({
        path: place(
          "trigger.jpk-force",
          makeJpk({ ...CALIBRATED, curves: [{ segments: [{ ...extend, setpoint }] }] }),
        ),
      });
    };
    expect((await with_(rise)).faults).toEqual([]);
    expect((await with_(rise / 256)).faults[0]).toMatch(
      /deflection rises by .* V, the trigger is set to .* V: .* the scale is wrong/,
    );
  });
});

describe("bad input", () => {
  const whole = makeJpk({ ...CALIBRATED, curves: [approachAndRetract()] });
  const wobbly = approachAndRetract().segments[0]!;
  test.each<[string, Uint8Array, RegExp]>([
    [
      "cut",
      whole.subarray(0, whole.length - 40),
      /cut\.jpk-force: is cut short .* missing from its \d+ bytes/,
    ],
    ["empty", new Uint8Array(0), /empty\.jpk-force: is empty/],
    [
      "text",
      Buffer.from("time,force\n1,2\n"),
      /text\.jpk-force: is no AFM file that is known; it begins with 74 69 6d 65/,
    ],
    [
      "other",
      zipSync({ "word/document.xml": Buffer.from("<x/>") }),
      /other\.jpk-force: is a ZIP archive but not a JPK force file/,
    ],
    [
      "future",
      makeJpk({ version: "3.1", curves: [approachAndRetract()] }),
      /says format version 3\.1; known are 0 to 2/,
    ],
    [
      "image",
      makeJpk({ kind: "scan" as never, curves: [approachAndRetract()] }),
      /says type "scan"; known are force-scan-series/,
    ],
    ["hollow", makeJpk({ kind: "force-scan-map", curves: [] }), /holds no force curve: no entry index\/<n>/],
    [
      "moment",
      makeJpk({ ...CALIBRATED, curves: [{ segments: [{ ...wobbly, ended: "yesterday" }] }] }),
      /segments\/0\/segment-header\.properties: "yesterday" is not a time such as/,
    ],
  ])("%s", async (name, bytes, says) => {
    await expect(readAll({ path: place(`${name}.jpk-force`, bytes) })).rejects.toThrow(says);
  });

  test("an encoder that nobody knows", async () => {
    const bytes = zipSync({
      "header.properties": Buffer.from("type=force-scan-series\n"),
      "segments/0/segment-header.properties": Buffer.from(
        "channels.list=vDeflection\nchannel.vDeflection.data.type=short\nchannel.vDeflection.data.encoder.type=zigzag\n",
      ),
    });
    await expect(readAll({ path: place("encoder.jpk-force", bytes) })).rejects.toThrow(
      /channel vDeflection is encoded as "zigzag"; known are signedshort/,
    );
  });

  test("no such file, nothing that matches, a pattern in a folder's name", async () => {
    await expect(readAll({ path: "none.jpk-force" })).rejects.toThrow(/none\.jpk-force: no such file/);
    await expect(readAll({ path: "none*.jpk-force" })).rejects.toThrow(/no such file in/);
    await expect(readAll({ path: "a*/b.jpk-force" })).rejects.toThrow(/only in the last part/);
  });
});

describe("several files", () => {
  test("come in order of their times; one that cannot be read is a fault", async () => {
    place("s 1.jpk-force", makeJpk({ ...CALIBRATED, curves: [approachAndRetract({}, 30)] }));
    place("s 2.jpk-force", makeJpk({ ...CALIBRATED, curves: [approachAndRetract({}, 20)] }));
    place("s 3.jpk-force", Buffer.from("PK"));
    const { curves, faults, schemas } = await readAll({ path: "s ?.jpk-force" });
    expect(curves.map((row) => new Date(Number(row.time[0] / 1_000_000n)).getUTCSeconds())).toEqual([21, 31]);
    expect(curves.map((row) => row.index[0])).toEqual([0, 1]);
    expect(faults).toEqual([expect.stringMatching(/s 3\.jpk-force: is cut short/)]);
    expect(schemas).toHaveLength(1); // like files make one epoch
  });

  test("are followed as they come", async () => {
    const ended = new AbortController();
    place("f1.jpk-force", makeJpk({ ...CALIBRATED, curves: [approachAndRetract({}, 20)] }));
    const seen: number[] = [];
    for await (const { rows } of open(
      { path: "f*.jpk-force", follow: true, poll_every: "1 ms" },
      { signal: ended.signal },
    )) {
      if (!rows) continue;
      seen.push((rows["curves"] as Row).index[0]);
      if (seen.length === 1)
        place("f2.jpk-force", makeJpk({ ...CALIBRATED, curves: [approachAndRetract({}, 30)] }));
      if (seen.length === 2) ended.abort();
    }
    expect(seen).toEqual([0, 1]);
  });
});

test("claims what is JPK's by its entries, whatever its name", () => {
  const claims = afmFile.claims!;
  const head = (bytes: Uint8Array) => bytes.subarray(0, 4096);
  expect(claims(head(makeJpk({ curves: [approachAndRetract()] })), "a.zip")).toBe(true);
  expect(claims(head(makeJpk({ kind: "force-scan-map", curves: [approachAndRetract()] })), "x")).toBe(true);
  expect(claims(head(zipSync({ "word/document.xml": Buffer.from("<x/>") })), "a.jpk-force")).toBe(false);
  expect(claims(Buffer.from("time,force\n"), "a.jpk-force")).toBe(false);
  expect(claims(new Uint8Array(0), "a.jpk-force")).toBe(false);
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("files of real instruments", () => {
  // oxlint-disable-next-line no-explicit-any
  const { files } = existsSync(shared)
    ? JSON.parse(readFileSync(join(shared, "expected_shared.json"), "utf8"))
    : ({ files: {} } as any);
  const names = Object.keys(files).filter((name) => /\.jpk-force|\.jpk-qi-data/.test(name));
  const read = (path: string, given: Record<string, unknown> = {}) =>
    readAll({ path, ...given }, { directory: shared });
  const close = (a: number, b: number) => expect(Math.abs(a / b - 1)).toBeLessThan(1e-9);

  test.each(names)("%s agrees with the peer", async (name) => {
    const { curves } = await read(name);
    const peers = files[name].curves ?? [files[name]];
    for (const [i, peer] of peers.entries()) {
      if (peer.force_first_N === undefined) continue;
      const { force, height, segment, spring_constant, deflection_sensitivity } = curves[i];
      expect(force.values.length).toBe(peer.points);
      if (peer.points_approach)
        expect(segment.values.filter((code: number) => code === 0).length).toBe(peer.points_approach);
      close(force.values[0], peer.force_first_N);
      close(
        force.values.reduce((a: number, b: number) => Math.max(a, b)),
        peer.force_max_N,
      );
      close(height.values[0], peer.height_first_m);
      close(spring_constant[0], peer.spring_constant_N_per_m ?? peer.spring_constant);
      close(deflection_sensitivity[0], peer.sensitivity_m_per_V ?? peer.sensitivity);
    }
  });

  test("positions of a map are where its pixels are", async () => {
    const { curves, topography, schemas } = await read("jpk/map-data-2022.10.29-12.27.34.564.jpk-force-map");
    expect(curves).toHaveLength(16);
    const column = curves.map((row) => row.index[0] % 4);
    const x = curves.map((row) => row.x[0]);
    x.forEach((at, i) => expect(Math.abs(at - x[0] - (column[i] - column[0]) * 5e-6)).toBeLessThan(1e-9));
    expect(topography).toHaveLength(1);
    expect(topography[0].data.every(Number.isFinite)).toBe(true);
    expect(schemas).toHaveLength(1);
    curves.slice(1).forEach((row, i) => expect(row.time[0] > curves[i].time[0]).toBe(true));
  });

  test("numbers that the peer's tests assert", async () => {
    const map = await read("jpk/fmt-jpk-fd_map2x2_extracted.jpk-force-map");
    close(map.curves[2].force.values[0], -5.8540192943834714e-10);
    close(map.curves[2].height.values[0], 1.001727719556085e-4);
    expect(map.curves.map((row) => row.index[0])).toEqual([0, 9, 99, 90]);
    expect(map.faults).toEqual([expect.stringMatching(/4 of the 100 curves/)]);
    const missing = "jpk/fmt-jpk-fd_single-modified_2023.jpk-force";
    expect((await read(missing)).curves[0].force.values.every(Number.isNaN)).toBe(true);
    close(
      (await read(missing, { spring_constant: "12 N/m" })).curves[0].force.values[0],
      -5.261711536426128e-7,
    );
    const both = await read(missing, { spring_constant: "10 N/m", deflection_sensitivity: "0.05 m/V" });
    close(both.curves[0].force.values[0], -0.2454449015321114);
  });

  test("are claimed", () => {
    for (const name of names)
      expect(afmFile.claims!(readFileSync(join(shared, name)).subarray(0, 4096), name)).toBe(true);
    for (const name of [
      "gwy/test.gwy",
      "ibw/AR_20211011.ibw",
      "jpk/sample_0.jpk",
      "jpk/sample_0.h5-jpk",
      "nid/image.nid",
      "nanoscope/old_bruker.002",
      "asd/asd_sample_0_first12frames.asd",
    ])
      expect([name, afmFile.claims!(readFileSync(join(shared, name)).subarray(0, 4096), name)]).toEqual([
        name,
        true,
      ]);
    // A TIFF of another maker is a radiograph until somebody says otherwise.
    for (const name of ["park/Park_20210916_034.tiff", "SOURCES.md", "sxm/A151216.123306-02602.sxm"])
      expect([name, afmFile.claims!(readFileSync(join(shared, name)).subarray(0, 4096), name)]).toEqual([
        name,
        false,
      ]);
  });
});
