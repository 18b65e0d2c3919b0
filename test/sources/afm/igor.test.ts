import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Calibration } from "../../../sources/afm/afm-file.ts";
import { looksLikeIgorWave, openIgorWave } from "../../../sources/afm/igor-wave.ts";
import { igorWave } from "../../../sources/afm/igor.ts";
import { FORCE_NOTE, forceColumns, igor, IGOR_TYPES, withChecksum, type MadeWave } from "./make-igor.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "igor "))));
afterAll(() => rmSync(directory, { recursive: true }));
function write(bytes: Uint8Array): string {
  const path = join(directory, `${++count}.ibw`);
  writeFileSync(path, bytes);
  return path;
}
const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n + BigInt((local.slice(20) || "0").padEnd(9, "0")); // prettier-ignore
const OWN: Calibration = { springConstant_N_per_m: NaN, deflectionSensitivity_m_per_V: NaN };
const openMade = (made: MadeWave) => igorWave.open(write(igor(made)), zoned);

const { z, deflection, raw } = forceColumns(60, 20, 40);
const force: MadeWave = {
  shape: [120, 3],
  values: [...raw, ...deflection, ...z],
  labels: [[], ["Raw", "Defl", "ZSnsr"]],
  junk: "ce",
  units: ["s"],
  scale: [0.001],
  note: [...FORCE_NOTE, "Indexes: 0,60,80,119", "Direction: NaN,1,0,-1,", "Date:2018-05-01", "Time:6:18:49 PM", "Seconds:3608043530.25"], // prettier-ignore
};
const replaced = (from: RegExp, to: string): readonly string[] => (force.note as readonly string[]).map((line) => line.replace(from, to)); // prettier-ignore
async function curveOf(made: Partial<MadeWave> = {}, calibration = OWN) {
  const file = await openMade({ ...force, ...made });
  const curve = await file.curves!.read(0, calibration);
  await file.close();
  return { file, curve };
}

describe("waves", () => {
  test.each(IGOR_TYPES)("%s comes back, in each version and byte order", async (type) => {
    const values = type === "f32" || type === "f64" ? [5.5, -4, 3, NaN, 1] : type.startsWith("u") ? [5, 4, 3, 200, 1] : [5, -4, 3, -100, 1]; // prettier-ignore
    for (const version of [1, 2, 3, 5] as const)
      for (const little of [true, false]) {
        const bytes = igor({ version, little, type, values, note: "a note", units: ["s"], scale: [0.25] });
        expect(looksLikeIgorWave(bytes)).toBe(true);
        const wave = await openIgorWave(write(bytes));
        expect([...(await wave.read(0, 5, "all"))]).toEqual(values);
        expect([...(await wave.read(2, 2, "two"))]).toEqual(values.slice(2, 4));
        expect([wave.shape, wave.scale[0], wave.dimensionUnits[0], wave.name]).toEqual([
          [5],
          0.25,
          "s",
          "wave",
        ]);
        expect(wave.note).toBe(version === 1 ? "" : "a note");
        await wave.close();
      }
  });

  test("labels end at their first NUL, whatever follows", async () => {
    const wave = await openIgorWave(write(igor({ shape: [1, 2, 2], values: [1, 2, 3, 4], labels: [[], ["Raw", "Defl"], ["HeightTrace", "PhaseRetrace"]], junk: "ecejunk" }))); // prettier-ignore
    expect(wave.labels.slice(1, 3)).toEqual([["Raw", "Defl"], ["HeightTrace", "PhaseRetrace"]]); // prettier-ignore
    await wave.close();
  });

  test("what cannot be read says where and why", async () => {
    const whole = igor(force);
    const changed = (change: (bytes: Buffer) => void): string => {
      const bytes = Buffer.from(whole);
      change(bytes);
      return write(withChecksum(bytes));
    };
    const refused = (path: string, why: RegExp): Promise<void> => expect(openIgorWave(path)).rejects.toThrow(why);
    await refused(write(Buffer.from("text")), /is no Igor binary wave/);
    await refused(write(Buffer.alloc(0)), /the version of the wave lies at byte 0 and has 2 bytes, but the file ends at byte 0/);
    await refused(write(whole.subarray(0, 200)), /the header of the wave .* has 384 bytes, but the file ends at byte 200/);
    await refused(write(whole.subarray(0, 1000)), /its 360 values end at byte 1824, but the file ends at byte 1000; it is cut short/);
    await refused(write(whole.subarray(0, 1900)), /its note lies at byte 1824 .* but the file ends at byte 1900/);
    await refused(write(Buffer.from(whole).fill(7, 100, 101)), /the checksum of its header \(version 5\) is wrong/);
    await refused(changed((b) => b.writeInt32LE(2 ** 30, 64 + 68)), /says 360 values, but dimensions of 1073741824 × 3/);
    await refused(changed((b) => b.writeInt32LE(-1, 12)), /its note would have -1 bytes/);
    await refused(changed((b) => b.writeInt32LE(2 ** 30, 12)), /its note would have 1073741824 bytes/);
    await refused(changed((b) => b.writeInt32LE(77, 4)), /says 77 bytes of wave, but 360 values of 4 bytes need 1760/);
    await refused(write(igor({ values: [1], typeCode: 0x03 })), /is an Igor wave of complex numbers/);
    await refused(write(igor({ values: [1], typeCode: 0 })), /is an Igor wave of text/);
    await refused(write(igor({ values: [1], typeCode: 0x0a })), /number type 0xa; known are/);
    await expect(igorWave.open(write(igor({ values: [5, 4, 3], name: "mine" })), zoned)).rejects.toThrow(/is an Igor wave "mine" of 3 values, but neither a force curve .* nor an image/);
  }); // prettier-ignore
});

describe("force curves", () => {
  test("come back as they were made, from each byte order and float", async () => {
    for (const little of [true, false])
      for (const type of ["f32", "f64"] as const) {
        const { file, curve } = await curveOf({ little, type });
        const round = type === "f32" ? Math.fround : (x: number): number => x;
        expect([...curve.force_N]).toEqual(deflection.map((d) => round(d) * 0.5));
        expect([...curve.height_m]).toEqual(z.map((value) => -round(value)));
        expect([...curve.segment]).toEqual([
          ...Array(60).fill(0),
          ...Array(20).fill(2),
          ...Array(40).fill(1),
        ]);
        expect(curve.warnings).toEqual([]);
        expect([curve.x_m, curve.y_m, curve.springConstant_N_per_m, curve.deflectionSensitivity_m_per_V]).toEqual([7.5e-6, -1.25e-6, 0.5, 4e-8]); // prettier-ignore
        expect(curve.duration_s).toBeCloseTo(0.12, 12);
        expect(curve.time).toBe(BigInt(Date.UTC(2018, 4, 1, 18, 18, 50)) * 1_000_000n + 250_000_000n);
        expect([file.instrument, file.software, file.warnings]).toEqual(["MFP3D", "15.00.78", []]);
      }
  });

  test("a calibration by hand rescales what the instrument computed", async () => {
    const { curve } = await curveOf();
    const { curve: both } = await curveOf(
      {},
      { springConstant_N_per_m: 2, deflectionSensitivity_m_per_V: 6e-8 },
    );
    both.force_N.forEach((f, i) => expect(f).toBeCloseTo(curve.force_N[i]! * 4 * 1.5, 18));
    expect([both.springConstant_N_per_m, both.deflectionSensitivity_m_per_V]).toEqual([2, 6e-8]);
  });

  test.each([
    ["no spring constant", /^SpringConstant: .*/, "", /spring_constant is not in the file, so force is NaN/, true],
    ["a spring constant of zero", /^(SpringConstant: ).*/, "$10", /spring_constant is 0 in the file, so force is NaN/, true],
    ["a spring constant of NaN", /^(SpringConstant: ).*/, "$1NaN", /spring_constant is not in the file/, true],
    ["no sensitivity", /^InvOLS: .*/, "", /deflection_sensitivity is not in the file; force stands/, false],
  ] as const)("%s is said, and missing stays missing", async (_, from, to, why, missing) => {
    const { curve } = await curveOf({ note: replaced(from, to) });
    expect(curve.warnings).toEqual([expect.stringMatching(why)]);
    expect(curve.force_N.every((f) => Number.isNaN(f) === missing)).toBe(true);
    expect(curve.height_m.some(Number.isNaN)).toBe(false);
  }); // prettier-ignore

  test("a sensitivity by hand has nothing to be compared with where the file has none", async () => {
    const { curve } = await curveOf({ note: replaced(/^InvOLS: .*/, "") }, { ...OWN, deflectionSensitivity_m_per_V: 5e-8 }); // prettier-ignore
    expect(curve.warnings).toEqual([expect.stringMatching(/set by hand, but the file does not say the one that its deflection \[m\]/)]); // prettier-ignore
    expect(curve.force_N.every(Number.isNaN)).toBe(true);
  });

  test("volts are scaled by both", async () => {
    const { curve } = await curveOf({ labels: [[], ["Raw", "DeflV", "ZSnsr"]], values: [...raw, ...deflection.map((d) => d / 4e-8), ...z], type: "f64" }); // prettier-ignore
    deflection.forEach((d, i) => expect(curve.force_N[i]).toBeCloseTo(d * 0.5, 18));
  });

  test("without a sensor the piezo is the height, and NaN at its edges stays", async () => {
    const values = [...raw, ...deflection];
    values[0] = values[120] = NaN;
    const { curve } = await curveOf({ shape: [120, 2], values, labels: [[], ["Raw", "Defl"]], type: "f64" });
    expect([...curve.height_m.slice(0, 3)]).toEqual([NaN, -raw[1]!, -raw[2]!]);
    expect(curve.force_N[0]).toBeNaN();
    expect(curve.warnings).toEqual([]);
    const { curve: blind } = await curveOf({ shape: [120, 1], values: deflection, labels: [[], ["Defl"]] });
    expect(blind.warnings).toEqual([expect.stringMatching(/has no column ZSnsr, LVDT, Raw \(it has Defl\), so height is NaN/)]); // prettier-ignore
    expect(blind.height_m.every(Number.isNaN)).toBe(true);
  });

  test("several curves in one wave are read one by one", async () => {
    const second = deflection.map((d) => 3 * d);
    const file = await openMade({ ...force, type: "f64", shape: [120, 3, 2], values: [...raw, ...deflection, ...z, ...raw, ...second, ...z], note: replaced(/^TriggerPoint.*/, "") }); // prettier-ignore
    expect([file.curves!.numbers, file.curves!.expected]).toEqual([[0, 1], 2]);
    expect([...(await file.curves!.read(1, OWN)).force_N]).toEqual(second.map((d) => d * 0.5));
    await file.close();
  });

  test("segments that do not fit are cut where the height turns, and it is said", async () => {
    const turn = z.indexOf(Math.max(...z));
    for (const [note, why] of [
      [replaced(/^Indexes.*/, ""), /its note has no Indexes; it is cut where its height turns, at sample/],
      [replaced(/^Indexes.*/, "Indexes: 0,80,60,119"), /says Indexes 0,80,60,119 and Direction NaN,1,0,-1,, which do not fit its 120 samples/],
      [replaced(/^Indexes.*/, "Indexes: 0,60,80,5000"), /do not fit its 120 samples/],
    ] as const) {
      const { curve } = await curveOf({ note });
      expect(curve.warnings).toEqual([expect.stringMatching(why)]);
      expect(curve.segment.lastIndexOf(0)).toBe(turn);
      expect(curve.segment[turn + 1]).toBe(1);
    } // prettier-ignore
    const { curve } = await curveOf({ note: replaced(/^Indexes.*/, "Indexes: 0,60,80,99") });
    expect(curve.warnings).toEqual([expect.stringMatching(/Indexes up to 99, but it has 20 samples more/)]);
    expect([curve.segment[99], curve.segment[100]]).toEqual([1, 255]);
  });

  test("a scale that does not fit the trigger is said", async () => {
    const { curve } = await curveOf({ note: replaced(/^SpringConstant.*/, "SpringConstant: 128") });
    expect(curve.warnings).toEqual([expect.stringMatching(/its Force rises by 5.12e-6 N in the approach, the trigger is set to 2.00e-8 N/)]); // prettier-ignore
    const { curve: ended } = await curveOf({ note: replaced(/^SpringConstant.*/, "SpringConstant: 128").map((line) => line.replace("IsTriggered:1", "IsTriggered:0")) }); // prettier-ignore
    expect(ended.warnings).toEqual([]);
  });

  test("times: Seconds, else Date and Time, else the wave's own; what contradicts is said", async () => {
    const timeOf = async (note: readonly string[], modified = 0) => {
      const { file, curve } = await curveOf({ note, modified });
      return { time: curve.time, warnings: file.warnings };
    };
    const at = (s: number, ns = 0n): bigint => BigInt(Date.UTC(2018, 4, 1, 18, 18, s)) * 1_000_000n + ns;
    expect((await timeOf(replaced(/^Seconds.*/, ""))).time).toBe(at(49));
    expect((await timeOf(replaced(/^(Seconds|Date|Time:).*/, ""), 3608043529)).time).toBe(at(49));
    expect((await timeOf(replaced(/^(Seconds|Date|Time:).*/, ""))).time).toBeUndefined();
    const { time, warnings } = await timeOf(replaced(/^Date.*/, "Date:2018-05-02"));
    expect(time).toBe(at(50, 250_000_000n));
    expect(warnings).toEqual([expect.stringMatching(/is -86398.75 s from Date 2018-05-02 and Time 6:18:49 PM; Seconds counts/)]); // prettier-ignore
    expect((await timeOf(replaced(/^(Seconds|Date).*/, "$1:2018-02-31"))).time).toBeUndefined();
  });
});

describe("images", () => {
  const columns = 4, rows = 3; // prettier-ignore
  const layer = (f: (x: number, y: number) => number): number[] => Array.from({ length: rows * columns }, (_, i) => f(i % columns, Math.floor(i / columns))); // prettier-ignore
  const made: MadeWave = {
    type: "f64",
    shape: [columns, rows, 3],
    values: [...layer((x, y) => 100 * y + x), ...layer((x, y) => -100 * y - x), ...layer((x, y) => (x === 0 && y === 2 ? NaN : x * y))], // prettier-ignore
    labels: [[], [], ["HeightTrace", "ZSensorRetrace", "PhaseTrace"]],
    units: ["m", "m"],
    scale: [1e-6, 2e-6],
    note: ["ScanSize: 3e-06", "FastScanSize: 3e-06", "SlowScanSize: 4e-06", "ScanRate: 2", "ScanRate: 2@Line: 2", "ScanDown: 0", "XOffset: 1e-06", "YOffset: -2e-06", "ScanAngle: 90", "Seconds:3716812321.871"], // prettier-ignore
  };
  const changed = (from: RegExp, to: string): readonly string[] => (made.note as readonly string[]).map((line) => line.replace(from, to)); // prettier-ignore

  test("rows come from the smallest y up, as they are stored", async () => {
    const file = await openMade(made);
    const images = file.images!;
    expect(images.channels.map(({ name, port, unit, direction, rank }) => [name, port, unit, direction, rank])).toEqual([
      ["HeightTrace", "topography", "m", 0, 0],
      ["ZSensorRetrace", "topography", "m", 1, 1],
      ["PhaseTrace", "phase", "deg", 0, 0],
    ]); // prettier-ignore
    expect([...(await images.read(0, 0))]).toEqual([0, 1, 2, 3, 100, 101, 102, 103, 200, 201, 202, 203]);
    expect([...(await images.read(2, 0))]).toEqual([0, 0, 0, 0, 0, 1, 2, 3, NaN, 2, 4, 6]);
    expect([images.sizeX_m, images.sizeY_m]).toEqual([4e-6, 6e-6]);
    expect(await images.frame(0)).toEqual({
      end: { ns: BigInt(Date.UTC(2021, 9, 11, 15, 52, 1)) * 1_000_000n + 871_000_000n, zoned: false },
      duration_s: 1.5, slowScan: 0, centerX_m: 1e-6, centerY_m: -2e-6, angle_deg: 90,
    }); // prettier-ignore
    expect(file.warnings).toEqual([]);
    await file.close();
  });

  test("settings that were changed during the scan are said", async () => {
    const file = await openMade({
      ...made,
      note: [...changed(/^(ScanDown: ).*/, "$11"), "ScanRate: 1@Line: 2"],
    });
    expect(await file.images!.frame(0)).toMatchObject({ duration_s: NaN, slowScan: 1 });
    expect(file.warnings).toEqual([
      expect.stringMatching(/scan rate was changed during the scan \(2, 1 Hz\)/),
    ]);
    await file.close();
    const both = await openMade({ ...made, note: [...(made.note as string[]), "ScanDown: 1@Line: 1"] });
    expect((await both.images!.frame(0)).slowScan).toBe(255);
    await both.close();
  });

  test("channels without a stream are named, the second pass has its own, copies come last", async () => {
    const labels = [
      "NapPotentialRetrace",
      "NapHeightTrace",
      "HeightTraceMod0",
      "UserIn0Trace",
      "constructor",
    ];
    const file = await openMade({ ...made, shape: [columns, rows, 5], values: Array(60).fill(1), labels: [[], [], labels] }); // prettier-ignore
    expect(file.images!.channels.map(({ port, direction, rank }) => [port, direction, rank])).toEqual([["potential", 1, 10], [undefined, 0, 10], ["topography", 0, -20], [undefined, 0, 0], [undefined, 0, 0]]); // prettier-ignore
    await file.close();
    const bare = await openMade({ ...made, labels: [[], [], ["HeightTrace"]] });
    expect(bare.images!.channels.map(({ name }) => name)).toEqual(["HeightTrace", "layer 2", "layer 3"]);
    expect(bare.warnings).toEqual([expect.stringMatching(/only 1 of its 3 layers have a label/)]);
    await bare.close();
  });

  test("sizes that contradict each other are said; without a scaling the note's counts", async () => {
    const file = await openMade({ ...made, scale: [1e-7, 2e-6] });
    expect(file.warnings).toEqual([expect.stringMatching(/its scaling says 4e-7 m along dimension 0, its note FastScanSize 0.000003 m/)]); // prettier-ignore
    await file.close();
    const bare = await openMade({ ...made, units: [] });
    expect([bare.images!.sizeX_m, bare.images!.sizeY_m]).toEqual([expect.closeTo(4e-6, 12), expect.closeTo(6e-6, 12)]); // prettier-ignore
    await bare.close();
  });

  test("any image comes back", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: 9 }), fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.infiniteStream(fc.float()), async (w, h, layers, little, numbers) => {
        const values = [...numbers.take(w * h * layers)];
        const file = await openMade({ ...made, little, type: "f32", shape: [w, h, layers], values });
        for (let i = 0; i < layers; i++) expect([...(await file.images!.read(i, 0))]).toEqual(values.slice(i * w * h, (i + 1) * w * h));
        await file.close();
      }),
      { seed: 4, numRuns: 30 },
    ); // prettier-ignore
  });
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("files of microscopes", () => {
  interface Expected { shape: number[]; values_first?: number[]; force_curve?: { force_first_N: number; force_max_N: number }; columns_or_layers: { min: number; max: number; mean: number; first3: number[]; at_row10_col20: number }[] } // prettier-ignore
  const { files } = existsSync(shared) ? (JSON.parse(readFileSync(`${shared}expected_shared.json`, "utf8")) as { files: Record<string, Expected> }) : { files: {} }; // prettier-ignore
  const relative = (got: number, wanted: number): number => Math.abs(got - wanted) / Math.max(Math.abs(wanted), 1e-300); // prettier-ignore

  test("a force curve", async () => {
    const name = "ibw/fmt-igor-fd_U3_3_p10004.ibw";
    const { force_curve, columns_or_layers } = files[name]!;
    const file = await igorWave.open(`${shared}${name}`, zoned);
    const curve = await file.curves!.read(0, OWN);
    expect(relative(curve.force_N[0]!, force_curve!.force_first_N)).toBeLessThan(1e-9);
    expect(relative(Math.max(...curve.force_N), force_curve!.force_max_N)).toBeLessThan(1e-9);
    columns_or_layers[2]!.first3.forEach((value, i) => expect(relative(curve.height_m[i]!, -value)).toBeLessThan(1e-9)); // prettier-ignore
    expect([curve.segment.indexOf(1), curve.segment.lastIndexOf(0), curve.segment.length]).toEqual([5057, 5056, 10097]); // prettier-ignore
    expect([curve.warnings, file.warnings, curve.x_m]).toEqual([[], [], 7.15450526103554e-6]);
    expect(curve.time).toBe(zoned("2018-05-01T18:18:50"));
    await file.close();
  });

  test("an image", async () => {
    const name = "ibw/AR_20211011.ibw";
    const file = await igorWave.open(`${shared}${name}`, zoned);
    for (const [i, wanted] of files[name]!.columns_or_layers.entries()) {
      const data = await file.images!.read(i, 0);
      const first3 = [data[0]!, data[128]!, data[256]!]; // the peer's rows run along x
      wanted.first3.forEach((value, j) => expect(relative(first3[j]!, value)).toBeLessThan(1e-6));
      expect(relative(data[20 * 128 + 10]!, wanted.at_row10_col20)).toBeLessThan(1e-6);
      expect(relative(Math.min(...data), wanted.min)).toBeLessThan(1e-6);
      expect(relative(Math.max(...data), wanted.max)).toBeLessThan(1e-6);
    }
    expect(file.images!.channels.map(({ port, direction }) => [port, direction])).toEqual([["topography", 1], ["amplitude", 1], ["phase", 1], ["topography", 1]]); // prettier-ignore
    const frame = await file.images!.frame(0);
    expect(frame.duration_s).toBeCloseTo(63.9, 1); // its note: Scan Time 00:01:04
    expect(frame.end?.ns).toBe(zoned("2021-10-11T15:52:01.871"));
    expect(file.warnings).toEqual([]);
    await file.close();
  });

  test.each(["win-version2", "mac-version2", "win-version5", "mac-version5", "win-double", "mac-double", "win-zeroPointWave", "mac-version3Dependent"])("the wave %s", async (name) => {
    const path = `${shared}ibw/${name}.ibw`;
    const { shape, values_first } = files[`ibw/${name}.ibw`]!;
    const wave = await openIgorWave(path);
    const length = wave.shape[0] ?? 0;
    expect(length).toBe(shape[0]);
    expect([...(await wave.read(0, length, "all"))]).toEqual(values_first);
    await wave.close();
    await expect(igorWave.open(path, zoned)).rejects.toThrow(/neither a force curve .* nor an image/);
  }); // prettier-ignore

  test("a wave of text is refused", async () => {
    await expect(igorWave.open(`${shared}ibw/win-textWave.ibw`, zoned)).rejects.toThrow(
      /is an Igor wave of text/,
    );
  });
});
