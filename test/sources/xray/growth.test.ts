import fc from "fast-check";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Columns, SourceItem } from "../../../runtime/index.ts";
import { clockOf } from "../../../sources/xray/frame-clock.ts";
import { rowsOf } from "../../../sources/xray/frame-rows.ts";
import { lastOf, followHdf5Scan } from "../../../sources/xray/hdf5-growth.ts";
import { hdf5Scan } from "../../../sources/xray/hdf5-scan.ts";
import { readHdf5 } from "../../../sources/hdf5.ts";
import { readFrames } from "../../../sources/xray/frame-files.ts";
import type { Part, Scan, ScanOptions } from "../../../sources/xray/scan.ts";
import { startWriter, type Writer } from "./growing-file.ts";
import { folder } from "./tomography-files.ts";

let writer: Writer;
let directory: string;
let files = 0;
beforeAll(async () => {
  directory = folder();
  writer = await startWriter();
});
afterAll(() => writer.end());
const fresh = (): string => join(directory, `scan ${++files}.h5`);

/** Frame i: 2 × 3 counts, 100 i + 1 and so on. */
const frame = (i: number): number[] => [1, 2, 3, 11, 12, 13].map((x) => 100 * i + x);

interface Followed {
  scan: Scan;
  /** By dataset, in the order they came: index of the frame, its key, angle and first count. */
  rows: Record<string, [index: number, key: number, angle: number, count: number][]>;
  faults: string[];
}

/** Follows a file; before each look but the first one of the steps is done. Ends 2 looks after the last. */
async function follow(path: string, steps: readonly (() => Promise<unknown>)[], options: Partial<ScanOptions> = {}): Promise<Followed> {
  const left = [...steps];
  const wait = async (): Promise<boolean> => {
    await left.shift()?.();
    return true;
  };
  const every = { every_s: 1, endsAfter_s: steps.length + 3 };
  const scan = await followHdf5Scan(path, hdf5Scan, {
    angleRange_deg: 0, angleStep_deg: 0, signal: new AbortController().signal, follow: every, ...options,
  }, wait);
  const followed: Followed = { scan, rows: {}, faults: [] };
  const take = async (part: Part): Promise<void> => {
    for (let i = 0; i < part.frames; i++) {
      const first = part.first + i;
      const counts = await readFrames({ ...part, first }, 1);
      const index = (counts[0]! - 1) / 100;
      expect(Array.from(counts)).toEqual(counts.every((x) => x === 0) ? [0, 0, 0, 0, 0, 0] : frame(index));
      (followed.rows[part.dataset] ??= []).push([first, part.image_key[i]!, part.rotation_angle[i]!, counts[0]!]);
    }
  };
  for (const part of scan.parts) await take(part);
  for await (const { part, faults = [] } of scan.growth!) {
    if (part) await take(part);
    followed.faults.push(...faults.map(({ what }) => what));
  }
  return followed;
} // prettier-ignore

const CAMERA = "/entry/instrument/detector";
/** An NXtomo file whose lists can grow. */
async function nxtomo(path: string, { libver, fixed }: { libver?: "v110"; fixed?: number } = {}): Promise<void> {
  await writer.create(path, libver);
  const how = { fixed: fixed !== undefined };
  await writer.dataset(`${CAMERA}/data`, "<H", [fixed ?? 0, 2, 3], how);
  await writer.dataset(`${CAMERA}/image_key`, "<B", [fixed ?? 0], how);
  await writer.dataset("/entry/sample/rotation_angle", "<d", [fixed ?? 0], how);
  await writer.text("/entry/definition", "NXtomo");
  for (const [group, kind] of Object.entries({ "/entry": "NXentry", "/entry/instrument": "NXinstrument", [CAMERA]: "NXdetector", "/entry/sample": "NXsample" }))
    await writer.attribute(group, "NX_class", kind);
  await writer.flush();
  if (libver) await writer.swmr();
} // prettier-ignore
const data = (i: number) => writer.write(`${CAMERA}/data`, i, frame(i));
const key = (i: number, value = 0) => writer.write(`${CAMERA}/image_key`, i, [value]);
const angle = (i: number, value = 10 * (i + 1)) => writer.write("/entry/sample/rotation_angle", i, [value]);
const row = (i: number, k = 0) => [i, k, 10 * (i + 1), 100 * i + 1];
const rows = (n: number, k = 0) => Array.from({ length: n }, (_, i) => row(i, k));
const inTurn = async (...steps: (() => Promise<unknown>)[]): Promise<void> => {
  for (const step of steps) await step();
};

describe.each([
  ["in SWMR mode", "v110" as const],
  ["plain, flushed now and then", undefined],
])("a file that grows, %s", (_, libver) => {
  const made = libver ? { libver } : {};

  test("each frame once, when its key and its angle are there too", async () => {
    const path = fresh();
    await nxtomo(path, made);
    const { rows: given, faults, scan } = await follow(path, [
      () => inTurn(() => data(0), () => data(1), () => data(2), writer.flush),
      () => inTurn(() => key(0), () => key(1), writer.flush),
      () => inTurn(() => angle(0), () => angle(1), () => angle(2), () => angle(3), writer.flush),
      () => inTurn(() => key(2), () => key(3), writer.flush),
      () => inTurn(() => data(3), () => data(4), writer.flush),
      () => inTurn(() => key(4), () => angle(4), writer.flush),
      writer.close,
    ]); // prettier-ignore
    expect(given[`${CAMERA}/data`]).toEqual(rows(5));
    expect(faults).toEqual([]);
    expect(scan.metadata["frames_written"]).toMatch(/^by their values/);
  });

  test("what was not flushed does not come; what comes while nobody looks comes together", async () => {
    const path = fresh();
    await nxtomo(path, made);
    const step = (i: number) => inTurn(() => data(i), () => key(i), () => angle(i)); // prettier-ignore
    const { rows: given } = await follow(path, [
      () => step(0),
      () => inTurn(() => step(1), writer.flush),
      async () => undefined,
      () => inTurn(() => step(2), () => step(3), writer.flush),
      writer.close,
    ]); // prettier-ignore
    expect(given[`${CAMERA}/data`]).toEqual(rows(4));
  });

  test("frames that lack an angle when nothing more comes are said and left out", async () => {
    const path = fresh();
    await nxtomo(path, made);
    const { rows: given, faults } = await follow(path, [
      () => inTurn(() => data(0), () => key(0), () => angle(0), () => data(1), () => key(1), () => data(2), writer.flush),
      writer.close,
    ]); // prettier-ignore
    expect(given[`${CAMERA}/data`]).toEqual(rows(1));
    expect(faults).toEqual([expect.stringMatching(/frames 1 to 2 of .*data never came whole \(not written, or without a key or an angle\)/)]);
  }); // prettier-ignore

  test("datasets that were made before the scan: nothing of them is given out as zeros", async () => {
    const path = fresh();
    await nxtomo(path, { ...made, fixed: 40 });
    const step = (i: number, k = 0) => inTurn(() => key(i, k), () => angle(i), () => data(i)); // prettier-ignore
    const { rows: given, faults } = await follow(path, [
      writer.flush,
      () => inTurn(() => step(0), () => step(1), writer.flush),
      () => inTurn(() => step(2), () => step(3), () => step(4), () => step(5), writer.flush),
      () => inTurn(() => data(6), writer.flush), // whose angle is 0 still
      () => inTurn(() => angle(6), writer.flush),
      writer.close,
    ]); // prettier-ignore
    expect(given[`${CAMERA}/data`]).toEqual(rows(7));
    expect(faults).toEqual([expect.stringMatching(/frames 7 to 39 of .*data never came whole/)]);
  });

  test("dark frames of a counting detector, all zeros, come with the frame after them", async () => {
    const path = fresh();
    await nxtomo(path, { ...made, fixed: 12 });
    const zeros = (i: number) => inTurn(() => writer.write(`${CAMERA}/data`, i, [0, 0, 0, 0, 0, 0]), () => key(i, 2), () => angle(i)); // prettier-ignore
    const { rows: given, faults } = await follow(path, [
      () => inTurn(...[0, 1, 2, 3].map((i) => () => zeros(i)), writer.flush),
      () => inTurn(() => data(4), () => angle(4), writer.flush),
      () => inTurn(...[5, 6, 7, 8, 9].map((i) => () => inTurn(() => data(i), () => angle(i))), writer.flush),
      () => inTurn(() => zeros(10), () => zeros(11), writer.flush),
      writer.close,
    ]); // prettier-ignore
    const zero = (i: number) => [i, 2, 10 * (i + 1), 0];
    expect(given[`${CAMERA}/data`]).toEqual([
      ...[0, 1, 2, 3].map(zero),
      ...rows(10).slice(4),
      zero(10),
      zero(11),
    ]);
    expect(faults).toEqual([]);
  });

  test("a counter says what is written: areaDetector's, or a number that is named", async () => {
    const path = fresh();
    await nxtomo(path, { ...made, fixed: 9 });
    const { rows: given, scan } = await follow(path, [
      () => inTurn(() => data(0), () => data(1), () => data(2), () => angle(0), () => angle(1), () => angle(2), writer.flush),
      writer.close,
    ], { counter: `${CAMERA}/image_key` }); // a list that says nothing: all are 0
    expect(given).toEqual({});
    expect(scan.metadata["frames_written"]).toBe(`by ${CAMERA}/image_key`);
  }); // prettier-ignore
});

test("areaDetector's own counter is found", async () => {
  const path = fresh();
  await writer.create(path);
  await writer.dataset(`${CAMERA}/data`, "<H", [6, 2, 3], { fixed: true });
  await writer.dataset(`${CAMERA}/image_key`, "<B", [6], { fixed: true });
  await writer.dataset("/entry/sample/rotation_angle", "<d", [6], { fixed: true });
  await writer.dataset("/entry/instrument/NDAttributes/NDArrayUniqueId", "<d", [6], { fixed: true });
  await writer.text("/entry/definition", "NXtomo");
  for (const [group, kind] of Object.entries({ "/entry": "NXentry", "/entry/instrument": "NXinstrument", [CAMERA]: "NXdetector", "/entry/sample": "NXsample" }))
    await writer.attribute(group, "NX_class", kind);
  const id = (i: number) => writer.write("/entry/instrument/NDAttributes/NDArrayUniqueId", i, [i + 1]);
  const { rows: given, scan, faults } = await follow(path, [
    () => inTurn(...[0, 1, 2, 3].map((i) => () => inTurn(() => data(i), () => angle(i))), () => id(0), () => id(1), writer.flush),
    () => inTurn(() => id(2), writer.flush),
    writer.close,
  ]);
  expect(given[`${CAMERA}/data`]).toEqual(rows(3));
  expect(scan.metadata["frames_written"]).toBe("by /entry/instrument/NDAttributes/NDArrayUniqueId");
  expect(faults).toEqual([expect.stringMatching(/frames 3 to 5 /)]);
}); // prettier-ignore

test("Data Exchange: darks and flats where they come, angles when they come", async () => {
  const path = fresh();
  await writer.create(path);
  for (const name of ["data", "data_white", "data_dark"]) await writer.dataset(`/exchange/${name}`, "<H", [0, 2, 3]);
  await writer.dataset("/exchange/theta", "<d", [0]);
  await writer.flush();
  const write = (name: string, i: number) => writer.write(`/exchange/${name}`, i, frame(i));
  const theta = (i: number) => writer.write("/exchange/theta", i, [10 * (i + 1)]);
  const { rows: given, scan } = await follow(path, [
    () => inTurn(() => write("data_white", 0), writer.flush),
    () => inTurn(() => write("data", 0), () => write("data", 1), writer.flush),
    () => inTurn(() => theta(0), () => theta(1), () => write("data_dark", 0), writer.flush),
    () => inTurn(() => write("data", 2), () => theta(2), () => write("data_white", 1), writer.flush),
    writer.close,
  ]);
  expect(scan.layout).toBe("Data Exchange");
  expect(given["/exchange/data"]).toEqual(rows(3));
  expect(given["/exchange/data_white"]).toEqual([[0, 1, NaN, 1], [1, 1, NaN, 101]]);
  expect(given["/exchange/data_dark"]).toEqual([[0, 2, NaN, 1]]);
}); // prettier-ignore

test("a file that is not there yet, that is begun, that is held open, is waited for", async () => {
  const path = fresh();
  const { rows: given } = await follow(path, [
    async () => undefined,
    () => writer.create(path),
    async () => undefined,
    () => inTurn(writer.close, () => nxtomo(path, {})),
    () => inTurn(() => data(0), () => key(0), () => angle(0), writer.flush),
    writer.close,
  ]); // prettier-ignore
  expect(given[`${CAMERA}/data`]).toEqual(rows(1));
});

test("a file that nobody else may read is said to be so, and read once it is closed", async () => {
  const path = fresh();
  await writer.create(path, "v110");
  await writer.flush();
  await expect(readHdf5(path, () => undefined)).rejects.toThrow(
    /is held open by the program that writes it; .*SWMR/,
  );
  await writer.close();
  await readHdf5(path, () => undefined);
});

test("a file in which there never is a frame ends with the reason", async () => {
  await expect(follow(fresh(), [])).rejects.toThrow(/there is no such file/);
  const path = fresh();
  await writer.create(path);
  await writer.dataset("/something/else", "<d", [3]);
  await writer.close();
  await expect(follow(path, [])).rejects.toThrow(/neither Data Exchange .* nor NeXus NXtomo/);
});

test("chunks of several frames: the last frame waits for the one after it, or for the end", async () => {
  const path = fresh();
  await writer.create(path);
  await writer.dataset("/exchange/data", "<H", [0, 2, 3], { chunks: [4, 2, 3] });
  await writer.dataset("/exchange/theta", "<d", [0]);
  const step = (i: number) => inTurn(() => writer.write("/exchange/data", i, frame(i)), () => writer.write("/exchange/theta", i, [10 * (i + 1)]), writer.flush); // prettier-ignore
  await step(0);
  await step(1);
  const { scan, rows: given } = await follow(path, [() => step(2), writer.close]);
  expect(scan.parts.reduce((n, part) => n + part.frames, 0)).toBe(1);
  expect(given["/exchange/data"]).toEqual(rows(3));
});

test("a frame that cannot be read at this moment is read at the next look", async () => {
  const path = fresh();
  await nxtomo(path);
  for (let i = 0; i < 3; i++) await inTurn(() => data(i), () => key(i), () => angle(i)); // prettier-ignore
  await writer.close();
  const whole = readFileSync(path);
  const options = { angleRange_deg: 0, angleStep_deg: 0, signal: new AbortController().signal, follow: { every_s: 1, endsAfter_s: 1 } }; // prettier-ignore
  let looks = 0;
  const scan = await followHdf5Scan(path, hdf5Scan, options, async () => {
    if (++looks === 2) writeFileSync(path, whole);
    return true;
  });
  writeFileSync(path, whole.subarray(0, 60)); // the end of the file is written before what it is the end of
  const context = { signal: options.signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory }; // prettier-ignore
  const columnsOf = (part: Part, from: number, to: number) => ({ rotation_angle: part.rotation_angle.slice(from, to) }); // prettier-ignore
  const items: SourceItem[] = [];
  for await (const item of rowsOf(scan, clockOf(scan, 1, context), { port: "frames", type: "u16", columnsOf, signal: options.signal })) items.push(item); // prettier-ignore
  expect(items.flatMap(({ faults = [] }) => faults)).toEqual([]);
  expect(items.flatMap(({ rows: given }) => [...((given?.["frames"] as Columns | undefined)?.["rotation_angle"] as Float64Array ?? [])])).toEqual([10, 20, 30]); // prettier-ignore
  expect(looks).toBeGreaterThanOrEqual(2);
});

describe("any state of the disk", () => {
  test("a copy that stops anywhere in any flush: the same rows in the end, none twice, none wrong", async () => {
    // The bytes after each flush, and of each every beginning: what another handle may come to see.
    const path = fresh();
    const states: Buffer[] = [];
    await nxtomo(path);
    for (let i = 0; i < 6; i++) {
      await inTurn(() => data(i), () => key(i, i === 0 ? 1 : 0), () => angle(i)); // prettier-ignore
      if (i % 2 === 1) await writer.flush();
      states.push(readFileSync(path));
    }
    await writer.close();
    states.push(readFileSync(path));
    const lengths = fc.array(fc.tuple(fc.nat(states.length - 1), fc.double({ min: 0, max: 1, noNaN: true })), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(lengths, async (cuts) => {
        const seen = fresh();
        const inOrder = cuts.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
        const steps = inOrder.map(([state, part]) => async () =>
          writeFileSync(seen, states[state]!.subarray(0, Math.floor(states[state]!.length * part))));
        const { rows: given, faults } = await follow(seen, [...steps, async () => writeFileSync(seen, states.at(-1)!)]);
        expect(given[`${CAMERA}/data`]).toEqual([row(0, 1), ...rows(6).slice(1)]);
        expect(faults).toEqual([]);
      }),
      { seed: 33, numRuns: 25 },
    );
  }); // prettier-ignore

  test("the last that holds, looking at few", () => {
    fc.assert(
      fc.property(fc.nat(3000), fc.nat(3000), fc.nat(3000), (a, b, last) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        let looks = 0;
        const found = lastOf(from, to, (i) => (looks++, i <= last));
        expect(found).toBe(Math.max(from - 1, Math.min(last, to - 1)));
        expect(looks).toBeLessThanOrEqual(2 * Math.log2(to - from + 2) + 3);
      }),
      { seed: 34 },
    );
  });
});
