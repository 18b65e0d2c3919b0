import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { APPROACH, DOWN, RETRACE, RETRACT, TRACE, UP, type AfmFile, type Curve } from "../../../sources/afm/afm-file.ts"; // prettier-ignore
import { nanoscope } from "../../../sources/afm/nanoscope.ts";
import { makeNanoscope, RAMP_M, stored, V_PER_LSB, type MadeForce, type MadeImage, type MadeNanoscope } from "./make-nanoscope.ts"; // prettier-ignore

const folder = mkdtempSync(join(tmpdir(), "operando nanoscope ä-"));
afterAll(() => rmSync(folder, { recursive: true }));
let placed = 0;
const place = (bytes: Uint8Array): string => {
  const path = join(folder, `${String(placed++).padStart(3, "0")}.spm`);
  writeFileSync(path, bytes);
  return path;
};
const utc = (local: string): bigint => BigInt(Date.parse(`${local}Z`)) * 1_000_000n;
const CAPTURED = utc("2020-09-04T10:05:18");
const byFile = { springConstant_N_per_m: NaN, deflectionSensitivity_m_per_V: NaN };

async function using<T>(path: string, what: (file: AfmFile) => Promise<T>): Promise<T> {
  const file = await nanoscope.open(path, utc);
  try {
    return await what(file);
  } finally {
    await file.close();
  }
}
const of = <T>(file: MadeNanoscope, what: (file: AfmFile) => Promise<T>): Promise<T> =>
  using(place(makeNanoscope(file)), what);
const refusal = (bytes: Uint8Array): Promise<string> =>
  using(place(bytes), async () => "").catch((error: Error) => error.message);
const near = (a: number, b: number, relative: number): void =>
  expect(Math.abs(a - b)).toBeLessThanOrEqual(Math.abs(b) * relative);

const raw = [100, -200, 300, 32767, -32768, 0];
const [columns, rows] = [3, 2];
const height: MadeImage = { columns, rows, raw };

const points = { approach: 60, retract: 90 };
const single: MadeForce = { ...points, curves: [stored(points)] };

describe("images", () => {
  test.each([
    { version: "0x05310001", bytes: 2 },
    { version: "0x0920B046", bytes: 4 },
  ] as const)("of version $version are raw × hard value / 2^16 × sensitivity", async ({ version }) => {
    await of({ version, images: [height] }, async (file) => {
      expect(file.warnings).toEqual([]);
      expect(file.format).toBe(`NanoScope image, version ${version}`);
      expect(file).toMatchObject({ instrument: "Bench µ1", software: `NanoScope ${version}` });
      expect(file.curves).toBeUndefined();
      const [channel] = file.images!.channels;
      expect(channel).toMatchObject({ name: "Height", port: "topography", unit: "m", direction: TRACE, rank: 0, rows, columns }); // prettier-ignore
      const data = await file.images!.read(0, 0);
      raw.forEach((x, i) => near(data[i]!, ((x * 50) / 65536) * 13.203e-9, 1e-7));
    });
  });

  test("of 4 Bytes/pixel are scaled by 2^32", async () => {
    await of({ images: [{ ...height, lines: { "Bytes/pixel": 4 } }] }, async ({ images }) => {
      near((await images!.read(0, 0))[0]!, ((100 * 50) / 2 ** 32) * 13.203e-9, 1e-7);
    });
  });

  test("where the frame was, how long it took, and which way it went", async () => {
    const lines = { "Frame direction": "Down", "Line Direction": "Retrace", "Scan Size": "2 1 ~m" };
    const scan = { "Rotate Ang.": 30 };
    await of({ scan, images: [{ ...height, lines }] }, async ({ images, start }) => {
      expect(images!.sizeX_m).toBeCloseTo(2e-6, 18);
      expect(images!.sizeY_m).toBeCloseTo(1e-6, 18);
      expect(images!.channels[0]!.direction).toBe(RETRACE);
      const frame = await images!.frame(0);
      expect(frame).toMatchObject({ duration_s: 1, slowScan: DOWN, angle_deg: 30 });
      expect(frame.centerX_m).toBeCloseTo(300e-9, 18);
      expect(frame.centerY_m).toBeCloseTo(-400e-9, 18);
      expect(frame.end).toEqual({ ns: CAPTURED, zoned: false });
      expect(start!.ns).toBe(CAPTURED - 1_000_000_000n);
    });
    await of({ images: [height] }, async ({ images }) => expect((await images!.frame(0)).slowScan).toBe(UP));
  });

  test("one number of the scan's size goes by the aspect ratio", async () => {
    const lines = { "Scan Size": "500 nm", "Aspect Ratio": "2:1" };
    await of({ images: [{ ...height, lines }] }, async ({ images }) => {
      expect([images!.sizeX_m, images!.sizeY_m].map((x) => Math.round(x * 1e12) / 1e3)).toEqual([500, 250]);
    });
  });

  test.each([
    ['[ZSensor] "Height Sensor"', "V [Sens. ZsensSens] (1e-6 V/LSB) 0.5 V", "topography", 900e-9 * 0.5, 1],
    ['[Amplitude] "Amplitude"', "V [Sens. Amplitude] (1e-6 V/LSB) 0.5 V", "amplitude_volt", 0.5, 0],
    ['[Amplitude] "Amplitude"', "V [Sens. AmplSens] (1e-3 mV/LSB) 500 mV", "amplitude", 15e-9, 0],
    ['[Phase] "Phase"', "V (0.005493164 º/LSB) 180.0000 º", "phase", 180, 0],
    ['[DeflectionError] "Deflection Error"', "V [Sens. DeflSens] (0.000375 V/LSB) 2 V", "deflection", 2 * 27.39e-9, 0],
    ['[Current] "TUNA Current"', "V [Sens. tunaSens] (0.000375 V/LSB) 24 V", "current", 240e-12, 2],
    ['[Potential] "Potential"', "V (0.3 mV/LSB) 20000 mV", "potential", 20, 0],
    ['[DMTModulus] "DMT Modulus"', "V [Sens. DMT] (0.1 Arb/LSB) 40 Arb", "modulus", 40e9, 0],
    ['[Adhesion] "Adhesion"', "V [Sens. ForceSens] (1e-3 V/LSB) 10 V", "adhesion", 25e-9, 0],
    ['[Dissipation] "Dissipation"', "V [Sens. Diss] (1e-3 V/LSB) 10 V", "dissipation", 30 * 1.602176634e-16, 0],
  ] as const)("channel %s, %s", async (name, scale, port, full, rank) => {
    const scan = { "@Sens. DMT": "V 1.000 GPa/Arb", "@Sens. ForceSens": "V 2.5 nN/V", "@Sens. Diss": "V 3.0 keV/V" };
    await of({ scan, images: [{ ...height, name, scale }] }, async ({ images, warnings }) => {
      expect(warnings).toEqual([]);
      expect(images!.channels[0]).toMatchObject({ port, rank });
      near((await images!.read(0, 0))[0]!, (100 / 65536) * full, 1e-6);
    });
  }); // prettier-ignore

  test.each([
    ['[LogDMTModulus] "Log DMT Modulus"', "V [Sens. Log] (1e-4 log(Arb)/LSB) 3 log(Arb)", "V 1.0 log(Pa)/log(Arb)"],
    ['[Adhesion] "Adhesion"', "V [Sens. Log] (1e-4 V/LSB) 3 V", "V 1.000000 "],
    ['[Height] "Height"', "V [Sens. Log] (1e-4 V/LSB) 3 V", "V 12.5 "],
    ['[Whatever] "Something new"', "V (1e-4 V/LSB) 3 V", undefined],
  ])("%s in %s has no stream, and is named", async (name, scale, sensitivity) => {
    const scan = { "@Sens. Log": sensitivity };
    await of({ scan, images: [height, { ...height, name, scale }] }, async ({ images }) => {
      expect(images!.channels.map(({ port }) => port)).toEqual(["topography", undefined]);
      expect(images!.channels[1]!.name).toBe(/"(.*)"/.exec(name!)![1]);
    });
  }); // prettier-ignore

  test("what was measured above the surface goes behind what was measured on it", async () => {
    const lifted = { ...height, lines: { "Scan Line": "Interleave" } };
    await of({ images: [lifted, height] }, async ({ images }) =>
      expect(images!.channels.map(({ rank }) => rank)).toEqual([-10, 0]),
    );
  });

  test("lines that were never scanned are NaN", async () => {
    const few = { columns: 2, rows: 3, raw: [1, 2, 5, 5, 3, 3], lines: { "Valid data len Y": 1 } };
    await of({ images: [few] }, async ({ images, warnings }) => {
      const data = await images!.read(0, 0);
      expect([...data].map(Number.isNaN)).toEqual([false, false, true, true, true, true]);
      expect(warnings[0]).toMatch(/image 1 of 1 \(Height\) has 1 lines of 3/);
    });
  });

  test("one bad channel does not take the others with it", async () => {
    const bad = [
      { ...height, lines: { "Number of lines": 7 } },
      { ...height, lines: { "@2:Z scale": "nonsense" } },
      { ...height, scale: "V [Sens. Nobody] (1 V/LSB) 4 V" },
      { ...height, lines: { "Bytes/pixel": 3 } },
      { ...height, lines: { "Data offset": -5 } },
    ];
    await of({ images: [...bad, height] }, async ({ images, warnings }) => {
      expect(images!.channels.length).toBe(1);
      expect(warnings).toEqual([
        expect.stringMatching(/image 1 of 6 \(Height\) is left out: 3 × 7 samples in 24 bytes .* are not 2 or 4 bytes each/),
        expect.stringMatching(/image 2 of 6 .* its Z scale "nonsense" is none/),
        expect.stringMatching(/image 3 of 6 .* by \[Sens. Nobody\], which the header does not have/),
        expect.stringMatching(/image 4 of 6 .* Bytes\/pixel is 3, wanted 2 or 4/),
        expect.stringMatching(/image 5 of 6 .* from byte -5/),
      ]);
    });
  }); // prettier-ignore

  test("a channel behind the end of the file is refused by name, the others are read", async () => {
    const bytes = makeNanoscope({ images: [height, { ...height, name: '[Phase] "Phase"', scale: "V (1 º/LSB) 180 º" }] }); // prettier-ignore
    await using(place(bytes.subarray(0, bytes.length - 1)), async ({ images }) => {
      expect((await images!.read(0, 0)).length).toBe(6);
      await expect(images!.read(1, 0)).rejects.toThrow(/image Phase lies at byte .* it is cut short/);
    });
  });

  test("sizes that no file has are refused before anything is made for them", async () => {
    const lines = { "Samps/line": 2 ** 20, "Number of lines": 2 ** 20, "Data length": 2 ** 41 };
    await of({ images: [{ ...height, lines }] }, async ({ images }) => {
      await expect(images!.read(0, 0)).rejects.toThrow(/its header is damaged/);
    });
  });

  test.each(["1e-320", "0", "-1", "nonsense"])("a rate of %s gives no duration", async (rate) => {
    await of({ scan: { "Scan Rate": rate }, images: [height] }, async ({ images, start }) => {
      expect((await images!.frame(0)).duration_s).toBeNaN();
      expect(start!.ns).toBe(CAPTURED);
    });
    await of(
      {
        force: { "Scan rate": rate, "force/line": 1 },
        forces: [{ ...single, curves: [single.curves[0]!, single.curves[0]!] }],
      },
      async ({ curves }) => {
        expect(await curves!.timeOf(0)).toBeUndefined();
        expect((await curves!.read(0, byFile)).duration_s).toBeNaN();
      },
    );
  });

  test("a time that no clock shows is none", async () => {
    await of({ date: "at noon", images: [height] }, async ({ start, warnings, images }) => {
      expect(start).toBeUndefined();
      expect((await images!.frame(0)).end).toBeUndefined();
      expect(warnings[0]).toMatch(/Date "at noon" is not a time such as/);
    });
    await of({ date: "12:00:01 AM Sat Feb 29 2020", images: [height] }, async ({ images }) =>
      expect((await images!.frame(0)).end!.ns).toBe(utc("2020-02-29T00:00:01")),
    );
  });

  test("any samples come back, whatever their size", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(2 as const, 4 as const),
        fc.array(fc.integer({ min: -32768, max: 32767 }), { minLength: 6, maxLength: 6 }),
        async (bytes, values) => {
          await of({ version: bytes === 2 ? "0x08150300" : "0x09400000", images: [{ ...height, raw: values }] }, async ({ images }) => {
            const data = await images!.read(0, 0);
            values.forEach((x, i) => near(data[i]!, ((x * 50) / 65536) * 13.203e-9, 1e-7));
          });
        },
      ),
      { seed: 6, numRuns: 30 },
    )); // prettier-ignore
});

const expectCurve = (curve: Curve, raws: readonly number[], { times = 1, approach = 60, retract = 90 } = {}): void => {
  const volts = [...raws.slice(0, approach).reverse(), ...raws.slice(approach)];
  expect(curve.force_N.length).toBe(approach + retract);
  volts.forEach((x, i) => near(curve.force_N[i]!, (x / times) * V_PER_LSB * 27.39e-9 * 0.1332, 1e-12));
  expect([...curve.segment]).toEqual([...Array(approach).fill(APPROACH), ...Array(retract).fill(RETRACT)]);
}; // prettier-ignore

describe("a single ramp", () => {
  test("is turned round, so that it approaches and then retracts", async () => {
    await of({ forces: [single] }, async (file) => {
      expect(file.warnings).toEqual([]);
      expect(file.format).toBe("NanoScope force curve, version 0x0920B046");
      expect(file.images).toBeUndefined();
      const { curves } = file;
      expect(curves).toMatchObject({ grid: undefined, numbers: [0], expected: 1 });
      const curve = await curves!.read(0, byFile);
      expect(curve.warnings).toEqual([]);
      expectCurve(curve, single.curves[0]!);
      near(curve.height_m[0]!, (59 / 60) * RAMP_M, 1e-12);
      expect(curve.height_m[59]).toBe(0);
      near(curve.height_m[149]!, (89 / 90) * RAMP_M, 1e-12);
      expect(curve).toMatchObject({ name: "curve", index: 0, time: CAPTURED, duration_s: 0.25, springConstant_N_per_m: 0.1332 }); // prettier-ignore
      near(curve.deflectionSensitivity_m_per_V, 27.39e-9, 1e-15);
      expect([curve.x_m, curve.y_m].map((x) => Math.round(x * 1e9))).toEqual([300, -400]);
    });
  });

  test("of 16 bit, as older versions wrote it", async () => {
    await of({ version: "0x08150300", forces: [single] }, async ({ curves }) =>
      expectCurve(await curves!.read(0, byFile), single.curves[0]!),
    );
  });

  test("that is set by hand goes by that", async () => {
    await of({ forces: [single] }, async ({ curves }) => {
      const byHand = { springConstant_N_per_m: 2, deflectionSensitivity_m_per_V: 60e-9 };
      const curve = await curves!.read(0, byHand);
      near(curve.force_N[0]!, single.curves[0]![59]! * V_PER_LSB * 60e-9 * 2, 1e-12);
      expect(curve).toMatchObject(byHand);
    });
  });

  test.each([
    [{ forces: [{ ...single, lines: { "Spring Constant": 0 } }] }, /spring_constant is 0 in the file/],
    [{ forces: [{ ...single, lines: { "Spring Constant": undefined } }] }, /spring_constant is not in the file/],
    [{ forces: [single], scan: { "@Sens. DeflSens": "V 1.000000 " } }, /deflection_sensitivity is not in the file/],
    [{ forces: [single], scan: { "@Sens. DeflSens": "V 0.000000 nm/V" } }, /deflection_sensitivity is 0 in the file/],
    [{ forces: [single], scan: { "@Sens. DeflSens": "V 27.39 nA/V" } }, /deflection_sensitivity is not in the file/],
  ] as const)("without a calibration has no force, and says which: %j", async (file, message) => {
    await of(file, async ({ curves }) => {
      const curve = await curves!.read(0, byFile);
      expect(curve.force_N.every(Number.isNaN)).toBe(true);
      expect(curve.height_m.some(Number.isNaN)).toBe(false);
      expect(curve.warnings).toEqual([expect.stringMatching(message)]);
      const both = { springConstant_N_per_m: 1, deflectionSensitivity_m_per_V: 5e-8 };
      expect((await curves!.read(0, both)).force_N.some(Number.isNaN)).toBe(false);
    });
  }); // prettier-ignore

  test("a sensitivity without its unit is in nm/V, and that is said", async () => {
    await of(
      { forces: [single], scan: { "@Sens. DeflSens": "V 27.39000 " } },
      async ({ curves, warnings }) => {
        // prettier-ignore
        expect(warnings).toEqual([expect.stringMatching(/\[Sens. DeflSens\] is 27.39 without a unit/)]);
        expectCurve(await curves!.read(0, byFile), single.curves[0]!);
      },
    );
  });

  test("that ended before the sample says so, and stands", async () => {
    const air = { ...single, curves: [stored(points, { rise: 20 })] };
    await of({ forces: [air] }, async ({ curves, warnings }) => {
      expect(warnings).toEqual([]);
      const curve = await curves!.read(0, byFile);
      expectCurve(curve, air.curves[0]!);
      expect(curve.warnings[0]).toMatch(
        /deflection rises by 0.00\d+ V, the trigger is set to 1.20 V: the approach ended early/,
      );
    });
  });

  test("of a scale that no trigger fits is refused", async () => {
    const wrong = { ...single, curves: [stored(points, { rise: 3200 * 8 })] };
    expect(await refusal(makeNanoscope({ forces: [wrong] }))).toMatch(
      /the scale of its deflection is not known: the trigger is 1.2 V, and by the letter the deflection rises by 9.\d+ V, or by 0.03\d+ V with eight bits/,
    );
  });

  test("of an absolute trigger is compared without its baseline", async () => {
    const high = { ...single, curves: [stored(points, { rise: 1200, base: 2000 })] };
    await of({ forces: [high], force: { "Trigger mode": "Absolute" } }, async ({ curves, warnings }) => {
      expect(warnings).toEqual([]);
      expect((await curves!.read(0, byFile)).warnings).toEqual([]);
    });
  });

  test("without a trigger goes by the letter, and says that it could not be checked", async () => {
    await of({ forces: [single], force: { "Trigger mode": "Off" } }, async ({ curves, warnings }) => {
      expect(warnings).toEqual([
        "the scale of its deflection could not be checked: it has no trigger threshold",
      ]);
      expectCurve(await curves!.read(0, byFile), single.curves[0]!);
    });
  });

  test("what was never taken is cut off at the ends and NaN within; the end of the range is said", async () => {
    const raws = stored(points);
    raws[59] = raws[58] = raws[5] = -32768;
    raws[60] = 32767;
    await of({ forces: [{ ...single, curves: [raws] }] }, async ({ curves }) => {
      const curve = await curves!.read(0, byFile);
      expect(curve.force_N.length).toBe(148);
      expect(curve.segment.lastIndexOf(APPROACH)).toBe(57);
      near(curve.height_m[0]!, (57 / 60) * RAMP_M, 1e-12);
      expect([...curve.force_N.keys()].filter((i) => Number.isNaN(curve.force_N[i]))).toEqual([52]);
      expect(curve.warnings).toEqual([
        "deflection is at the end of the converter's range in 1 samples",
        "3 samples were never taken (-32768)",
      ]);
    });
  });

  describe("with a sensor of height", () => {
    const LSB_M = 1e-5 * 900e-9;
    const sensorOf = (travel_m: number, more: Partial<MadeForce> = {}): MadeForce => {
      const leg = (n: number): number[] => Array.from({ length: n }, (_, i) => 1000 + Math.round(((i / n) * travel_m) / LSB_M)); // prettier-ignore
      return { ...points, curves: [[...leg(60), ...leg(90)]], name: '[ZSensor] "Height Sensor"', scale: "V [Sens. ZsensSens] (1e-5 V/LSB) 2.5 V", ...more }; // prettier-ignore
    };
    test.each([1, -1])("has its height, whichever way it counts (%i)", async (sign) => {
      const sensor = sensorOf(sign * RAMP_M * 0.9);
      await of({ forces: [single, sensor] }, async ({ curves, warnings }) => {
        expect(warnings).toEqual([]);
        const { height_m } = await curves!.read(0, byFile);
        near(height_m[59]!, sign * 1000 * LSB_M, 1e-12);
        expect(height_m[0]! - height_m[59]!).toBeGreaterThan(0.8 * RAMP_M);
      });
    });
    test("with eight more bits", async () => {
      const sensor = sensorOf(RAMP_M * 256);
      await of({ forces: [single, sensor] }, async ({ curves, warnings }) => {
        expect(warnings).toEqual([]);
        const { height_m } = await curves!.read(0, byFile);
        near(height_m[0]! - height_m[59]!, (59 / 60) * RAMP_M, 1e-3);
      });
    });
    test.each([
      [sensorOf(RAMP_M * 8), /it travels .* m in a ramp of 0.00000300 m/],
      [sensorOf(RAMP_M, { scale: "V (1e-5 V/LSB) 2.5 V" }), /its scale .* is no length/],
      [sensorOf(RAMP_M, { approach: 90, retract: 60 }), /1 curves of 90 \+ 60 samples, the deflection 1 of 60 \+ 90/],
      [sensorOf(RAMP_M, { lines: { "Data offset": 2 ** 40 } }), /its height sensor lies at byte/],
    ])("that does not agree with the ramp is left out, and said", async (sensor, message) => {
      await of({ forces: [single, sensor] }, async ({ curves, warnings }) => {
        expect(warnings).toEqual([expect.stringMatching(message)]);
        expect((await curves!.read(0, byFile)).height_m[59]).toBe(0);
      });
    }); // prettier-ignore
  });

  test("a ramp of no size has no height", async () => {
    await of(
      { forces: [{ ...single, lines: { "@4:Ramp Size": "V (1 V/LSB) 3 V" } }] },
      async ({ curves, warnings }) => {
        // prettier-ignore
        expect(warnings[0]).toMatch(/Ramp Size "V \(1 V\/LSB\) 3 V" is no length, so height is NaN/);
        expect((await curves!.read(0, byFile)).height_m.every(Number.isNaN)).toBe(true);
      },
    );
  });

  test.each([
    [makeNanoscope({ forces: [{ ...single, lines: { "Data length": 601 } }] }), /601 bytes, which are no whole number of curves of 60 \+ 90 samples of 4 bytes/],
    [makeNanoscope({ forces: [{ ...single, lines: { "Data length": 604 } }], force: { "Hold Samples": 1 } }), /ramps that hold \(Hold Samples 1\) are not known/],
    [makeNanoscope({ forces: [{ ...single, lines: { "Samps/line": "0 0" } }] }), /curves of 0 \+ 0 samples/],
    [makeNanoscope({ forces: [{ ...single, lines: { "Data offset": 2 ** 40 } }] }), /lies at byte 1099511627776/],
    [makeNanoscope({ forces: [{ ...single, lines: { "Samps/line": "1 0", "Data length": 2 ** 40 } }] }), /would hold 274877906944 curves/],
    [makeNanoscope({ forces: [{ ...single, lines: { "@4:Z scale": "V [Sens. DeflSens] 2.5 V" } }] }), /wanted a number of V\/LSB/],
    [makeNanoscope({ forces: [{ ...single, name: '[Friction] "Friction"' }] }), /no force curves of the channel Deflection Error; it has S \[Friction\]/],
    [makeNanoscope({ forces: [single] }).subarray(0, 8192 + 100), /its first force curve ends at byte 8792, but the file ends at byte 8292/],
    [makeNanoscope({}), /holds no image and no force curve/],
    [makeNanoscope({ forces: [single] }).subarray(0, 300), /no end of its header .* cut short/],
    [Buffer.from("\\*File list\r\n\\Version: 0x04230000\r\n\\*NCAFM image list\r\n\x1a"), /was written by NanoScope 0x04230000/],
  ])("that cannot be read says why: %#", async (bytes, message) => {
    expect(await refusal(bytes)).toMatch(message);
  }); // prettier-ignore

  test("no points in one of its legs leaves the other", async () => {
    const half = { approach: 60, retract: 0 };
    await of({ forces: [{ ...half, curves: [stored(half)] }] }, async ({ curves }) => {
      const { segment } = await curves!.read(0, byFile);
      expect([...new Set(segment)]).toEqual([APPROACH]);
    });
  });
});

describe("a force volume", () => {
  const volume = (times: number, more: Partial<MadeForce> = {}): MadeForce => ({
    ...points,
    curves: Array.from({ length: 6 }, (_, i) => stored(points, { times, rise: 3000 + 50 * i, base: 80 + i })),
    ...more,
  });
  const scan = { "Operating mode": "Force Volume" };
  const force = { "force/line": 3 };

  test("of samples as its scale says: curves of a grid, and its height image", async () => {
    const forces = [volume(1)];
    await of({ scan, force, images: [height], forces }, async (file) => {
      expect(file.warnings).toEqual([]);
      expect(file.format).toBe("NanoScope force volume, version 0x0920B046");
      const { curves, images } = file;
      expect(curves).toMatchObject({
        grid: { columns: 3, rows: 2 },
        numbers: [0, 1, 2, 3, 4, 5],
        expected: 6,
      });
      for (const number of curves!.numbers) {
        const curve = await curves!.read(number, byFile);
        expectCurve(curve, forces[0]!.curves[number]!);
        expect(curve).toMatchObject({ index: number, name: `curve ${number}`, warnings: [] });
      }
      // 2 µm about (300, -400) nm; six ramps at 4 Hz, the last at the file's time
      const [first, last] = [await curves!.read(0, byFile), await curves!.read(5, byFile)];
      expect([first.x_m, first.y_m].map((x) => Math.round(x * 1e9))).toEqual([-367, -900]);
      expect([last.x_m, last.y_m].map((x) => Math.round(x * 1e9))).toEqual([967, 100]);
      expect(last.time).toBe(CAPTURED);
      expect(first.time).toBe(CAPTURED - 1_250_000_000n);
      expect((await curves!.timeOf(0))!.ns).toBe(first.time);
      expect(file.start!.ns).toBe(first.time);
      expect(images!.channels[0]!.port).toBe("topography");
      expect((await images!.frame(0)).duration_s).toBeNaN();
    });
  });

  test("whose samples have eight more bits is told by its trigger", async () => {
    const forces = [volume(256)];
    await of({ scan, force, images: [height], forces }, async ({ curves, warnings }) => {
      expect(warnings).toEqual([
        expect.stringMatching(/^its samples carry eight more bits than its scale says \(the trigger is 1.2 V, and by the letter the deflection rises by 287.2 V\)/),
      ]);
      for (const number of curves!.numbers) {
        const curve = await curves!.read(number, byFile);
        expectCurve(curve, forces[0]!.curves[number]!, { times: 256 });
        expect(curve.warnings).toEqual([]);
      }
    });
  }); // prettier-ignore

  test("of either kind, without a trigger: the converter's range decides", async () => {
    for (const times of [1, 256]) {
      await of({ scan, force: { ...force, "Trigger mode": "Off" }, forces: [volume(times)], images: [height] }, async ({ curves, warnings }) => {
        expect(warnings.length).toBe(times === 1 ? 1 : 2);
        if (times > 1) expect(warnings[1]).toMatch(/some are beyond the 12.29 V that 16 bit of 0.000375 V reach/);
        expectCurve(await curves!.read(3, byFile), volume(times).curves[3]!, { times });
      });
    }
  }); // prettier-ignore

  test("of neither kind is refused; where it has an image, that is read", async () => {
    const bad = { scan, force, forces: [volume(20)] };
    const message = /the scale of its deflection is not known.* wanted within a factor of 2 in more than half of 6 curves/; // prettier-ignore
    expect(await refusal(makeNanoscope(bad))).toMatch(message);
    await of({ ...bad, images: [height] }, async ({ curves, images, warnings }) => {
      expect(curves).toBeUndefined();
      expect(images!.channels.length).toBe(1);
      expect(warnings).toEqual([expect.stringMatching(message)]);
      expect(warnings[0]).toMatch(/its curves are left out$/);
    });
  });

  test("of which a few never reached the sample is told by the others", async () => {
    const some = volume(256);
    const curves = some.curves.map((curve, i) => (i < 2 ? stored(points, { rise: 5, times: 256 }) : curve));
    await of({ scan, force, images: [height], forces: [{ ...some, curves }] }, async ({ curves: read }) => {
      expect((await read!.read(0, byFile)).warnings[0]).toMatch(/the approach ended early/);
      expect((await read!.read(4, byFile)).warnings).toEqual([]);
    });
  });

  test("of 16 bit is taken by the letter or refused", async () => {
    const old = { version: "0x08150300", scan, force, images: [height] };
    await of({ ...old, forces: [volume(1)] }, async ({ curves }) =>
      expectCurve(await curves!.read(2, byFile), volume(1).curves[2]!),
    );
    const tenth = volume(1 / 10);
    await of({ ...old, forces: [tenth] }, async ({ curves, warnings }) => {
      expect(curves).toBeUndefined();
      expect(warnings[0]).not.toMatch(/eight bits/);
    });
  });

  test("that was scanned downwards gives its curves as they were measured", async () => {
    const images = [{ ...height, lines: { "Frame direction": "Down" } }];
    await of({ scan, force, images, forces: [volume(1)] }, async ({ curves }) => {
      expect(curves!.numbers).toEqual([3, 4, 5, 0, 1, 2]);
      const times = await Promise.all(curves!.numbers.map(async (n) => (await curves!.timeOf(n))!.ns));
      expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
      expect(times.at(-1)).toBe(CAPTURED);
      expect(await curves!.read(3, byFile)).toMatchObject({ index: 3 });
    });
  });

  test("turned by an angle has its places turned with it", async () => {
    await of({ scan: { ...scan, "Rotate Ang.": 90 }, force, images: [height], forces: [volume(1)] }, async ({ curves }) => {
      const { x_m, y_m } = await curves!.read(5, byFile);
      expect([x_m, y_m].map((x) => Math.round(x * 1e9))).toEqual([300 - 500, -400 + 667]);
    });
  }); // prettier-ignore

  test("without an image has its grid by the curves a line", async () => {
    await of({ scan, force, forces: [volume(1)] }, async ({ curves }) =>
      expect(curves!.grid).toMatchObject({ columns: 3, rows: 2 }),
    );
    await of({ scan, forces: [volume(1)] }, async ({ curves, warnings }) => {
      expect(curves!.grid).toBeUndefined();
      expect(warnings).toEqual([expect.stringMatching(/its 6 curves fit no grid/)]);
      expect((await curves!.read(1, byFile)).x_m).toBeNaN();
    });
  });

  test("that is cut short gives what is there", async () => {
    const bytes = makeNanoscope({ scan, force, images: [height], forces: [volume(256)] });
    await using(place(bytes.subarray(0, bytes.length - 700)), async ({ curves, warnings }) => {
      expect(curves).toMatchObject({ expected: 6, numbers: [0, 1, 2, 3] });
      expect(warnings[0]).toMatch(/is cut short at byte \d+: it holds 4 of its 6 force curves/);
      expect((await curves!.read(3, byFile)).force_N.length).toBe(150);
    });
  });
});

describe("a PeakForce capture", () => {
  const n = 64;
  const [A, f, sync] = [100e-9, 2000, 66];
  // What the formula of the format says: z(t) = A sin(2π f (t - dt)), dt = sync/(2 f n) - 1/(4 f)
  const dt = sync / (2 * f * n) - 1 / (4 * f);
  const z = Array.from({ length: 2 * n }, (_, i) => A * Math.sin(2 * Math.PI * f * (i / (2 * n * f) - dt)));
  const peak = 65;
  const volts = z.map((_, i) => Math.max(0, 800 - 60 * Math.abs(i - peak)) + (i % 2));
  const captured = [...volts.slice(0, n).reverse(), ...volts.slice(n)];
  const capture: MadeForce = { approach: n, retract: n, curves: Array.from({ length: 6 }, () => captured) };
  const scan = {
    "Operating mode": "Image", "PeakForce Capture": "Allow", "PFT Freq": "2 kHz", "Peak Force Amplitude": 100, "Sync Distance QNM": sync,
    "Sample Points": 2 * n, "@2:SoftHarmoniXSetpoint": "V [Sens. ForceDeflSens] (0.0003750000 V/LSB) 0.3000000 V",
  }; // prettier-ignore
  const made: MadeNanoscope = { scan, images: [height], forces: [capture] };

  test("has the sine for its height and is cut at the greatest force", async () => {
    await of(made, async (file) => {
      expect(file.warnings).toEqual([]);
      expect(file.format).toMatch(/^NanoScope PeakForce capture/);
      const { curves } = file;
      expect(curves).toMatchObject({ grid: { columns: 3, rows: 2 }, expected: 6 });
      const curve = await curves!.read(4, byFile);
      expect(curve.warnings).toEqual([]);
      expect(curve.duration_s).toBe(1 / f);
      expect(curve.segment.indexOf(RETRACT)).toBe(peak);
      z.forEach((depth, i) => expect(Math.abs(curve.height_m[i]! - (A - depth))).toBeLessThan(1e-9 * A));
      volts.forEach((x, i) => near(curve.force_N[i]!, x * V_PER_LSB * 27.39e-9 * 0.1332, 1e-12));
      // two lines at 2 Hz
      expect((await curves!.timeOf(5))!.ns).toBe(CAPTURED);
      expect(Number(CAPTURED - (await curves!.timeOf(2))!.ns)).toBeCloseTo(0.5e9, -3);
    });
  });

  test("counts its sync distance in samples of the instrument", async () => {
    await of({ ...made, scan: { ...scan, "Sample Points": 4 * n, "Sync Distance QNM": 2 * sync } }, async ({ curves }) => {
      const { height_m } = await curves!.read(0, byFile);
      z.forEach((depth, i) => expect(Math.abs(height_m[i]! - (A - depth))).toBeLessThan(1e-9 * A));
    });
  }); // prettier-ignore

  test("of eight more bits is told by its setpoint", async () => {
    const forces = [{ ...capture, curves: capture.curves.map((curve) => curve.map((x) => x * 256)) }];
    await of({ ...made, forces }, async ({ curves, warnings }) => {
      expect(warnings).toEqual([expect.stringMatching(/eight more bits .*the peak force setpoint is 0.3 V/)]);
      near((await curves!.read(0, byFile)).force_N[peak]!, volts[peak]! * V_PER_LSB * 27.39e-9 * 0.1332, 1e-12); // prettier-ignore
    });
  });

  test.each([
    [{ "Sync Distance QNM": 0 }, "its Sync Distance QNM is missing, so the greatest force is taken for the lowest point", false],
    [{ "PFT Freq": undefined }, /its PFT Freq "missing" and Peak Force Amplitude "100" are no frequency/, true],
    [{ "Peak Force Amplitude": 0 }, /Peak Force Amplitude "0"/, true],
  ] as const)("says what it lacks: %j", async (lacking, message, blank) => {
    await of({ ...made, scan: { ...scan, ...lacking } }, async ({ curves, warnings }) => {
      expect(warnings).toEqual([expect.stringMatching(message)]);
      const { height_m } = await curves!.read(0, byFile);
      expect(height_m.some(Number.isNaN)).toBe(blank);
      if (!blank) expect(height_m[peak]).toBe(0);
    });
  }); // prettier-ignore

  test("whose force has no peak within says so", async () => {
    const curves = [Array.from({ length: 2 * n }, (_, i) => (i < n ? i : 0))];
    await of({ ...made, images: [], forces: [{ ...capture, curves }] }, async ({ curves: read }) => {
      expect((await read!.read(0, byFile)).warnings.join()).toMatch(/greatest force is at the end/);
    });
  });
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("files of instruments", () => {
  const { files } = existsSync(shared)
    ? JSON.parse(readFileSync(join(shared, "expected_shared.json"), "utf8"))
    : { files: {} };
  const SI: Record<string, number> = { nm: 1e-9, V: 1 };

  test.each([
    [
      "nanoscope/Veeco_20160622.003",
      { Height: ["topography", RETRACE], Amplitude: ["amplitude_volt", RETRACE] },
    ],
    ["nanoscope/old_bruker.002", { Height: ["topography", TRACE] }],
  ] as const)("%s has the images that another reader gave", async (name, ports) => {
    const { channels } = files[name];
    await using(join(shared, name), async ({ images, warnings, start }) => {
      expect(warnings).toEqual([]);
      expect(images!.channels.map((channel) => channel.name)).toEqual(Object.keys(ports));
      for (const [i, channel] of images!.channels.entries()) {
        expect([channel.port, channel.direction]).toEqual(ports[channel.name as keyof typeof ports]);
        const { pySPM_physical_bottom_up: expected, raw_file_row_order: order } = channels[channel.name];
        const scale = SI[expected.unit]!;
        const data = await images!.read(i, 0);
        expect([channel.rows, channel.columns]).toEqual(order.shape);
        const at = 10 * channel.columns + 20;
        near(data[at]! * (1 / scale), expected.at_row10_col20, 1e-6);
        expected.first3.forEach((x: number, j: number) => near(data[j]! / scale, x, 1e-6));
        near(data.reduce((a, b) => Math.min(a, b)) / scale, expected.min, 1e-6);
        near(data.reduce((a, b) => Math.max(a, b)) / scale, expected.max, 1e-6);
        const mean = data.reduce((a, b) => a + b, 0) / data.length;
        expect(Math.abs(mean / scale - expected.mean)).toBeLessThan(1e-6 * expected.std);
        // The scale is one number, so that the raw numbers come back whole.
        near(data[at]! / (data[0]! / order.first3[0]), order.at_row10_col20, 1e-6);
      }
      const frame = await images!.frame(0);
      expect(frame.slowScan).toBe(UP);
      expect(Number(frame.end!.ns - start!.ns) / 1e9).toBeCloseTo(frame.duration_s, 6);
    });
  });

  test("a Veeco image is where and when its header says", async () => {
    await using(join(shared, "nanoscope/Veeco_20160622.003"), async ({ images, instrument }) => {
      expect(instrument).toBe("NS3 Phase MultiMode");
      near(images!.sizeX_m, 1.76908e-6, 1e-12);
      const frame = await images!.frame(0);
      expect(frame.end!.ns).toBe(utc("2016-06-22T11:43:26"));
      near(frame.duration_s, 512 / 1.00058, 1e-12);
      near(frame.centerX_m, 416.954e-9, 1e-12);
    });
  });

  test("a ramp has the volts that stand in the file", async () => {
    const name = "nanoscope/20200904_Egel4-Z1.0_00025.spm";
    const expected = files[name];
    const [known] = expected.curves;
    await using(join(shared, name), async ({ curves, warnings, format }) => {
      expect(format).toBe("NanoScope force curve, version 0x0920B046");
      expect(warnings).toEqual([expect.stringMatching(/\[Sens. DeflSens\] is 27.39 without a unit/)]);
      const curve = await curves!.read(0, byFile);
      expect(curve.warnings).toEqual([]);
      expect(curve.force_N.length).toBe(2048);
      expect(curve.springConstant_N_per_m).toBe(expected.spring_constant_N_per_m);
      near(curve.deflectionSensitivity_m_per_V, expected.defl_sens_nm_per_V * 1e-9, 1e-12);
      const newton = expected.defl_sens_nm_per_V * 1e-9 * expected.spring_constant_N_per_m;
      near(curve.force_N[1023]!, known.approach_V_first * newton, 1e-9);
      near(curve.force_N[0]!, known.approach_V_last * newton, 1e-9);
      near(curve.force_N[2047]!, known.retract_V_last * newton, 1e-9);
      known.raw_first.forEach((x: number, i: number) => near(curve.force_N[1023 - i]!, x * expected.volt_per_lsb * newton, 1e-9)); // prettier-ignore
      near(curve.force_N.reduce((a, b) => Math.max(a, b)), known.raw_max * expected.volt_per_lsb * newton, 1e-9); // prettier-ignore
      near(curve.force_N.reduce((a, b) => Math.min(a, b)), known.raw_min * expected.volt_per_lsb * newton, 1e-9); // prettier-ignore
      near(curve.height_m[0]!, (227.2211 * 13.203e-9 * 1023) / 1024, 1e-12);
      expect(curve.time).toBe(utc("2020-09-04T10:05:18"));
    });
  });
});
