import { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Columns } from "../../../runtime/columns.ts";
import type { SourceItem } from "../../../runtime/index.ts";
import { imageSize, type NumericArray } from "../../../runtime/wire/schema.ts";
import { readFrame } from "../../../sources/xray/frame-files.ts";
import { tomography } from "../../../sources/xray/tomography.ts";
import { open, readAll } from "./read-scan.ts";
import { dataExchange, folder, frames, nxtomo, NXTOMO_GROUPS, NXTOMO_KEYS, renameFilter, writeHdf5, type Member } from "./tomography-files.ts"; // prettier-ignore

const SECOND = 1_000_000_000n;

let directory: string;
let count = 0;
beforeAll(() => void (directory = folder()));
afterAll(() => rmSync(directory, { recursive: true }));
const write = (members: Record<string, Member>, more?: Parameters<typeof writeHdf5>[2]): Promise<string> =>
  writeHdf5(join(directory, `scan ${++count}.h5`), members, more);
const without = (members: Record<string, Member>, ...names: string[]): Record<string, Member> =>
  Object.fromEntries(Object.entries(members).filter(([name]) => !names.includes(name)));

describe("Data Exchange", () => {
  test("darks, flats, projections, with their angles and in their stored type", async () => {
    const { columns, schema, port } = await readAll(await write(dataExchange()));
    expect(port).toBe("frames");
    expect(columns.data).toEqual(Uint16Array.from([...frames(0, 2), ...frames(10, 3), ...frames(20, 5)]));
    expect([...columns.image_key]).toEqual([2, 2, 1, 1, 1, 0, 0, 0, 0, 0]);
    expect([...columns.rotation_angle]).toEqual([NaN, NaN, NaN, NaN, NaN, 0, 36, 72, 108, 144]);
    expect(schema.fields["data"]).toMatchObject({
      kind: "image",
      type: "u16",
      unit: "{count}",
      shape: [2, 3],
    });
    expect(schema.metadata).toMatchObject({
      layout: "Data Exchange",
      projections: "5",
      flats: "3",
      darks: "2",
    });
  });

  test("without times its last frame is when the file was written, one a second, and it says so", async () => {
    const path = await write(dataExchange());
    utimesSync(path, 1000, 1000);
    const { columns, schema, faults } = await readAll(path);
    expect([...columns.time]).toEqual(Array.from({ length: 10 }, (_, i) => BigInt(991 + i) * SECOND));
    expect(schema.metadata).toMatchObject({ time_basis: "first seen", frame_times: "assumed: one a second" });
    expect(faults.map(({ what }) => what)).toEqual([expect.stringMatching(/does not say when .* set rate/)]);
    const faster = await readAll(path, { rate: "20 Hz" });
    expect(faster.columns.time.at(-1) - faster.columns.time[0]).toBe((SECOND * 9n) / 20n);
    expect(faster.faults).toEqual([]);
  });

  test("times of projections, if there are some; darks and flats before them", async () => {
    const time = { values: Float64Array.of(0, 2, 4, 6, 9) };
    const start = { values: "2026-03-01T12:00:00" };
    const members = { ...dataExchange(), "/exchange/time": time, "/process/acquisition/start_date": start };
    const { columns, schema, faults } = await readAll(await write(members));
    const noon = BigInt(Date.UTC(2026, 2, 1, 11)) * 1_000_000n; // Berlin in winter
    expect([...columns.time].slice(5)).toEqual([0, 2, 4, 6, 9].map((s) => noon + BigInt(s) * SECOND));
    expect(columns.time[4]).toBe(noon - (SECOND * 9n) / 4n);
    expect(schema.metadata).toMatchObject({ time_basis: "zone assumed", frame_times: "from the file" });
    expect(faults).toEqual([]);
    const back = { ...members, "/exchange/time": { values: Float64Array.of(0, 2, 1, 6, 9) } };
    expect((await readAll(await write(back))).faults[0]!.what).toMatch(/go back at frame 7/);
  });

  test("projections and flats of different types meet in single precision", async () => {
    const members = dataExchange();
    const white = Float32Array.from(frames(10, 3), (x) => x + 0.5);
    const mixed = {
      ...members,
      "/exchange/data_white": { ...members["/exchange/data_white"]!, values: white },
    };
    const { columns, schema, items } = await readAll(await write(mixed));
    expect(schema.fields["data"]!.type).toBe("f32");
    expect([...columns.data.slice(12, 30)]).toEqual([...white]);
    // what was converted is recorded whole, what was not by reference
    const references = items.flatMap(({ rows, references }) =>
      rows ? [references?.["frames"]?.dataset] : [],
    );
    expect(references.slice(0, 2)).toEqual([undefined, "/exchange/data_white"]);
    const double = { ...members["/exchange/data"]!, values: Float64Array.from(frames(20, 5), (x) => x / 3) };
    const { columns: single } = await readAll(await write({ ...members, "/exchange/data": double }));
    expect(single.data.slice(30)).toEqual(Float32Array.from(double.values));
  });

  test("no angles: an error that says what to do, or evenly spaced if one says so", async () => {
    const path = await write(without(dataExchange(), "/exchange/theta"));
    await expect(readAll(path)).rejects.toThrow(/has no \/exchange\/theta; set angle_range, such as "180 deg", if its 5 frames/);
    const { columns, schema } = await readAll(path, { angle_range: "180 deg" });
    expect([...columns.rotation_angle].slice(5)).toEqual([0, 36, 72, 108, 144]);
    expect(schema.metadata["rotation_angles"]).toMatch(/assumed: evenly spaced over 180 deg/);
  }); // prettier-ignore

  test("no flats: the frames come all the same, with a fault that says what to do", async () => {
    const path = await write(without(dataExchange(), "/exchange/data_white", "/exchange/data_dark"));
    const { columns, faults } = await readAll(path, { rate: "1 Hz" });
    expect(columns.time.length).toBe(5);
    expect(faults[0]!.what).toMatch(/no flat and no dark field.*set already: transmission/);
  });

  test.each([
    ["transmission", "transmission"],
    ["line-integral", "line integral"],
  ])("projections that are %s already come as projections, and say so", async (already, meaning) => {
    const values = Float32Array.from(frames(0, 5), (x) => x / 1000);
    const members = { ...dataExchange(), "/exchange/data": { values, shape: [5, 2, 3] } };
    const path = await write(without(members, "/exchange/data_white", "/exchange/data_dark"));
    const { port, columns, schema, faults, items } = await readAll(path, { already, rate: "1 Hz" });
    expect(port).toBe("projections");
    expect(columns.data).toEqual(values);
    expect(Object.keys(columns)).toEqual(["time", "data", "rotation_angle"]);
    expect(schema.fields["data"]).toMatchObject({ unit: "1", type: "f32", quantity: meaning });
    expect(faults).toEqual([]);
    expect(items[1]!.references!["projections"]).toMatchObject({ column: "data", first: 0 });
  });
});

describe("NeXus NXtomo", () => {
  test("frames in the order they were taken, found by class, angles from radians", async () => {
    const { columns, schema, faults } = await readAll(await write(nxtomo(), { groups: NXTOMO_GROUPS }));
    expect(columns.data).toEqual(frames(0, 7));
    expect([...columns.image_key]).toEqual(NXTOMO_KEYS);
    expect([...columns.rotation_angle]).toEqual([0, 0, 0, 90, 180, 0, 0]);
    expect(columns.time[0]).toBe(BigInt(Date.UTC(2026, 2, 1, 11)) * 1_000_000n);
    expect(columns.time[6] - columns.time[0]).toBe(300_000_000n); // count_time of 50 ms
    expect(schema.metadata).toMatchObject({
      layout: "NXtomo", time_basis: "absolute", sample: "cell 7", start_time: "2026-03-01T12:00:00+01:00",
      pixel_size_x: "0.0000065", frame_times: "every 0.05 s, the exposure time, without pause",
    }); // prettier-ignore
    expect(faults).toEqual([]);
  });

  test("soft links are followed; one that leads nowhere is named", async () => {
    const moved = Object.fromEntries(Object.entries(nxtomo()).map(([name, member]) => [name.replace("/camera/data", "/camera/raw"), member])); // prettier-ignore
    const path = await write(moved, {
      groups: NXTOMO_GROUPS,
      links: { "/scan1/tomo/hutch/camera/data": "/scan1/tomo/hutch/camera/raw" },
    });
    const { columns, items } = await readAll(path);
    expect(columns.data).toEqual(frames(0, 7));
    expect(await readFrame({ ...items[1]!.references!["frames"]!, first: 3 })).toEqual(frames(3, 1));
    const broken = await write(without(moved, "/scan1/tomo/hutch/camera/raw"), {
      groups: NXTOMO_GROUPS,
      links: { "/scan1/tomo/hutch/camera/data": "/scan1/tomo/hutch/camera/raw" },
    });
    await expect(readAll(broken)).rejects.toThrow(
      /camera\/data is a link to .*camera\/raw, which is not in the file/,
    );
  });

  test("frames in another file are read there; where it is missing, it is named", async () => {
    const raw = await write({ "/raw": nxtomo()["/scan1/tomo/hutch/camera/data"]! });
    const members = without(nxtomo(), "/scan1/tomo/hutch/camera/data");
    const at = "/scan1/tomo/hutch/camera/data";
    const path = await write(members, {
      groups: NXTOMO_GROUPS,
      elsewhere: { [at]: [basename(raw), "/raw"] },
    });
    const { columns, items } = await readAll(path);
    expect(columns.data).toEqual(frames(0, 7));
    expect(await readFrame(items[1]!.references!["frames"]!)).toEqual(frames(0, 1));
    const lost = await write(members, { groups: NXTOMO_GROUPS, elsewhere: { [at]: ["gone.h5", "/raw"] } });
    await expect(readAll(lost)).rejects.toThrow(
      /camera\/data lies in the file gone.h5 \(\/raw\), which is not beside it/,
    );
  });

  test("times of frames, absolute or from their own start", async () => {
    const time: Member = { values: Float64Array.from([0, 1, 2, 3, 5, 6, 7]), attributes: { units: "ms", start: "2026-01-01T00:00:00Z" } }; // prettier-ignore
    const at = "/scan1/tomo/hutch/camera/time";
    const one = await readAll(await write({ ...nxtomo(), [at]: time }, { groups: NXTOMO_GROUPS }));
    expect(one.columns.time[4]).toBe(BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n + 5_000_000n);
    const epoch: Member = { values: Float64Array.from([0, 1, 2, 3, 5, 6, 7], (s) => 1_700_000_000.5 + s) };
    const two = await readAll(await write({ ...nxtomo(), [at]: epoch }, { groups: NXTOMO_GROUPS }));
    expect(two.columns.time[1]).toBe(1_700_000_001_500_000_000n);
    expect(two.schema.metadata["time_basis"]).toBe("absolute");
  });

  test("keys that mean nothing make a frame invalid; several entries are said", async () => {
    const keys: Member = { values: Int16Array.from([2, 1, 0, -1, 0, 7, 3]) };
    const members = { ...nxtomo(), "/scan1/tomo/hutch/camera/image_key": keys };
    const { columns, faults } = await readAll(await write(members, { groups: NXTOMO_GROUPS }));
    expect([...columns.image_key]).toEqual([2, 1, 0, 3, 0, 3, 3]);
    expect(faults[0]!.what).toMatch(/image_key has 2 entries that mean nothing, such as -1/);

    const again = Object.fromEntries(Object.entries(nxtomo()).map(([name, member]) => [name.replace("scan1", "scan2"), member])); // prettier-ignore
    const groups = { ...NXTOMO_GROUPS, ...Object.fromEntries(Object.entries(NXTOMO_GROUPS).map(([name, kind]) => [name.replace("scan1", "scan2"), kind])) }; // prettier-ignore
    const two = await readAll(await write({ ...nxtomo(), ...again }, { groups }));
    expect(two.faults[0]!.what).toMatch(
      /holds 2 NXtomo entries \(\/scan1\/tomo, \/scan2\/tomo\); \/scan1\/tomo is read/,
    );
  });

  test("an hour that the clocks showed twice is refused", async () => {
    const twice: Member = { values: "2026-10-25T02:30:00" };
    const path = await write({ ...nxtomo(), "/scan1/tomo/start_time": twice }, { groups: NXTOMO_GROUPS });
    await expect(readAll(path)).rejects.toThrow(/showed 2026-10-25 02:30:00.000 twice/);
    expect((await readAll(path, {}, { timezone: "UTC+02:00" })).columns.time[0]).toBe(BigInt(Date.UTC(2026, 9, 25, 0, 30)) * 1_000_000n); // prettier-ignore
  });
});

describe("items", () => {
  test("hold whole chunks, few enough for memory, each with where its frames lie", async () => {
    const n = 100;
    const members = {
      ...without(dataExchange(), "/exchange/data_dark", "/exchange/data_white"),
      "/exchange/data": { values: frames(0, n), shape: [n, 2, 3], chunks: [10, 2, 3] },
      "/exchange/theta": { values: Float64Array.from({ length: n }, (_, i) => i) },
    };
    const { items } = await readAll(await write(members));
    const sizes = items.flatMap(({ rows }) => (rows ? [(rows["frames"] as Columns).time.length] : []));
    expect(sizes).toEqual([30, 30, 30, 10]);
    for (const { rows, references } of items.slice(1)) {
      const { file, dataset, first, column } = references!["frames"]!;
      const { data } = rows!["frames"] as { data?: NumericArray };
      expect(column).toBe("data");
      expect(await readFrame({ column, file, dataset, first })).toEqual(data!.slice(0, 6));
      expect(await readFrame({ column, file, dataset, first: first + 9 })).toEqual(data!.slice(54, 60));
    }
  });

  test("are read no further once the run ends", async () => {
    const stop = new AbortController();
    const seen: SourceItem[] = [];
    for await (const item of open(await write(dataExchange()), {}, { signal: stop.signal })) {
      seen.push(item);
      stop.abort();
    }
    expect(seen.length).toBe(1);
  });

  test("a path is relative to the pipeline file", async () => {
    const path = await write(dataExchange());
    const { columns } = await readAll(path.slice(directory.length + 1), {}, { directory });
    expect(columns.time.length).toBe(10);
  });
});

describe("compression", () => {
  test.each([
    ["LZF", 32000, [4, 261, 36]],
    ["blosc", 32001, []],
    ["LZ4", 32004, [0]],
    ["bitshuffle with LZ4", 32008, [0, 2]],
    ["Zstandard", 32015, [3]],
  ])("%s is read", async (_, id, options) => {
    const values = Uint16Array.from(frames(0, 50), (x) => x % 100); // repeats itself: LZF leaves all else as it is
    const filter: [number, ...number[]] = [id as number, ...(options as number[])];
    const data = { values, shape: [50, 2, 3], chunks: [25, 2, 3], filter };
    const theta = { values: Float64Array.from({ length: 50 }, (__, i) => i) };
    const path = await write({ "/exchange/data": data, "/exchange/theta": theta });
    expect((await readAll(path)).columns.data).toEqual(values);
  });

  test("a filter that is not here is named; nothing is read as zeros", async () => {
    const data = { values: frames(0, 50), shape: [50, 2, 3], chunks: [25, 2, 3], filter: [32015, 3] as [number, number] };
    const path = await write({ "/exchange/data": data, "/exchange/theta": { values: new Float64Array(50) } });
    const other = join(directory, "unknown filter.h5");
    writeFileSync(other, renameFilter(readFileSync(path), 32015, 61455));
    await expect(readAll(other)).rejects.toThrow(/\/exchange\/data is compressed with the HDF5 filter .* \(61455\), which is not here; .*gzip/);
  }); // prettier-ignore
});

describe("what cannot be read says which file, where, what was wanted and what to do", () => {
  const bytesOf = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(directory, name), bytes);
    return join(directory, name);
  };

  test("no file, a folder, an empty file, another kind of file", async () => {
    await expect(readAll(join(directory, "none.h5"))).rejects.toThrow(/none.h5: there is no such file/);
    await expect(readAll(directory)).rejects.toThrow(/it is a folder/);
    await expect(readAll(bytesOf("empty.h5", new Uint8Array(0)))).rejects.toThrow(
      /empty.h5: it is empty \(0 bytes\)/,
    );
    await expect(readAll(bytesOf("text.h5", Buffer.from("a,b,c\n1,2,3")))).rejects.toThrow(
      /text.h5: is not HDF5: it begins with 61 2c 62 2c 63 0a 31 2c, wanted 89 48/,
    );
  });

  test("a file cut anywhere: both lengths", async () => {
    const path = await write(dataExchange());
    const bytes = readFileSync(path);
    for (const part of [0.2, 0.5, 0.9, 0.999]) {
      const length = Math.floor(bytes.length * part);
      const cut = bytesOf("cut.h5", bytes.subarray(0, length));
      await expect(readAll(cut)).rejects.toThrow(new RegExp(`cut short at byte ${length}: .* ${statSync(path).size} bytes`)); // prettier-ignore
    }
  });

  test("a damaged chunk costs its frames, not the scan", async () => {
    const path = await write(dataExchange());
    const bytes = readFileSync(path);
    // the zlib stream of the chunk with frames 22 and 23: find the second one of four or so
    const starts: number[] = [];
    for (let i = 0; i + 1 < bytes.length; i++) if (bytes[i] === 0x78 && bytes[i + 1] === 0x5e) starts.push(i);
    bytes[starts[1]! + 4]! ^= 0xff;
    bytes[starts[1]! + 6]! ^= 0xff;
    const { columns, faults } = await readAll(bytesOf("damaged.h5", bytes), { rate: "1 Hz" });
    expect([...columns.rotation_angle].slice(5)).toEqual([0, 36, 144]);
    expect(faults.map(({ what }) => what)).toEqual([
      expect.stringMatching(/frame 2 of \/exchange\/data cannot be read: .+/),
      expect.stringMatching(/frame 3 of \/exchange\/data cannot be read: .+/),
    ]);
  });

  test.each<[string, Record<string, Member>, RegExp]>([
    ["no tomography in it", { "/measurement/a": { values: [1] } }, /neither Data Exchange \(no \/exchange\/data\) nor NeXus NXtomo .* at its top are measurement/],
    ["angles of another length", { "/exchange/theta": { values: [1, 2, 3] } }, /theta has 3 angles, \/exchange\/data has 5 frames/],
    ["flats of another size", { "/exchange/data_white": { values: frames(0, 1), shape: [1, 3, 2] } }, /data_white has frames of 3 × 2, \/exchange\/data of 2 × 3/],
    ["one image", { "/exchange/data": { values: frames(0, 1), shape: [2, 3] } }, /has the shape 2 × 3; wanted frames × rows × columns/],
    ["another order of axes", { "/exchange/data": { values: frames(0, 5), shape: [2, 5, 3], attributes: { axes: "y:theta:x" } } }, /axes as y:theta:x; wanted theta:y:x/],
    ["angles in another unit", { "/exchange/theta": { values: [0, 1, 2, 3, 4], attributes: { units: "steps" } } }, /theta is in "steps"; wanted degrees or radians/],
  ])("%s", async (name, members, message) => {
    const base = name === "no tomography in it" ? {} : dataExchange();
    await expect(readAll(await write({ ...base, ...members }))).rejects.toThrow(message);
  }); // prettier-ignore

  test.each<[string, string[], Record<string, Member>, RegExp]>([
    ["no image keys", ["/scan1/tomo/hutch/camera/image_key"], {}, /has no \/scan1\/tomo\/hutch\/camera\/image_key/],
    ["keys of another length", [], { "/scan1/tomo/hutch/camera/image_key": { values: [0, 0] } }, /image_key has 2 entries, .*data has 7 frames/],
    ["angles of another length", [], { "/scan1/tomo/thing/rotation_angle": { values: [0, 0] } }, /rotation_angle has 2 angles, .*data has 7 frames/],
    ["no frames", ["/scan1/tomo/hutch/camera/data"], {}, /is an NXtomo entry without frames/],
  ])("NXtomo: %s", async (_, gone, members, message) => {
    const path = await write({ ...without(nxtomo(), ...gone), ...members }, { groups: NXTOMO_GROUPS });
    await expect(readAll(path)).rejects.toThrow(message);
  }); // prettier-ignore
});

test("claims HDF5 by its first bytes, also behind a user block", async () => {
  const head = readFileSync(await write(dataExchange())).subarray(0, 4096);
  expect(tomography.claims!(head, "a.h5")).toBe(true);
  expect(tomography.claims!(Buffer.concat([Buffer.alloc(512), head]), "a.h5")).toBe(true);
  expect(tomography.claims!(Buffer.from("BIO-LOGIC MODULAR FILE"), "a.h5")).toBe(false);
  expect(tomography.claims!(new Uint8Array(0), "a.h5")).toBe(false);
});

const shared = fileURLToPath(new URL("../../../../shared/data/xrm/", import.meta.url));
describe.runIf(existsSync(shared))("real files", () => {
  test("tooth.h5: counts as TomoPy has them", async () => {
    const { columns, schema, faults } = await readAll(join(shared, "tooth.h5"), { rate: "1 Hz" });
    expect(columns.time.length).toBe(10 + 10 + 181);
    expect(imageSize("data", schema.fields["data"]!)).toBe(2 * 640);
    const projections: Float32Array = columns.data.slice(20 * 1280);
    expect([projections.reduce((a, b) => Math.min(a, b)), projections.reduce((a, b) => Math.max(a, b))]).toEqual([3921.25, 33891.5]); // prettier-ignore
    expect(columns.rotation_angle.at(-1)).toBeCloseTo(179.0055, 3);
    expect(schema.metadata).toMatchObject({
      sample: "Tooth",
      flats: "10",
      darks: "10",
      time_basis: "first seen",
    });
    expect(faults).toEqual([]);
  });

  test("npg_p05_nanoct.h5: was logged already, and is asked about", async () => {
    const asCounts = await readAll(join(shared, "npg_p05_nanoct.h5"));
    expect(asCounts.faults.at(-1)!.what).toMatch(/no flat and no dark field.*line-integral/);
    const { columns, schema } = await readAll(join(shared, "npg_p05_nanoct.h5"), {
      already: "line-integral",
    });
    expect(schema.fields["data"]).toMatchObject({ shape: [79, 83], quantity: "line integral" });
    expect(columns.time.length).toBe(451);
  });
});
