import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { DOWN, RETRACE, TRACE, UP, type AfmFile } from "../../../sources/afm/afm-file.ts";
import { afmHdf5 } from "../../../sources/afm/afm-hdf5.ts";
import { ENCODER, HEIGHT, makeJpkSeries, type MadeChannel, type MadeSeries } from "./make-jpk-hdf5.ts";

const folder = mkdtempSync(join(tmpdir(), "operando jpk ä-"));
afterAll(() => rmSync(folder, { recursive: true }));

const zoned = (local: string): bigint => BigInt(Date.parse(`${local.slice(0, 19)}Z`)) * 1_000_000n;
let count = 0;
const open = async (series: MadeSeries): Promise<AfmFile> =>
  afmHdf5.open(await makeJpkSeries(join(folder, `made ${count++}.h5-jpk`), series), zoned);

const FRAMES = [[0, 1, 2, 30, 40, 50], [5, 4, 3, 2, 1, 0], [-7, 7, -7, 7, -7, 7]]; // prettier-ignore
const height: MadeChannel = { name: "height", frames: FRAMES, slots: HEIGHT };
const T0 = 1748439718548;
const TIMES = { starts: [T0, T0 + 1010, T0 + 2020], ends: [T0 + 1005, T0 + 2015, T0 + 3025] };
const height_m = (raw: number): number =>
  Math.fround(((raw * ENCODER[0] + ENCODER[1]) * -1.5e-8 + 1.5e-6) * 0.8 + 1e-9);

describe("frames", () => {
  test("one by one, in the slot that is shown, from the smallest y up", async () => {
    const { images, warnings, instrument } = await open({ channels: [height], ...TIMES });
    expect(warnings).toEqual([]);
    expect(instrument).toBe("Racer µ2");
    expect(images).toMatchObject({ frames: 3, sizeX_m: 3e-7, sizeY_m: 2e-7 });
    expect(images!.channels[0]).toMatchObject({ port: "topography", unit: "m", rows: 2, columns: 3, direction: TRACE, rank: 0 }); // prettier-ignore
    for (const [i, raw] of FRAMES.entries()) {
      const data = await images!.read(0, i);
      raw.forEach((value, k) => expect(Math.abs(data[k]! / height_m(value) - 1)).toBeLessThan(1e-7));
    }
  });

  test("of a reflected grid are turned", async () => {
    const { images } = await open({ channels: [height], scan: { "position-pattern.grid.reflect": "true" } });
    expect((await images!.read(0, 0))[0]).toBeCloseTo(height_m(30), 12);
    expect((await images!.frame(0)).slowScan).toBe(DOWN);
  });

  test("have their own times, UTC", async () => {
    const { images, start } = await open({ channels: [height], ...TIMES });
    expect(start).toEqual({ ns: BigInt(T0) * 1_000_000n, zoned: true });
    expect(await images!.frame(1)).toEqual({
      end: { ns: BigInt(T0 + 2015) * 1_000_000n, zoned: true },
      duration_s: 1, // two lines at two a second
      slowScan: UP, centerX_m: 1e-6, centerY_m: -2e-6, angle_deg: 0,
    }); // prettier-ignore
  });

  test("whose times say something else than their lines last as long as the times say", async () => {
    const ends = TIMES.ends.map((ms) => ms + 4000);
    const { images, warnings } = await open({ channels: [height], starts: TIMES.starts, ends });
    expect((await images!.frame(0)).duration_s).toBe(5.005);
    expect(warnings).toEqual([
      "frame 1: lasted 5.005 s from begin to end, its 2 lines at 2 a second take 1 s; the former counts; and so with 2 more",
    ]);
  });

  test("without times, or with fewer of them than frames, have none, and the file's begin is known", async () => {
    const scan = { "start-time": "2025-05-28 14:41:58.548 +0100" };
    const bare = await open({ channels: [height], scan });
    expect(bare.start).toEqual({ ns: BigInt(T0) * 1_000_000n, zoned: true });
    expect(await bare.images!.frame(2)).toMatchObject({ end: undefined, duration_s: 1 });
    const { images, warnings } = await open({ channels: [height], starts: [T0], ends: [T0 + 1005] });
    expect(await images!.frame(0)).toMatchObject({ end: undefined });
    expect(warnings[0]).toBe("Measurement_000/meta-data/start-times has 1 times for 3 frames, so the frames have none"); // prettier-ignore
  });
});

test("channels go to their streams", async () => {
  const frames = FRAMES.slice(0, 1);
  const { images } = await open({
    channels: [
      height,
      { name: "measuredHeight", frames: FRAMES, encoder: [1e-9, 0], baseUnit: "m" },
      { name: "amplitude", frames: FRAMES, retrace: true, slots: [{ name: "voltsamplitude", unit: "V", scale: [2, 0] }, { name: "distanceamplitude", unit: "m", scale: [3e-9, 0] }] },
      { name: "phase", frames: FRAMES, encoder: [1e-7, 0], baseUnit: "deg" },
      { name: "error", frames, slots: [{ name: "voltsamplitude", unit: "V", scale: [2, 0] }] },
    ],
  }); // prettier-ignore
  expect(
    images!.channels.map(({ name, port, unit, rank, direction }) => [name, port, unit, rank, direction]),
  ).toEqual([
    ["height", "topography", "m", 0, TRACE],
    ["measuredHeight", "topography", "m", 1, TRACE],
    ["amplitude", "amplitude", "m", 1, RETRACE],
    ["phase", "phase", "deg", 1, TRACE],
    ["error", undefined, "V", 0, TRACE],
  ]);
  expect((await images!.read(2, 0))[3]).toBeCloseTo((30 * 2e-8 + 50) * 2 * 3e-9, 12);
  await expect(images!.read(4, 1)).rejects.toThrow(
    /channel error \(Measurement_000\/Channel_004\/Error\) has 1 frames; wanted frame 2/,
  );
});

describe("bad input", () => {
  test("a damaged channel is a warning, the others are read", async () => {
    const { images, warnings } = await open({
      channels: [
        { ...height, shape: [5, 3] },
        { ...height, attributes: { "encoder.scaling.multiplier": "much" } },
        { ...height, attributes: { "conversion.nominal.base-calibration-slot": "calibrated" } },
        { name: "phase", frames: FRAMES, baseUnit: "deg" },
        { ...height, attributes: { "net-encoder.scaling.multiplier": 1 } },
      ],
    });
    expect(images!.channels.map(({ name }) => name)).toEqual(["phase", "height"]);
    expect(warnings).toEqual([
      "Measurement_000/Channel_000/Height: has the shape 5 × 3; wanted 6 pixels × frames; it is left out",
      "Measurement_000/Channel_001, channel height: encoder.scaling says multiplier much, offset 50; wanted two numbers; it is left out",
      expect.stringMatching(
        /Channel_002, channel height: its conversion "calibrated" does not lead back to "volts"/,
      ),
      expect.stringMatching(
        /Channel_004, channel height: net-encoder\.scaling says 1 a step, its slots come to -2\.4/,
      ),
    ]);
  });

  test.each<[string, MadeSeries, RegExp]>([
    ["a version to come", { channels: [height], root: { "file-format-version": "4.0" } }, /format version 4\.0; known are 3 and before/],
    ["no channel", { channels: [] }, /Measurement_000 has no channel that can be read/],
    ["no grid", { channels: [height], scan: { "position-pattern.grid.ilength": 0 } }, /grid says 2 × 0 pixels/],
    ["a grid without sense", { channels: [height], scan: { "position-pattern.grid.ilength": 1e9 } }, /33554432 are the most/],
    ["another's file", { channels: [height], root: { "file-format-info": "NHF" } }, /is HDF5, but neither of JPK .* it has the groups Measurement_000/],
  ])("%s is refused", async (_, series, says) => {
    await expect(open(series)).rejects.toThrow(says);
  }); // prettier-ignore
});

test.each([
  ["nothing", 0n],
  ["what 32 bit take for nothing", 0x4e_0000_0000_0000n],
])("texts whose free space has the length of %s are refused, where the library would not end", async (_, length) => {
  const path = await makeJpkSeries(join(folder, `made ${count++}.h5-jpk`), { channels: [height] });
  const bytes = readFileSync(path);
  const start = bytes.indexOf("GCOL");
  let at = start + 16;
  while (bytes.readUInt16LE(at) !== 0) at += 16 + 8 * Math.ceil(Number(bytes.readBigUInt64LE(at + 8)) / 8);
  bytes.writeBigUInt64LE(length, at + 8);
  writeFileSync(path, bytes);
  await expect(afmHdf5.open(path, zoned)).rejects.toThrow(
    new RegExp(`is damaged: at byte ${at}, among its texts \\(bytes ${start} to \\d+\\), free space has a length of`),
  );
}); // prettier-ignore

test("HDF5 is claimed by its name alone, and told apart when it is open", async () => {
  const path = await makeJpkSeries(join(folder, "claimed.h5-jpk"), { channels: [height] });
  const head = readFileSync(path).subarray(0, 4096);
  expect(afmHdf5.looks(head)).toBe(true);
  expect(afmHdf5.claims!(head, path)).toBe(true);
  expect(afmHdf5.claims!(head, "scan.h5")).toBe(false);
  expect(afmHdf5.claims!(Buffer.from("PK"), path)).toBe(false);
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("a series of a real instrument", () => {
  const name = "jpk/sample_0.h5-jpk";
  const close = (a: number, b: number) => expect(Math.abs(a / b - 1)).toBeLessThan(1e-6);

  test("agrees with the peer, and has the channel that the peer cannot read", async () => {
    const { files } = JSON.parse(readFileSync(join(shared, "expected_shared.json"), "utf8"));
    const { images } = await afmHdf5.open(join(shared, name), zoned);
    expect(images!.frames).toBe(4);
    for (const [key, peer] of Object.entries<any>(files[name].channels)) { // oxlint-disable-line no-explicit-any
      const [channel, way] = key.split("_") as [string, string];
      const i = images!.channels.findIndex((c) => c.name.toLowerCase() === channel && c.direction === (way === "trace" ? TRACE : RETRACE));
      const { unit, columns } = images!.channels[i]!;
      expect(i).toBeGreaterThanOrEqual(0);
      if (!peer.shape) continue; // measuredHeight: the peer looks for it by a name that it does not have
      const scale = unit === "m" ? 1e9 : 1;
      const frames = await Promise.all([0, 1, 2, 3].map((frame) => images!.read(i, frame)));
      const all = Float64Array.from(frames.flatMap((frame) => [...frame]), (v) => v * scale);
      const at = (row: number, column: number): number => frames[0]![(127 - row) * columns + column]! * scale;
      peer.first3.forEach((value: number, column: number) => close(at(0, column), value));
      close(at(10, 20), peer.at_row10_col20);
      close(all.reduce((a, b) => Math.min(a, b)), peer.min);
      close(all.reduce((a, b) => Math.max(a, b)), peer.max);
      const mean = all.reduce((a, b) => a + b, 0) / all.length;
      close(mean, peer.mean);
      close(Math.sqrt(all.reduce((sum, v) => sum + (v - mean) ** 2, 0) / all.length), peer.std);
      close(images!.sizeX_m / columns, peer.px_nm * 1e-9);
    }
  }); // prettier-ignore

  test("every frame begins at row 0 at the height where the one before it ended", async () => {
    const { images } = await afmHdf5.open(join(shared, name), zoned);
    const i = images!.channels.findIndex((c) => c.name === "height" && c.direction === TRACE);
    const mean = (data: Float32Array, row: number): number =>
      data.subarray(row * 128, row * 128 + 16 * 128).reduce((sum, v) => sum + v, 0) / (16 * 128);
    let last = -Infinity;
    for (let frame = 0; frame < 4; frame++) {
      const data = await images!.read(i, frame);
      for (let row = 0; row < 128; row += 16) {
        expect(mean(data, row)).toBeGreaterThan(last); // it drifts, and so tells what came first
        last = mean(data, row);
      }
      expect(await images!.frame(frame)).toMatchObject({ slowScan: UP, duration_s: 3.2 });
    }
  });
});
