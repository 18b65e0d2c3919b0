import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { strToU8, unzipSync, zipSync } from "fflate";
import { afterAll, describe, expect, test } from "vitest";
import type { AfmFile, Curve } from "../../../sources/afm/afm-file.ts";
import { jpkForce } from "../../../sources/afm/jpk.ts";
import { height_m, makeJpk, volts, type MadeCurve, type MadeFile, type MadeSegment } from "./make-jpk.ts";

const folder = mkdtempSync(join(tmpdir(), "operando jpk ä-"));
const opened: AfmFile[] = [];
afterAll(async () => {
  for (const file of opened) await file.close();
  rmSync(folder, { recursive: true });
});

const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
const AS_IS = { springConstant_N_per_m: NaN, deflectionSensitivity_m_per_V: NaN };
const CALIBRATED = { spring: 0.04, sensitivity: 7e-8 };
let count = 0;

async function open(bytes: Uint8Array): Promise<AfmFile> {
  const path = join(folder, `made ${count++}`);
  writeFileSync(path, bytes);
  const file = await jpkForce.open(path, zoned);
  opened.push(file);
  return file;
}
const read = async (file: AfmFile, number = file.curves!.numbers[0]!): Promise<Curve> =>
  file.curves!.read(number, AS_IS);
const only = async (made: MadeFile): Promise<Curve> => read(await open(makeJpk(made)));

const ramp = (n: number, from: number, to: number): number[] =>
  Array.from({ length: n }, (_, i) => Math.round(from + ((to - from) * i) / (n - 1)));
const segment = (style: string, more: Partial<MadeSegment> = {}): MadeSegment => ({
  style,
  deflection: ramp(24, -100, 900),
  height: ramp(24, 9000, 1000),
  ...more,
});
const curve = (visit: number, ...styles: string[]): MadeCurve => ({
  visit,
  segments: (styles.length ? styles : ["extend", "retract"]).map((style) => segment(style)),
});

/** The same archive with entries changed: a text's lines replaced, or an entry left out. */
function changed(bytes: Uint8Array, changes: Record<string, ((text: string) => string) | null>): Uint8Array {
  const entries = unzipSync(bytes);
  for (const [name, change] of Object.entries(changes)) {
    if (!entries[name]) throw new Error(`no entry ${name}`);
    if (change === null) delete entries[name];
    else entries[name] = strToU8(change(Buffer.from(entries[name]).toString("latin1")), true);
  }
  return zipSync(entries);
}

describe("pointers into the shared header", () => {
  test("lead on from one shared part to another; 4 is not 40", async () => {
    const [plain, nested] = await Promise.all([
      only({ ...CALIBRATED, shared: true, curves: [curve(0)] }),
      only({ ...CALIBRATED, shared: "nested", curves: [curve(0)] }),
    ]);
    expect(nested.warnings).toEqual([]);
    expect(nested).toEqual(plain);
    expect(nested.force_N[0]).toBeCloseTo(volts(-100) * 7e-8 * 0.04, 24);
  });

  test("in a circle end", async () => {
    const made = changed(makeJpk({ ...CALIBRATED, shared: "nested", curves: [curve(0)] }), {
      "shared-data/header.properties": (text) => `${text}conversion-info.4.lcd-info.*=1\n`,
    });
    const { force_N } = await read(await open(made));
    expect(force_N[0]).toBeCloseTo(volts(-100) * 7e-8 * 0.04, 24);
  });

  test("that lead nowhere are named: of a channel the curve cannot be read, of a style it is unknown", async () => {
    const made = makeJpk({ ...CALIBRATED, shared: true, curves: [curve(0)] });
    const channel = await open(changed(made, {
      "segments/1/segment-header.properties": (text) => text.replace("vDeflection.lcd-info.*=1", "vDeflection.lcd-info.*=7"),
    })); // prettier-ignore
    await expect(read(channel)).rejects.toThrow(
      /segments\/1\/segment-header\.properties: channel vDeflection points to lcd-info\.7 of shared-data\/header\.properties, which is not there/,
    );
    const style = await open(changed(made, {
      "segments/1/segment-header.properties": (text) => text.replace("info.*=1", "info.*=9"),
    })); // prettier-ignore
    const { segment: codes, warnings } = await read(style);
    expect([codes[0], codes[24]]).toEqual([0, 255]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /segments\/1\/ is of style ""; .* points to force-segment-header-info\.9 .* not there/,
      ),
    ]);
  });

  test("of a series' header count too", async () => {
    const made = changed(
      makeJpk({ ...CALIBRATED, kind: "force-scan-map", shared: true, curves: [curve(0)] }),
      {
        "index/0/header.properties": () =>
          "type=force-scan-series\nforce-scan-series.header.place-info.*=3\n",
        "shared-data/header.properties": (text) =>
          `${text}place-info.3.position.x=4E-6\nplace-info.3.position.y=5E-6\n`,
      },
    );
    expect(await read(await open(made))).toMatchObject({ x_m: 4e-6, y_m: 5e-6 });
  });
});

describe("segments", () => {
  test("of a map with pauses and modulation: every curve is read whole", async () => {
    const styles = ["extend", "pause", "modulation", "retract"];
    const grid = { columns: 2, rows: 2, size: 1e-6 };
    const file = await open(
      makeJpk({ ...CALIBRATED, kind: "force-scan-map", grid, shared: true, curves: [0, 1, 2, 3].map((n) => curve(n, ...styles)) }),
    ); // prettier-ignore
    expect(file.curves!.numbers).toEqual([0, 1, 2, 3]);
    for (const number of file.curves!.numbers) {
      const { segment: codes, warnings } = await read(file, number);
      expect([0, 24, 48, 72].map((at) => codes[at])).toEqual([0, 2, 3, 1]);
      expect(warnings).toEqual([]);
    }
  });

  test("of several approaches all stay, in their order, with their sum of durations", async () => {
    const styles = ["extend", "retract", "pause", "extend", "retract"];
    const {
      segment: codes,
      duration_s,
      height_m: height,
    } = await only({
      ...CALIBRATED,
      curves: [{ segments: styles.map((style) => segment(style, { duration: 0.5 })) }],
    });
    expect(styles.map((_, i) => codes[24 * i])).toEqual([0, 1, 2, 0, 1]);
    expect(duration_s).toBe(2.5);
    expect(height.length).toBe(5 * 24);
  });

  test("are numbered, not spelled: 10 comes after 2", async () => {
    const { segment: codes } = await only({
      ...CALIBRATED,
      curves: [{ segments: Array.from({ length: 11 }, (_, i) => segment(i === 10 ? "retract" : "pause")) }],
    });
    expect(codes.at(-1)).toBe(1);
    expect(codes.indexOf(1)).toBe(240);
  });

  test("whose style is not said are known by their type", async () => {
    const made = changed(makeJpk({ ...CALIBRATED, curves: [{ segments: [segment("pause")] }] }), {
      "segments/0/segment-header.properties": (text) =>
        text.replace("settings.style=pause", "settings.segment-settings.type=constant-force-pause"),
    });
    expect((await read(await open(made))).segment[0]).toBe(2);
  });

  test("that are missing are said", async () => {
    const { warnings } = await only({ ...CALIBRATED, curves: [{ ...curve(0), count: 3 }] });
    expect(warnings).toEqual(["has 2 segments, its header says 3"]);
  });
});

describe("numbering", () => {
  test("of curves has gaps, and is by number whatever the order of entries", async () => {
    const made = makeJpk({
      ...CALIBRATED,
      kind: "quantitative-imaging-map",
      shared: true,
      grid: { columns: 4, rows: 4, size: 1e-6 },
      curves: Array.from({ length: 12 }, (_, n) => ([2, 5, 11].includes(n) ? curve(n) : undefined)),
    });
    const entries = Object.entries(unzipSync(made)).toReversed();
    const file = await open(zipSync(Object.fromEntries(entries)));
    const { curves } = file;
    expect(curves!.numbers).toEqual([2, 5, 11]);
    expect(curves!.expected).toBe(16);
    const indices = await Promise.all(curves!.numbers.map(async (n) => (await read(file, n)).index));
    expect(indices).toEqual([2, 5, 11]);
    expect(file.format).toBe("JPK QI map, version 2.0");
    await expect(read(file, 3)).rejects.toThrow(/has no curve 3/);
  });

  test("of pixels is from the smallest y up, back and forth or not, reflected or not", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.boolean(), fc.boolean(), async (columns, rows, backAndForth, reflect) => {
        const size = 1e-6;
        const visits = Array.from({ length: columns * rows }, (_, visit) => visit);
        const place = (visit: number) => {
          const line = Math.floor(visit / columns);
          const column = backAndForth && line % 2 ? columns - 1 - (visit % columns) : visit % columns;
          return { x: (column + 0.5) * (size / columns), y: ((reflect ? rows - 1 - line : line) + 0.5) * (size / rows) };
        };
        const file = await open(makeJpk({
          ...CALIBRATED, kind: "force-scan-map", shared: true, grid: { columns, rows, size, backAndForth, reflect },
          curves: visits.map((visit) => ({ ...curve(visit, "extend"), ...place(visit) })),
        }));
        for (const visit of visits) {
          const { index, x_m, y_m } = await read(file, visit);
          expect(index % columns).toBe(Math.floor((x_m / size) * columns));
          expect(Math.floor(index / columns)).toBe(Math.floor((y_m / size) * rows));
        }
      }),
      { seed: 8, numRuns: 20 },
    ); // prettier-ignore
  });

  test("a QI curve by itself is one curve", async () => {
    const file = await open(
      makeJpk({
        ...CALIBRATED,
        kind: "quantitative-imaging-series",
        shared: true,
        curves: [{ ...curve(7), x: 3e-6, y: 4e-6 }],
      }),
    );
    expect(file).toMatchObject({
      format: "JPK QI curve, version 2.0",
      curves: { numbers: [0], expected: 1 },
    });
    expect(await read(file)).toMatchObject({ name: "curve", x_m: 3e-6, y_m: 4e-6, warnings: [] });
  });
});

describe("calibration", () => {
  const made = makeJpk({ ...CALIBRATED, shared: true, curves: [curve(0)] });
  const say = (key: string, value: string) =>
    changed(made, {
      "shared-data/header.properties": (text) =>
        text.replace(new RegExp(`(conversion\\.${key}\\.scaling\\.multiplier=).*`), `$1${value}`),
    });

  test.each([
    ["force", "0", /spring_constant is 0 in the file, so force is NaN; give it as an option/],
    ["force", "-0.04", /spring_constant is -0\.04 in the file/],
    ["distance", "0", /deflection_sensitivity is 0 in the file/],
    ["force", "NaN", /spring_constant is not in the file/],
  ])("of a %s that is %s is none", async (key, value, says) => {
    const { force_N, height_m: height, warnings } = await read(await open(say(key, value)));
    expect(force_N.every(Number.isNaN)).toBe(true);
    expect(height.some(Number.isNaN)).toBe(false);
    expect(warnings).toEqual([expect.stringMatching(says)]);
  });

  test("that the file does not define is none; one by hand is used", async () => {
    const file = await open(makeJpk({ shared: true, curves: [curve(0)] }));
    const { warnings } = await read(file);
    expect(warnings).toEqual([expect.stringMatching(/^spring_constant is not/), expect.stringMatching(/^deflection_sensitivity is not/)]); // prettier-ignore
    const byHand = { springConstant_N_per_m: 2, deflectionSensitivity_m_per_V: 1e-7 };
    const helped = await file.curves!.read(0, byHand);
    expect(helped.warnings).toEqual([]);
    expect(helped).toMatchObject(byHand);
    expect(helped.force_N[0]).toBeCloseTo(volts(-100) * 2e-7, 22);
  });

  test("of a height that leads nowhere stops the curve, with the reason", async () => {
    const circle = changed(made, {
      "shared-data/header.properties": (text) =>
        text.replace("nominal.base-calibration-slot=volts", "nominal.base-calibration-slot=calibrated"),
    });
    await expect(read(await open(circle))).rejects.toThrow(
      /channel height: its conversion "calibrated" does not lead back to "volts"/,
    );
  });
});

describe("what a file says of itself is checked", () => {
  const rise = volts(900) - volts(-100);
  test.each([
    [rise, []],
    [-1, []], // a pull has none
    [rise / 5, [expect.stringMatching(/deflection rises by 0\.282 V, the trigger is set to 0\.0618 V: .*scale/)]],
  ])("setpoint of %d V", async (setpoint, warnings) => {
    expect((await only({ ...CALIBRATED, curves: [{ segments: [segment("extend", { setpoint })] }] })).warnings).toEqual(warnings);
  }); // prettier-ignore

  test("a deflection that falls where it should rise: its sign", async () => {
    const falling = segment("extend", { setpoint: rise, deflection: ramp(24, 900, -100) });
    const { force_N, warnings } = await only({ ...CALIBRATED, curves: [{ segments: [falling] }] });
    expect(warnings).toEqual([
      expect.stringMatching(/deflection falls by 0\.296 V, .*: its sign is the other way round/),
    ]);
    expect(force_N[0]).toBeGreaterThan(force_N[23]!); // as the file has it
  });
});

describe("bad input", () => {
  test("a segment without points is said, and the others are read; a curve without any is refused", async () => {
    const none = segment("pause", { deflection: [], height: [] });
    const { force_N, segment: codes, warnings } = await only({ ...CALIBRATED, curves: [{ segments: [segment("extend"), none, segment("retract")] }] }); // prettier-ignore
    expect([force_N.length, codes[24]]).toEqual([48, 1]);
    expect(warnings).toEqual(["segments/1/ has no points"]);
    const file = await open(
      makeJpk({
        ...CALIBRATED,
        kind: "force-scan-map",
        shared: true,
        curves: [{ segments: [none, none] }, curve(1)],
      }),
    );
    await expect(read(file, 0)).rejects.toThrow(/index\/0\/ ?has no points in any of its 2 segments/);
    expect((await read(file, 1)).force_N.length).toBe(48);
  });

  test("NaN in floats stay NaN, and only they", async () => {
    const deflection = [0, NaN, 2, 3, NaN, 5].map((v) => v / 10);
    const height = [5, 4, NaN, 2, 1, 0].map((v) => v / 10);
    const { force_N, height_m: heights } = await only({ ...CALIBRATED, encoder: "double", curves: [{ segments: [segment("extend", { deflection, height })] }] }); // prettier-ignore
    expect([...force_N].map(Number.isNaN)).toEqual(deflection.map(Number.isNaN));
    expect([...heights].map(Number.isNaN)).toEqual(height.map(Number.isNaN));
    expect(heights[0]).toBeCloseTo(height_m(0.5, "double"), 18);
  });

  test("a start that is no time is missing, with a warning; a stamp that is none stops its curve", async () => {
    const file = await open(
      makeJpk({ ...CALIBRATED, kind: "force-scan-map", start: "soon", shared: true, curves: [curve(0)] }),
    );
    expect(file.start).toBeUndefined();
    expect(file.warnings).toEqual([
      expect.stringMatching(
        /^entry header\.properties: "soon" is not a time such as .*; it counts as missing/,
      ),
    ]);
    expect((await read(file)).time).toBeUndefined();
  });

  test("a grid of absurd size is none, and the curves are read", async () => {
    const grid = { columns: 1e6, rows: 1e6, size: 1e-6 };
    const file = await open(makeJpk({ ...CALIBRATED, kind: "force-scan-map", grid, shared: true, curves: [curve(0)] })); // prettier-ignore
    expect(file.curves).toMatchObject({ grid: undefined, expected: 1 });
    expect(file.warnings).toEqual([expect.stringMatching(/grid would have 1000000 × 1000000 pixels/)]);
    expect((await read(file)).index).toBe(0);
  });

  test("a file of a version to come is refused with what to do", async () => {
    await expect(open(makeJpk({ version: "3.0", curves: [curve(0)] }))).rejects.toThrow(
      /format version 3\.0; known are 0 to 2; export it with an older setting, or send us the file/,
    );
  });

  test("cut anywhere it is refused, and said to be cut", async () => {
    const whole = makeJpk({ ...CALIBRATED, shared: true, curves: [curve(0)] });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: whole.length - 1 }), async (length) => {
        await expect(open(whole.subarray(0, length))).rejects.toThrow(
          length === 1
            ? /is no JPK file/
            : /is cut short or no ZIP archive: .* from its \d+ bytes; copy the file again/,
        );
      }),
      { seed: 4, numRuns: 50 },
    );
  });
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("files of real instruments", () => {
  const path = (name: string): string => join(shared, "jpk", name);
  const openReal = async (name: string): Promise<AfmFile> => {
    const file = await jpkForce.open(path(name), zoned);
    opened.push(file);
    return file;
  };

  test("a pause between approach and retract: every point has its segment", async () => {
    const { segment: codes } = await read(
      await openReal("fmt-jpk-cc_pr14-brain-2021.06.30.jpk-force"),
    );
    expect([0, 2, 1].map((code) => codes.filter((c) => c === code).length)).toEqual([3000, 3000, 3000]);
    expect([codes[0], codes[3000], codes[6000]]).toEqual([0, 2, 1]);
  }); // prettier-ignore

  test("force that a peer once turned round rises on contact, as the file has it", async () => {
    const { force_N, segment: codes, warnings } = await read(await openReal("fmt-jpk-fd_flipsign_2015.05.22-15.31.49.352.jpk-force")); // prettier-ignore
    const end = codes.lastIndexOf(0);
    expect(force_N[end]! - force_N[0]!).toBeGreaterThan(3e-9);
    expect(warnings).toEqual([]);
  });

  test("curves of a map in the order of their times, at the pixels where they say they were", async () => {
    const file = await openReal("map-data-2022.10.29-12.27.34.564.jpk-force-map");
    const { grid, numbers } = file.curves!;
    const corner = { x: -3.5486382421925194e-6, y: -3.388597039444105e-5 };
    let last = 0n;
    for (const number of numbers) {
      const { index, x_m, y_m, time } = await read(file, number);
      expect(x_m - corner.x - ((index % 4) + 0.5) * (grid!.sizeX_m / 4)).toBeCloseTo(0, 11);
      expect(y_m - corner.y - (Math.floor(index / 4) + 0.5) * (grid!.sizeY_m / 4)).toBeCloseTo(0, 11);
      expect(time! > last).toBe(true);
      last = time!;
    }
  });

  test("an archive claims by its first bytes, whatever its name", () => {
    for (const name of ["fmt-jpk-fd_spot3-0192.jpk-force", "fmt-jpk-fd_2020.02.07-16.29.05.036.jpk-qi-data"])
      expect(jpkForce.claims!(readFileSync(path(name)).subarray(0, 4096), "x")).toBe(true);
    expect(jpkForce.claims!(readFileSync(path("sample_0.jpk")).subarray(0, 4096), "x.jpk-force")).toBe(false);
  });
});
