import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { DOWN, RETRACE, TRACE, UNKNOWN_SCAN, UP, type AfmFile } from "../../../sources/afm/afm-file.ts";
import { jpkImage } from "../../../sources/afm/jpk-image.ts";
import { CORNER_m, makeJpkImage, U_m, V_m, type MadeChannel, type MadeImage } from "./make-jpk-image.ts";

const folder = mkdtempSync(join(tmpdir(), "operando jpk ä-"));
afterAll(() => rmSync(folder, { recursive: true }));

const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
let count = 0;
function open(image: MadeImage | Uint8Array): Promise<AfmFile> {
  const path = join(folder, `made ${count++}.jpk`);
  writeFileSync(path, image instanceof Uint8Array ? image : makeJpkImage(image));
  return jpkImage.open(path, zoned);
}
const warningsOf = async (image: MadeImage): Promise<readonly string[]> => (await open(image)).warnings;

const RAW = [0, 1, 2, 30, 40, 50];
const height: MadeChannel = {
  name: "height",
  raw: RAW,
  slots: [
    { name: "volts", unit: "V", scale: [2e-9, 50] },
    { name: "nominal", unit: "m", scale: [-3e-9, 4e-6] },
    { name: "calibrated", unit: "m", scale: [-1e-9, 2e-6] },
  ],
};
const measured: MadeChannel = {
  name: "measuredHeight",
  raw: RAW,
  slots: [{ name: "nominal", unit: "m", scale: [1e-10, 0] }],
};
const of = (name: string, unit: string, more: Partial<MadeChannel> = {}): MadeChannel => ({
  name,
  raw: RAW,
  slots: [{ name: "slot", unit, scale: [2, 1] }],
  ...more,
});

describe("numbers", () => {
  test("come in the slot that is shown, line by line from the smallest y up, float32", async () => {
    const { images } = await open({ channels: [height] });
    expect(images).toMatchObject({ frames: 1, sizeX_m: U_m, sizeY_m: V_m });
    expect(images!.channels[0]).toMatchObject({ name: "height", port: "topography", unit: "m", rows: 2, columns: 3 }); // prettier-ignore
    expect([...(await images!.read(0, 0))]).toEqual(RAW.map((raw) => Math.fround(raw * -1e-9 + 2e-6)));
  });

  test("of a reflected grid are turned, so that they still begin at the smallest y", async () => {
    const { images } = await open({ channels: [height], reflect: true });
    const expected = [...RAW.slice(3), ...RAW.slice(0, 3)].map((raw) => Math.fround(raw * -1e-9 + 2e-6));
    expect([...(await images!.read(0, 0))]).toEqual(expected);
  });

  test("of any scale and size are found again", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.double({ min: -1e-6, max: 1e-6, noNaN: true }),
        fc.double({ min: -1e-5, max: 1e-5, noNaN: true }), fc.integer(),
        async (rows, columns, multiplier, offset, seed) => {
          const raw = Array.from({ length: rows * columns }, (_, i) => Math.imul(seed + i, 2654435761) | 0);
          const slots = [{ name: "nominal", unit: "m", scale: [multiplier, offset] as const }];
          const { images } = await open({ rows, columns, channels: [{ name: "height", raw, slots }] });
          expect([...(await images!.read(0, 0))]).toEqual(raw.map((value) => Math.fround(value * multiplier + offset)));
        },
      ),
      { seed: 5, numRuns: 50 },
    ); // prettier-ignore
  });
});

describe("streams", () => {
  const portsOf = async (image: MadeImage) =>
    (await open(image)).images!.channels.map(({ name, port, unit }) => [name, port, unit]);

  test("by name and unit of the slots; without a stream in the slot that is shown", async () => {
    const distance = { name: "distance", unit: "m" };
    const volts = { name: "volts", unit: "V", scale: [1, 0] as const };
    expect(
      await portsOf({
        channels: [
          of("amplitude", "m"), of("amplitude", "V"), of("phase", "deg"), of("hDeflection", "V"), of("adhesion", "N"),
          of("slope", "N/m"), of("tip-current", "A"), of("youngs-modulus", "Pa"), of("surface-potential", "V"),
          of("error", "V"), of("weather", "V"),
          { name: "vDeflection", raw: RAW, slots: [volts, distance], shown: "volts" },
          { name: "vDeflection", raw: RAW, slots: [volts, { ...distance, scale: [3, 0] }, { name: "force", unit: "N", scale: [4, 0] }] },
        ],
      }),
    ).toEqual([
      ["amplitude", "amplitude", "m"], ["amplitude", "amplitude_volt", "V"], ["phase", "phase", "deg"],
      ["hDeflection", "friction", "V"], ["adhesion", "adhesion", "N"], ["slope", "stiffness", "N/m"],
      ["tip-current", "current", "A"], ["youngs-modulus", "modulus", "Pa"], ["surface-potential", "potential", "V"],
      ["error", undefined, "V"], ["weather", undefined, "V"],
      ["vDeflection", "deflection_volt", "V"], ["vDeflection", "deflection", "m"],
    ]);
  }); // prettier-ignore

  test("the feedback's error is the deflection in contact alone", async () => {
    expect(await portsOf({ channels: [of("error", "V")], feedback: "contact" })).toEqual([
      ["error", "deflection_volt", "V"],
    ]);
  });

  test("sensors rank before the piezo, and the height where a map turned before other heights", async () => {
    const { images, format } = await open({
      channels: [
        { ...measured, title: "Height (measured)", algorithm: "Height (measured)" },
        { ...measured, title: "Height (measured)", algorithm: "Height at 40%" },
        { ...height, algorithm: "height" },
        of("vDeflection", "m", { algorithm: "Baseline" }),
      ],
    });
    expect(images!.channels.map(({ name, rank, port }) => [name, rank, port])).toEqual([
      ["measuredHeight", 1, "topography"],
      ["measuredHeight (Height at 40%)", 0.5, "topography"],
      ["height", 0, "topography"],
      ["vDeflection (Baseline)", -0.5, undefined],
    ]);
    expect(format).toBe("JPK QI image, version 2.0");
  });

  test("trace and retrace", async () => {
    const { images } = await open({ channels: [height, { ...height, retrace: true }] });
    expect(images!.channels.map(({ direction }) => direction)).toEqual([TRACE, RETRACE]);
  });
});

describe("the scan", () => {
  test("where it was, and how it was turned", async () => {
    const turned = await open({ channels: [height], theta_rad: Math.PI / 2 });
    const frame = await turned.images!.frame(0);
    expect(frame.angle_deg).toBeCloseTo(90, 12);
    // u runs along +y then, v along -x
    expect(frame.centerX_m).toBeCloseTo(CORNER_m[0] - V_m / 2, 15);
    expect(frame.centerY_m).toBeCloseTo(CORNER_m[1] + U_m / 2, 15);
    const reflected = await (await open({ channels: [height], reflect: true })).images!.frame(0);
    expect(reflected.centerX_m).toBeCloseTo(CORNER_m[0] + U_m / 2, 15);
    expect(reflected.centerY_m).toBeCloseTo(CORNER_m[1] - V_m / 2, 15);
  });

  test.each([
    ["topDown", false, UP],
    ["bottomUp", false, DOWN],
    ["topDown", true, DOWN],
    ["bottomUp", true, UP],
    ["sideways", false, UNKNOWN_SCAN],
    [undefined, false, UNKNOWN_SCAN],
  ])("motion %s, reflected %s", async (motion, reflect, slowScan) => {
    const { images } = await open({ channels: [height], reflect, ...(motion && { motion }) });
    expect((await images!.frame(0)).slowScan).toBe(slowScan);
  });

  test("lasts as long as its lines, and ends when the file says", async () => {
    const { images, start, warnings } = await open({
      channels: [height], began: "2017-01-16 16:00:32.334 GMT", ended: "2017-01-16 16:00:36.264 CET", lineRate_Hz: 0.5,
      tags: { 0x8006: "2017-01-16 17:00:36.264 CET" },
    }); // prettier-ignore
    expect(start).toEqual({ ns: 1484582432334000000n, zoned: true });
    expect(await images!.frame(0)).toMatchObject({ end: { ns: 1484582436264000000n, zoned: true }, duration_s: 4 }); // prettier-ignore
    expect(warnings).toEqual([]);
  });

  test("that was halted lasted as long as its begin and end say, with a warning", async () => {
    const { images, warnings } = await open({
      channels: [height], began: "2017-01-16 16:00:32.5", ended: "2017-01-16 16:01:32.5", lineRate_Hz: 1,
    }); // prettier-ignore
    expect(await images!.frame(0)).toMatchObject({ end: { zoned: false }, duration_s: 60 });
    expect(warnings).toEqual(["the scan: lasted 60 s from begin to end, its 2 lines at 1 a second take 2 s; the former counts"]); // prettier-ignore
  });

  test("of a map of curves has no end: the file gives one time twice", async () => {
    const when = "2025-05-20 17:48:42.479 CEST";
    const { images, start } = await open({ channels: [height], began: when, ended: when });
    expect(start!.ns).toBe(BigInt(Date.parse("2025-05-20T15:48:42.479Z")) * 1_000_000n);
    expect(await images!.frame(0)).toMatchObject({ end: undefined, duration_s: NaN });
  });

  test("a zone whose name means several is none", async () => {
    const { start } = await open({ channels: [height], began: "2017-01-16 16:00:32.334 IST" });
    expect(start).toEqual({ ns: zoned("2017-01-16T16:00:32"), zoned: false });
  });
});

describe("bad input", () => {
  test("a damaged channel is a warning, the others are read", async () => {
    const odd: MadeChannel = { ...height, rows: 1 };
    const nothing: MadeChannel = { ...measured, slots: [{ name: "nominal" }] };
    const { images, warnings } = await open({
      channels: [odd, measured, nothing, { ...height, name: "" }],
    });
    expect(images!.channels.map(({ name }) => name)).toEqual(["measuredHeight"]);
    expect(warnings).toEqual([
      "page 2, channel height: has 1 × 3 pixels, the scan's grid 2 × 3; it is left out",
      expect.stringMatching(
        /^page 4, channel measuredHeight: its conversion "nominal" does not lead back to "raw"/,
      ),
      "page 5, channel without a name: tag 0x8050 is missing; it is left out",
    ]);
  });

  test.each<[string, MadeImage, RegExp]>([
    [
      "a version to come",
      { channels: [height], tags: { 0x8001: { double: 3.1 } } },
      /says format version 3\.1; known are 0 to 2; export it/,
    ],
    ["no channel", { channels: [] }, /holds no image: of its 1 pages none is a channel/],
    [
      "a size without sense",
      { channels: [{ ...height, rows: 1 << 26 }], tags: { 0x8046: undefined, 0x8047: undefined } },
      /has 67108864 × 3 pixels; 33554432 are the most/,
    ],
  ])("%s is refused", async (_, image, says) => {
    await expect(open(image)).rejects.toThrow(says);
  });

  test("a field without size, a time that is none: warnings", async () => {
    expect(await warningsOf({ channels: [height], began: "then", tags: { 0x8042: { double: -1 } } })).toEqual(
      [
        expect.stringMatching(/^tag 0x8003: "then" is not a time such as/),
        "does not say how large the scanned field is (tags 0x8042, 0x8043)",
      ],
    );
  });

  test("cut anywhere: an error that names the file, or the channels that are there", async () => {
    const whole = makeJpkImage({ channels: [height, measured] });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length - 1 }), async (length) => {
        const all = async (): Promise<void> => {
          const { images } = await open(whole.subarray(0, length));
          for (const i of images!.channels.keys()) await images!.read(i, 0);
        };
        await expect(all()).rejects.toThrow(/made \d+\.jpk: .*(cut short|at least 8|damaged)/s);
      }),
      { seed: 6, numRuns: 60 },
    );
  });
});

test("claims TIFF with its tags alone", () => {
  const bytes = makeJpkImage({ channels: [height] });
  expect(jpkImage.looks(bytes.subarray(0, 4096))).toBe(true);
  expect(jpkImage.looks(bytes.subarray(0, 100))).toBe(false);
  expect(jpkImage.looks(Buffer.from("4d4d002a0000000800010100000400000001", "hex"))).toBe(false);
  expect(jpkImage.looks(Buffer.from("4d4d002affffffff0000", "hex"))).toBe(false);
  expect(jpkImage.looks(new Uint8Array(0))).toBe(false);
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("files of real instruments", () => {
  // oxlint-disable-next-line no-explicit-any
  const { files }: any = existsSync(shared)
    ? JSON.parse(readFileSync(join(shared, "expected_shared.json"), "utf8"))
    : { files: {} };
  const close = (a: number, b: number) => expect(Math.abs(a / b - 1)).toBeLessThan(1e-6);

  test.each(["jpk/sample_0.jpk", "jpk/sample_0.jpk-qi-image"])("%s agrees with the peer", async (name) => {
    const { images } = await jpkImage.open(join(shared, name), zoned);
    // The peer's rows run from the top, its heights are nm, and of two channels of a name it takes the latter.
    for (const [key, peer] of Object.entries<any>(files[name].channels)) { // oxlint-disable-line no-explicit-any
      const [channel, way] = key.split("_") as [string, string];
      const direction = way === "trace" ? TRACE : RETRACE;
      const i = images!.channels.findLastIndex((c) => c.name.split(" ")[0] === channel && c.direction === direction);
      const { rows, columns, unit } = images!.channels[i]!;
      const scale = unit === "m" ? 1e9 : 1;
      const data = await images!.read(i, 0);
      const at = (row: number, column: number): number => data[(rows - 1 - row) * columns + column]! * scale;
      expect([rows, columns]).toEqual(peer.shape);
      close(images!.sizeX_m / columns, peer.px_nm * 1e-9);
      peer.first3.forEach((value: number, column: number) => close(at(0, column), value));
      close(at(10, 20), peer.at_row10_col20);
      close(data.reduce((a, b) => Math.min(a, b)) * scale, peer.min);
      close(data.reduce((a, b) => Math.max(a, b)) * scale, peer.max);
      close((data.reduce((a, b) => a + b, 0) / data.length) * scale, peer.mean);
    }
  }); // prettier-ignore

  test("trace and retrace have their columns at the same places", async () => {
    const { images } = await jpkImage.open(join(shared, "jpk/sample_0.jpk"), zoned);
    const at = (direction: number): number =>
      images!.channels.findIndex((c) => c.name === "height" && c.direction === direction);
    const [trace, retrace] = [await images!.read(at(TRACE), 0), await images!.read(at(RETRACE), 0)];
    const mirrored = retrace.map((_, i) => retrace[i - (i % 256) + 255 - (i % 256)]!);
    expect(correlation(trace, retrace)).toBeGreaterThan(0.99);
    expect(correlation(trace, mirrored)).toBeLessThan(0.1);
  });

  test("when and where it was scanned", async () => {
    const { images, software } = await jpkImage.open(join(shared, "jpk/sample_0.jpk"), zoned);
    expect(software).toBe("6.0.41");
    const frame = await images!.frame(0);
    expect(frame).toMatchObject({ duration_s: 64, slowScan: DOWN, angle_deg: 90 });
    expect(frame.end).toEqual({ ns: 1484582496264000000n, zoned: true });
    // The scanner began half a line inside the last line, at the first column: tag 0x8017, start-position.
    const line_m = images!.sizeY_m / 256;
    expect(frame.centerX_m - images!.sizeY_m / 2 + line_m / 2).toBeCloseTo(2.2581878325572394e-6, 11);
    expect(frame.centerY_m - images!.sizeX_m / 2).toBeCloseTo(1.6229083941050938e-6, 11);
  });
});

function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (of: Float32Array): number => of.reduce((sum, v) => sum + v, 0) / of.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((v, i) => {
    ab += (v - ma) * (b[i]! - mb);
    aa += (v - ma) ** 2;
    bb += (b[i]! - mb) ** 2;
  });
  return ab / Math.sqrt(aa * bb);
}
