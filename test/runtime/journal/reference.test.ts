import { expect, test } from "vitest";
import { makeBatch } from "../../../runtime/batch.ts";
import type { FrameReference } from "../../../runtime/define.ts";
import { createRecorder, openRun, type Resolve } from "../../../runtime/journal/index.ts";
import { code, image, scalar, type NumericArray, type Schema } from "../../../runtime/wire/schema.ts";
import { all, filesBelow, joined, manifest, newFolder } from "./rows.ts";

const SCHEMA: Schema = {
  fields: {
    rotation_angle: scalar("deg"),
    data: image("{count}", { type: "u16", shape: [4, 5], vendor_name: "entry/data" }),
    image_key: code(),
  },
  metadata: { pixel_size: "0.65 um" },
};
/** The instrument's file: frame n is full of n. */
const frame = (n: number): Uint16Array => new Uint16Array(20).fill(n);
const scan = new Map(Array.from({ length: 40 }, (_, n) => [n, frame(n) as NumericArray]));
const resolve: Resolve = async ({ file, dataset, first }) => {
  if (file !== "/data/scan.nxs" || dataset !== "/entry/data") throw new Error(`no such file: ${file}`);
  return scan.get(first)!;
};

async function recorded(options: { mixed?: boolean } = {}): Promise<string> {
  const directory = newFolder();
  await manifest(directory);
  const recorder = await createRecorder({ directory, inThread: false, resolve });
  for (let row = 0; row < 12; row += 3) {
    const reference: FrameReference = {
      column: "data",
      file: "/data/scan.nxs",
      dataset: "/entry/data",
      first: 10 + 2 * row,
      stride: 2,
    };
    const data = Uint16Array.from({ length: 60 }, (_, i) => 10 + 2 * (row + Math.floor(i / 20)));
    const columns = {
      time: BigInt64Array.of(1n, 2n, 3n).map((t) => t + BigInt(row)),
      rotation_angle: Float64Array.of(row, row + 1, row + 2),
      data,
      image_key: Int32Array.of(0, 0, 0),
    };
    const batch = makeBatch({
      stream: "xrm.frames",
      epoch: 0,
      row,
      columns,
      schema: SCHEMA,
      watermark: BigInt(row + 3),
      state: "active",
    });
    const inFile = !(options.mixed && row === 6);
    recorder.append(inFile ? { ...batch, reference } : batch, { derived: false, byReference: true });
  }
  await recorder.drain();
  const live = await joined(recorder.read("xrm.frames"), SCHEMA);
  expect((live["data"] as Uint16Array)[20 * 11]).toBe(32);
  await recorder.close();
  return directory;
}

test.each([false, true])(
  "frames are read again from the instrument's file, and the stream is what it was; some in the journal: %s",
  async (mixed) => {
    const directory = await recorded({ mixed });
    const run = await openRun(directory, { resolve });
    expect(run.streams[0]!.epochs).toMatchObject([{ rows: 12, schema: SCHEMA }]);
    const columns = await joined(run.read("xrm.frames"), SCHEMA);
    expect(Object.keys(run.streams[0]!.epochs[0]!.schema.fields)).toEqual([
      "rotation_angle",
      "data",
      "image_key",
    ]);
    expect(columns["data"]).toEqual(Uint16Array.from({ length: 240 }, (_, i) => 10 + 2 * Math.floor(i / 20)));
    expect((await all(run.read("xrm.frames", { fromRow: 4, toRow: 5 })))[0]!.columns["data"]).toEqual(
      frame(18),
    );
    expect([...filesBelow(directory).keys()].filter((name) => name.endsWith(".arrows"))).toHaveLength(
      mixed ? 3 : 1,
    );
  },
);

test("a frame that has moved, changed or that nothing can read is named", async () => {
  const directory = await recorded();
  const reading = async (resolve?: Resolve): Promise<unknown> =>
    all((await openRun(directory, resolve ? { resolve } : {})).read("xrm.frames", { fromRow: 4 }));
  const where = "xrm.frames, row 4: frame 18 of /entry/data in /data/scan.nxs";
  await expect(reading()).rejects.toThrow(
    `${where} was recorded by reference, and nothing here reads such files`,
  );
  await expect(reading(() => Promise.reject(new Error("no such file")))).rejects.toThrow(
    `${where} cannot be read: no such file; put the file back where it was`,
  );
  await expect(reading(async () => frame(19))).rejects.toThrow(
    `${where} has changed since it was recorded: its checksum differs`,
  );
  await expect(reading(async () => new Uint16Array(19))).rejects.toThrow(
    `${where} has changed: it was 20 values of u16 (40 bytes), now 19 of u16`,
  );
});

test("scalars beside such frames need no file", async () => {
  const run = await openRun(await recorded());
  const { max, count } = await run.minMax("xrm.frames", "rotation_angle", { from: 0n, to: 100n, buckets: 1 });
  expect([max[0], count[0]]).toEqual([11, 12]);
});
