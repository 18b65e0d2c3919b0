import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Calibration } from "../../../sources/afm/afm-file.ts";
import { nanosurfNid } from "../../../sources/afm/nanosurf.ts";
import { LEVER, nid, SCAN, type MadeBlock, type MadeNid } from "./make-nid.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "nid "))));
afterAll(() => rmSync(directory, { recursive: true }));
function write(bytes: Uint8Array): string {
  const path = join(directory, `${++count}.nid`);
  writeFileSync(path, bytes);
  return path;
}
const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
const OWN: Calibration = { springConstant_N_per_m: NaN, deflectionSensitivity_m_per_V: NaN };
const openMade = (made: MadeNid) => nanosurfNid.open(write(nid(made)), zoned);

describe("images", () => {
  const lines = [[-32768, 0, 32767], [1, 2, 3]]; // prettier-ignore
  const height: MadeBlock = { channel: "Z-Axis", unit: "m", lines };
  const value = (raw: number): number => Math.fround(((raw + 32768) / 65536) * 2e-6 - 1e-6);

  test("come back in every number type, rows from the smallest y up", async () => {
    for (const bits of [8, 16, 32] as const)
      for (const signed of [true, false])
        for (const little of [true, false]) {
          const half = 2 ** (bits - 1);
          const raw = [[0, half / 2, half - 1], [1, 2, 3]]; // prettier-ignore
          const file = await openMade({ groups: [["Scan forward", [{ ...height, lines: raw, bits, signed, little }]]], sections: SCAN }); // prettier-ignore
          expect([...(await file.images!.read(0, 0))]).toEqual(raw.flat().map((r) => Math.fround(((r + (signed ? half : 0)) / (2 * half)) * 2e-6 - 1e-6))); // prettier-ignore
          expect(file.warnings).toEqual([]);
          await file.close();
        }
  });

  test("lists with gaps; forward and backward; sensor before piezo; what is of no stream is named", async () => {
    const file = await openMade({
      groups: [
        ["Scan forward", [undefined, height, { ...height, channel: "Amplitude", unit: "V" }, { ...height, channel: "Phase", unit: "°" }, undefined, { ...height, channel: "Z-Axis Sensor" }]],
        ["Scan backward", [{ ...height, channel: "Deflection" }, { ...height, channel: "Tip current", unit: "A", lines: lines.toReversed() }]],
        ["2nd scan forward", [height, { ...height, channel: "Contact potential", unit: "V" }, { ...height, channel: "constructor" }, { ...height, unit: "V" }]],
      ],
      sections: SCAN,
    }); // prettier-ignore
    expect(file.images!.channels.map(({ name, port, direction, rank }) => [name, port, direction, rank])).toEqual([
      ["Scan forward: Z-Axis", "topography", 0, 0], ["Scan forward: Amplitude", "amplitude_volt", 0, 0], ["Scan forward: Phase", "phase", 0, 0],
      ["Scan forward: Z-Axis Sensor", "topography", 0, 1], ["Scan backward: Deflection", "deflection", 1, 0], ["Scan backward: Tip current", "current", 1, 0],
      ["2nd scan forward: Z-Axis", undefined, 0, 10], ["2nd scan forward: Contact potential", "potential", 0, 10],
      ["2nd scan forward: constructor", undefined, 0, 10], ["2nd scan forward: Z-Axis", undefined, 0, 10],
    ]); // prettier-ignore
    expect([...(await file.images!.read(5, 0))]).toEqual([...lines[1]!, ...lines[0]!].map(value));
    expect(file.warnings).toEqual([]);
    await file.close();
  });

  test("where, when and how it was scanned, from either alphabet", async () => {
    for (const encoding of ["latin1", "utf8"] as const) {
      const file = await openMade({ groups: [["Scan forward", [height]]], sections: SCAN, encoding });
      expect(await file.images!.frame(0)).toEqual({
        end: { ns: zoned("2017-09-18T15:14:19"), zoned: false }, duration_s: 2, slowScan: 0,
        centerX_m: expect.closeTo(2.67e-6, 12), centerY_m: expect.closeTo(-166e-9, 12), angle_deg: 30,
      }); // prettier-ignore
      expect([file.images!.sizeX_m, file.images!.sizeY_m, file.instrument, file.software]).toEqual([1e-5, 2e-5, "FlexAFM", "3.8"]); // prettier-ignore
      await file.close();
    }
    const exact = { ...SCAN, "DataSet\\Parameters\\Imaging": { ScanTime: "V[0.25,0.25,0]*[s,s,s]", ScanOffset: "V[1e-006,-2e-006,0]*[m,m,m]", ScanRotation: "V[-1.9,-0,45]*[°,°,°]" } }; // prettier-ignore
    const file = await openMade({ groups: [["Scan forward", [height]]], sections: exact });
    expect(await file.images!.frame(0)).toMatchObject({ duration_s: 1, centerX_m: 1e-6, centerY_m: -2e-6, angle_deg: 45 }); // prettier-ignore
    await file.close();
    const unknown = await openMade({ groups: [["Scan forward", [height]]], sections: { "DataSet-Info": { Date: "31-02-2017", Time: "15:14:19" } } }); // prettier-ignore
    expect(await unknown.images!.frame(0)).toEqual({ end: undefined, duration_s: NaN, slowScan: 255, centerX_m: NaN, centerY_m: NaN, angle_deg: NaN }); // prettier-ignore
    expect(unknown.warnings).toEqual([expect.stringMatching(/says Date=31-02-2017 and Time=15:14:19, which is no time such as/)]); // prettier-ignore
    await unknown.close();
  });

  test.each([
    ["Up", 1, [0, 1]],
    ["Down", 1, [1, 2]],
    ["Down", 0, [0, 1, 2]],
    ["Sideways", 1, [0, 1, 2]],
  ] as const)(
    "lines that a scan %s did not reach (up to line %i) are missing",
    async (way, last, measured) => {
      const three = { ...height, lines: [[1, 1], [2, 2], [3, 3]], more: { CurLine: last } }; // prettier-ignore
      const file = await openMade({ groups: [["Scan forward", [three]]], sections: { "DataSet-Info": { "Scan direction": way } } }); // prettier-ignore
      const data = await file.images!.read(0, 0);
      expect([0, 1, 2].filter((row) => !Number.isNaN(data[2 * row]!))).toEqual(measured);
      if (measured.length < 3) expect(file.warnings).toEqual([expect.stringMatching(/was not finished: 2 of 3 lines; the others are NaN/)]); // prettier-ignore
      await file.close();
    },
  );

  test("any image comes back", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.infiniteStream(fc.integer({ min: -32768, max: 32767 })), async (w, h, numbers) => {
        const made = Array.from({ length: h }, () => [...numbers.take(w)]);
        const file = await openMade({ groups: [["Scan forward", [{ ...height, lines: made }, { ...height, channel: "Phase", unit: "°" }]]] });
        expect([...(await file.images!.read(0, 0))]).toEqual(made.flat().map(value));
        await file.close();
      }),
      { seed: 4, numRuns: 30 },
    ); // prettier-ignore
  });

  test("what cannot be read says where and why, and the rest is read", async () => {
    const whole = nid({ groups: [["Scan forward", [height, { ...height, channel: "Phase", unit: "°" }]]], sections: SCAN }); // prettier-ignore
    const text = whole.toString("latin1");
    const renamed = (from: string | RegExp, to: string): string => write(Buffer.from(text.replace(from, to), "latin1")); // prettier-ignore
    const refused = (path: string, why: RegExp): Promise<void> => expect(nanosurfNid.open(path, zoned)).rejects.toThrow(why); // prettier-ignore
    await refused(write(whole.subarray(0, 300)), /its header does not end: there is no #! .* in its first 300 bytes/);
    await refused(renamed("GroupCount=1", "GroupCount=-1"), /\[DataSet\] says GroupCount=-1/);
    await refused(renamed("[DataSet-0:1]", "[DataSet-0:7]"), /lists Gr0-Ch1=DataSet-0:1, but there is no \[DataSet-0:1\]/);
    await refused(renamed("Points=3", "Points=1e99"), /\[DataSet-0:0\] says Points=1e99 and Lines=2/);
    await refused(renamed("SaveBits=16", "SaveBits=64"), /says SaveBits=64; known are 8, 16 and 32/);
    await refused(renamed("SaveMode=Binary", "SaveMode=Text"), /says SaveMode=Text; known is Binary/);
    await refused(renamed(/Frame=Scan forward/g, "Frame=Spectrum FFT"), /holds neither images nor force curves, but Spectrum FFT/);

    const cut = await nanosurfNid.open(write(whole.subarray(0, whole.length - 3)), zoned);
    expect(cut.lost).toEqual([expect.stringMatching(/blocks up to byte \d+, but it ends at byte \d+: it is cut short/)]);
    expect([...(await cut.images!.read(0, 0))]).toEqual(lines.flat().map(value));
    await expect(cut.images!.read(1, 0)).rejects.toThrow(/\[DataSet-0:1\] Phase lies at byte \d+ and has 12 bytes, but the file ends/);
    await cut.close();
    const huge = await nanosurfNid.open(renamed("Points=3", "Points=50000000"), zoned);
    await expect(huge.images!.read(0, 0)).rejects.toThrow(/says 2 × 50000000 pixels; at most/);
    await huge.close();
    const noRange = await nanosurfNid.open(renamed("Dim2Range=0.000002", "Dim2Range=0"), zoned);
    expect(noRange.warnings).toEqual([expect.stringMatching(/\[DataSet-0:0\] has no Dim2Min and Dim2Range above 0, so its values are NaN/)]);
    expect((await noRange.images!.read(0, 0)).every(Number.isNaN)).toBe(true);
    await noRange.close();
  }); // prettier-ignore
});

describe("force curves", () => {
  // Z grows towards the sample, deflection 20 nm at its end; raw numbers of 32 bit over ±1 µm
  const raw = (x: number): number => Math.round((x / 2e-6) * 2 ** 32);
  const of = (x: number): number => ((raw(x) + 2 ** 31) / 2 ** 32) * 2e-6 - 1e-6;
  const forwardZ = [-4e-7, -2e-7, 0, 1e-8, 2e-8];
  const forwardD = [1e-9, 1e-9, 1e-9, 1.1e-8, 2.1e-8];
  const block = (channel: string, unit: string, lines: readonly (readonly number[])[], more: Partial<MadeBlock> = {}): MadeBlock => ({ channel, unit, lines: lines.map((line) => line.map(raw)), bits: 32, ...more }); // prettier-ignore
  const spec = (curves: number, unit = "m", more: Partial<MadeBlock> = {}): MadeNid["groups"] => {
    const each = <T>(list: readonly T[]): T[][] => Array.from({ length: curves }, () => [...list]);
    return [
      ["Spec forward", [block("Deflection", unit, each(forwardD), more), block("Z-Axis", "m", each(forwardZ.map((z) => z + 1e-9)), more), block("Z-Axis Sensor", "m", each(forwardZ), more)]],
      ["Spec fwd pause", [block("Deflection", unit, each([2.1e-8, 2e-8]), more), block("Z-Axis Sensor", "m", each([2e-8, 2e-8]), more)]],
      ["Spec backward", [block("Deflection", unit, each(forwardD.toReversed()), more), block("Z-Axis Sensor", "m", each(forwardZ.toReversed()), more)]],
    ]; // prettier-ignore
  };
  const timed = { "DataSet-Info": { Date: "18-09-2017", Time: "15:14:19" }, "DataSet\\Parameters\\Spectroscopy": { FwModTime: "D[1]*[s]", BwModTime: "D[0.5]*[s]", FwPauseTime: "D[0.25]*[s]" } }; // prettier-ignore
  const curveOf = async (made: MadeNid, calibration = OWN, number = 0) => {
    const file = await openMade(made);
    const curve = await file.curves!.read(number, calibration);
    await file.close();
    return { file, curve };
  };
  const deflection = [...forwardD, 2.1e-8, 2e-8, ...forwardD.toReversed()];
  const z = [...forwardZ, 2e-8, 2e-8, ...forwardZ.toReversed()];

  test("come back as they were made; height decreases towards the sample", async () => {
    const { file, curve } = await curveOf({ groups: spec(1), sections: { ...LEVER, ...timed } });
    expect([...curve.force_N]).toEqual(deflection.map((d) => of(d) * 0.5));
    expect([...curve.height_m]).toEqual(z.map((value) => -of(value)));
    expect([...curve.segment]).toEqual([0, 0, 0, 0, 0, 2, 2, 1, 1, 1, 1, 1]);
    expect([curve.springConstant_N_per_m, curve.deflectionSensitivity_m_per_V, curve.duration_s]).toEqual([0.5, 4e-8, 1.75]); // prettier-ignore
    expect([curve.time, curve.warnings, file.warnings, file.curves!.grid]).toEqual([zoned("2017-09-18T15:14:19"), [], [], undefined]); // prettier-ignore
  });

  test("deflection in volts, metres or newtons gives the same force; by hand is relative to what was computed with", async () => {
    const hand = { springConstant_N_per_m: 2, deflectionSensitivity_m_per_V: 8e-8 };
    for (const [unit, factor] of [["m", 0.5], ["N", 1], ["V", 4e-8 * 0.5]] as const) {
      const made = { groups: spec(1, unit), sections: LEVER };
      const { curve } = await curveOf(made);
      expect([...curve.force_N]).toEqual(deflection.map((d) => of(d) * factor));
      const { curve: changed } = await curveOf(made, hand);
      changed.force_N.forEach((f, i) => expect(Math.abs(f / (curve.force_N[i]! * 8) - 1)).toBeLessThan(1e-12));
      expect([changed.springConstant_N_per_m, changed.deflectionSensitivity_m_per_V]).toEqual([2, 8e-8]);
    } // prettier-ignore
  });

  test("a calibration that is missing or zero is said once a file", async () => {
    const lever = (prop0: string) => ({ "DataSet\\Calibration\\Cantilever": { Prop0: prop0 } });
    for (const [sections, warning] of [[{}, /spring_constant is not in the file, so force is NaN/], [lever("D[0]*[N/m]"), /spring_constant is 0 in the file, so force is NaN/]] as const) {
      const file = await openMade({ groups: spec(2), sections });
      const first = await file.curves!.read(0, OWN);
      expect(first.warnings).toEqual([expect.stringMatching(/deflection_sensitivity is not in the file; force stands/), expect.stringMatching(warning)]);
      expect(first.force_N.every(Number.isNaN)).toBe(true);
      expect((await file.curves!.read(1, OWN)).warnings).toEqual([]);
      await file.close();
    } // prettier-ignore
    const { curve } = await curveOf({ groups: spec(1, "W"), sections: LEVER });
    expect(curve.warnings).toEqual([expect.stringMatching(/its deflection is in W; wanted V, m or N, so force is NaN/)]); // prettier-ignore
  });

  test("a line that is stored by place is turned round", async () => {
    const [forward, , backward] = spec(1);
    const turned = backward![1].map((made) => ({
      ...made!,
      lines: made!.lines.map((line) => line.toReversed()),
    }));
    const { curve } = await curveOf({ groups: [forward!, ["Spec backward", turned]], sections: LEVER });
    expect([...curve.height_m.slice(5)]).toEqual(forwardZ.toReversed().map((value) => -of(value)));
    expect([...curve.force_N.slice(5)]).toEqual(forwardD.toReversed().map((d) => of(d) * 0.5));
    expect([...curve.segment.slice(5)]).toEqual([1, 1, 1, 1, 1]);
  });

  test("lines of unequal length; without a channel the axis is the height", async () => {
    const axis = { Dim0Name: "Z-Axis", Dim0Unit: "m", Dim0Min: -4e-7, Dim0Range: 4e-7 };
    const ragged = { ...block("Deflection", "N", [[1e-9, 2e-9, 3e-9], [4e-9, 5e-9]]), ragged: true, more: { ...axis, LineDim0Min: -4e-7, LineDim1Min: -2e-7, LineDim1Range: 2e-7 } }; // prettier-ignore
    const file = await openMade({ groups: [["Spec forward", [ragged]]], sections: LEVER });
    const [first, second] = [await file.curves!.read(0, OWN), await file.curves!.read(1, OWN)];
    expect([...first.height_m]).toEqual([4e-7, 2e-7, -0].map((h) => expect.closeTo(h, 15)));
    expect([...second.height_m]).toEqual([2e-7, -0].map((h) => expect.closeTo(h, 15)));
    expect([...second.force_N]).toEqual([of(4e-9), of(5e-9)]);
    await file.close();
    const { curve } = await curveOf({ groups: [["Spec forward", [block("Deflection", "N", [[1e-9, 2e-9]])]]], sections: LEVER }); // prettier-ignore
    expect(curve.warnings).toEqual([expect.stringMatching(/has no height in all its segments, neither as a channel nor as their axis/)]); // prettier-ignore
  });

  test("a map is visited back and forth; rows come from the smallest y up", async () => {
    const map = (text: string) => ({
      ...LEVER,
      ...timed,
      "DataSet\\SpecInfos\\SpecMapTable": { Map0: text },
    });
    for (const [text, indexes, ys] of [
      ["0;2e-6;1e-6;2e-6;3;2;0;1", [0, 1, 2, 5, 4, 3], [1e-6, 2e-6]],
      ["0;2e-6;2e-6;1e-6;3;2;0;1", [3, 4, 5, 2, 1, 0], [2e-6, 1e-6]],
      ["2e-6;0;1e-6;2e-6;3;2;0;0", [2, 1, 0, 3, 4, 5], [1e-6, 2e-6]],
    ] as const) {
      const file = await openMade({ groups: spec(6), sections: map(text) });
      const curves = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => i)).then(async (all) => { const out = []; for (const i of all) out.push(await file.curves!.read(i, OWN)); return out; });
      expect(curves.map(({ index }) => index)).toEqual(indexes);
      expect(curves.map(({ y_m }) => y_m)).toEqual([ys[0], ys[0], ys[0], ys[1], ys[1], ys[1]].map((y) => expect.closeTo(y, 12)));
      curves.forEach(({ index, x_m }) => expect(x_m).toBeCloseTo((index % 3) * 1e-6, 12));
      expect(file.curves!.grid).toEqual({ columns: 3, rows: 2, sizeX_m: expect.closeTo(3e-6, 12), sizeY_m: expect.closeTo(2e-6, 12) });
      expect(curves[5]!.time! - curves[0]!.time!).toBe(5n * 1_750_000_000n);
      await file.close();
    } // prettier-ignore
    const absurd = await openMade({ groups: spec(6), sections: map("0;1;0;1;1e9;1e9;0;1") });
    expect(absurd.curves!.grid).toBeUndefined();
    await absurd.close();
  });

  test("points have their own places", async () => {
    const sections = { ...LEVER, "DataSet\\SpecInfos\\SpecPosTable": { PosAxis: "X;Y;Z", PosUnit: "m;m;m", Count: 2, Pos0: "1e-6;2e-6;0", Pos1: "-3e-6;4e-6;0" } }; // prettier-ignore
    const { curve } = await curveOf({ groups: spec(2), sections }, OWN, 1);
    expect([curve.index, curve.x_m, curve.y_m]).toEqual([1, -3e-6, 4e-6]);
  });

  test("curves that were not recorded, or are cut off, are not there", async () => {
    const early = await openMade({ groups: spec(4, "m", { more: { CurLine: 1 } }), sections: LEVER });
    expect([early.curves!.numbers, early.curves!.expected]).toEqual([[0, 1], 4]);
    await early.close();
    const whole = nid({ groups: spec(4), sections: LEVER });
    const cut = await nanosurfNid.open(write(whole.subarray(0, whole.length - 30)), zoned);
    expect([cut.curves!.numbers, cut.lost]).toEqual([[0, 1], [expect.stringMatching(/it is cut short/)]]);
    await cut.close();
    await expect(nanosurfNid.open(write(whole.subarray(0, whole.length - 300)), zoned)).rejects.toThrow(/none of its 4 curves is whole/); // prettier-ignore
    const none = await openMade({ groups: [["Spec forward", [block("Deflection", "N", [[1e-9], []], { ragged: true })]]], sections: LEVER }); // prettier-ignore
    await expect(none.curves!.read(1, OWN)).rejects.toThrow(/curve 1 has no samples/);
    await none.close();
  });

  test("samples at the end of the range are said", async () => {
    const { curve } = await curveOf({ groups: [["Spec forward", [{ channel: "Deflection", unit: "N", lines: [[0, 32767, 32767]] }, { channel: "Z-Axis", unit: "m", lines: [[0, 1, 2]] }]]], sections: LEVER }); // prettier-ignore
    expect(curve.warnings).toEqual([expect.stringMatching(/2 of 3 samples of Deflection in "Spec forward" are at the end of the range/)]); // prettier-ignore
  });
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("files of microscopes", () => {
  interface Expected { x_range: number; channels: Record<string, { min: number; max: number; mean: number; first3: number[]; at_row10_col20: number }> } // prettier-ignore
  const { files } = existsSync(shared) ? (JSON.parse(readFileSync(`${shared}expected_shared.json`, "utf8")) as { files: Record<string, Expected> }) : { files: {} }; // prettier-ignore
  const relative = (got: number, wanted: number): number => Math.abs(got - wanted) / Math.max(Math.abs(wanted), 1e-300); // prettier-ignore

  test.each(["nid/image.nid", "nid/sapphire.nid", "nid/NanoSurf_20160301.nid"])("%s", async (name) => {
    const { channels, x_range } = files[name]!;
    const file = await nanosurfNid.open(`${shared}${name}`, zoned);
    const images = file.images!;
    expect(file.warnings).toEqual([]);
    expect(images.sizeX_m).toBe(x_range);
    expect(images.channels).toHaveLength(Object.keys(channels).length);
    const lineShapes = new Map<string, number[]>();
    for (const [i, { name: channel, columns, rows, direction }] of images.channels.entries()) {
      const [, way, what] = /^Scan (forward|backward): (.*)$/.exec(channel)!;
      const wanted = channels[`Image/${way === "forward" ? "Forward" : "Backward"}/${what}`]!;
      const data = await images.read(i, 0);
      // The peer gives lines in the order of the file, which is from the smallest y up.
      wanted.first3.forEach((value, j) => expect(relative(data[j]!, value)).toBeLessThan(1e-6));
      expect(relative(data[10 * columns + 20]!, wanted.at_row10_col20)).toBeLessThan(1e-6);
      expect(relative(Math.min(...data), wanted.min)).toBeLessThan(1e-6);
      expect(relative(Math.max(...data), wanted.max)).toBeLessThan(1e-6);
      if (what !== "Z-Axis") continue;
      const flat = Array.from({ length: rows }, (_, row) => {
        const line = data.subarray(row * columns, (row + 1) * columns);
        const middle = line.toSorted()[columns >> 1]!;
        return [...line].map((value) => value - middle);
      }); // prettier-ignore
      if (direction === 0) lineShapes.set("trace", flat.flat());
      else
        lineShapes.set("retrace", flat.flat()).set(
          "mirrored",
          flat.flatMap((line) => line.toReversed()),
        );
    }
    const like = (other: string): number => correlation(lineShapes.get("trace")!, lineShapes.get(other)!);
    expect(like("retrace")).toBeGreaterThan(0.6); // measured: 0.99, 0.997, 0.66
    expect(like("mirrored")).toBeLessThan(0);
    await file.close();
  });
});

function correlation(a: readonly number[], b: readonly number[]): number {
  const sum = (list: readonly number[]): number => list.reduce((x, y) => x + y, 0);
  const [ma, mb] = [sum(a) / a.length, sum(b) / b.length];
  const ab = sum(a.map((x, i) => (x - ma) * (b[i]! - mb)));
  return ab / Math.sqrt(sum(a.map((x) => (x - ma) ** 2)) * sum(b.map((x) => (x - mb) ** 2)));
}
