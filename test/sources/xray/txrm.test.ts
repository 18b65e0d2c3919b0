import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SourceError } from "../../../runtime/index.ts";
import { readFrame } from "../../../sources/xray/frame-files.ts";
import { withOle } from "../../../sources/xray/ole.ts";
import { readAll } from "./read-scan.ts";
import { f32s, ole, txrm, txrmImage, u32s, type OleOptions, type TxrmOptions } from "./ole-files.ts";

let directory: string;
let count = 0;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "txrm "))));
afterAll(() => rmSync(directory, { recursive: true }));
function write(bytes: Uint8Array): string {
  const path = join(directory, `${++count}.txrm`);
  writeFileSync(path, bytes);
  return path;
}

describe("a compound file", () => {
  const pattern = (n: number, seed: number): Buffer => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7 + seed) & 255)); // prettier-ignore
  const streams = {
    empty: Buffer.alloc(0),
    small: pattern(63, 1),
    "A/just below": pattern(4095, 2),
    "A/just": pattern(4096, 3),
    "A/B/large": pattern(70_001, 4),
    "A/B/other": pattern(50_000, 5),
  };
  test.each<OleOptions>([{ version: 3 }, { version: 4 }, { version: 3, scattered: true }, { version: 4, scattered: true }])(
    "%j: every stream comes back, whatever the case of its name",
    async (options) => {
      const path = write(ole(streams, options));
      await withOle(path, async (_, read) => {
        for (const [name, bytes] of Object.entries(streams)) expect((await read(name.toUpperCase(), 1e6))!.equals(bytes)).toBe(true);
        expect(await read("none", 1e6)).toBeUndefined();
        await expect(read("A/B/large", 1000)).rejects.toThrow(/its stream A\/B\/large is said to be 70001 bytes, wanted at most 1000/);
      });
    },
  ); // prettier-ignore
  test("a FAT of more sectors than the header names", async () => {
    const large = pattern(9 << 20, 9); // 18,000 sectors, 146 of the FAT
    await withOle(write(ole({ "x/large": large })), async (_, read) =>
      expect((await read("x/large", 1e8))!.equals(large)).toBe(true),
    );
  });
});

describe("a scan", () => {
  test.each(["u8", "u16", "f32"] as const)("of %s: flat, projections, angles, times, shifts and geometry", async (type) => {
    const options: TxrmOptions = { type, images: 230 };
    const path = write(ole(txrm(options), { scattered: true }));
    const { columns, schema, faults, items } = await readAll(path);
    expect([...columns.image_key]).toEqual([1, ...new Uint8Array(230)]);
    expect(columns.rotation_angle[0]).toBeNaN();
    expect(columns.rotation_angle[1]).toBe(-90);
    expect(columns.rotation_angle[230]).toBe(24.5);
    const at = (k: number) => columns.data.slice((k + 1) * 20, (k + 2) * 20);
    for (const k of [0, 99, 100, 229]) expect([...at(k)]).toEqual([...txrmImage(k, options)]);
    expect(columns.data[0]).toBe(40);
    const noon = BigInt(Date.UTC(2026, 2, 1, 11, 0, 0, 500)) * 1_000_000n; // Berlin in winter
    expect(columns.time[1]).toBe(noon);
    expect(columns.time[0]).toBe(noon - 1_000_000_000n);
    expect(columns.time[230] - noon).toBe(229_000_000_000n);
    // so far it is to be moved back: the other sign
    expect([...columns.shift_x.slice(0, 4)]).toEqual([0, 0, -0.5, -1]);
    expect([...columns.shift_y.slice(0, 4)]).toEqual([0, 0, 1, 2]);
    expect(schema.metadata).toMatchObject({
      layout: "Zeiss txrm", geometry: "cone", source_distance: "0.025", detector_distance: "0.075", magnification: "4",
      sample_pixel_size_x: "0.000002", pixel_size_x: "0.000008", pixel_size_y: "0.000008", time_basis: "zone assumed",
      projections: "230", flats: "1", start_time: "2026-03-01T12:00:00.500",
    });
    expect(schema.fields["shift_x"]).toMatchObject({ unit: "{px}" });
    expect(faults.map(({ what }) => what)).toEqual([expect.stringMatching(/dark field was taken off by the instrument, .* dark: 0/)]);
    // recorded by reference
    const item = items.findLast(({ references }) => references)!;
    expect([...(await readFrame({ ...item.references!["frames"]!, first: 150 }))]).toEqual([...txrmImage(150, options)]);
  }); // prettier-ignore

  test("ended early, without flat, shifts, dates or distances: what there is", async () => {
    const path = write(
      ole(
        txrm({
          images: 3,
          streams: {
            "ImageInfo/NoOfImages": u32s(10), "ReferenceData/Image": undefined, "Alignment/X-Shifts": f32s(0, 0, 0),
            "Alignment/Y-Shifts": undefined, "ImageInfo/Date": undefined, "ImageInfo/StoRADistance": undefined, "ImageInfo/XrayGeometry": undefined,
          },
        }),
        { version: 4 },
      ),
    ); // prettier-ignore
    const { columns, schema, faults } = await readAll(path);
    expect([...columns.image_key]).toEqual([0, 0, 0]);
    expect(columns.shift_x).toBeUndefined();
    expect(schema.metadata).toMatchObject({
      geometry: "parallel",
      time_basis: "first seen",
      frame_times: "every 1.5 s, the exposure time, without pause",
    });
    expect(faults.map(({ what }) => what).join("\n")).toMatch(/was planned with 10 images, and 3 were taken/);
  });

  test("a flat field in floats beside whole numbers: all in single precision, and the difference in exposure is said", async () => {
    const flat = new Uint8Array(Float32Array.from({ length: 20 }, (_, i) => 0.5 + i).buffer);
    const streams = { "ReferenceData/Image": flat, "ReferenceData/DataType": u32s(10), "ReferenceData/ExpTime": f32s(3) }; // prettier-ignore
    const { columns, faults } = await readAll(write(ole(txrm({ streams }))));
    expect(columns.data.slice(0, 2)).toEqual(Float32Array.of(0.5, 1.5));
    expect([...columns.data.slice(20, 40)]).toEqual([...txrmImage(0)]);
    expect(faults.map(({ what }) => what).join("\n")).toMatch(/flat field was exposed 3 s, its images 1.5 s/);
    const other = await readAll(write(ole(txrm({ streams: { ...streams, "ReferenceData/Image": flat.slice(0, 40) } })))); // prettier-ignore
    expect(other.faults.map(({ what }) => what).join("\n")).toMatch(
      /ReferenceData\/Image has 40 bytes, too few/,
    );
    const several = { "MultiReferenceData/Image1": flat, "MultiReferenceData/Image2": flat, "MultiReferenceData/DataType": u32s(10) }; // prettier-ignore
    const two = await readAll(
      write(ole(txrm({ streams: { "ReferenceData/Image": undefined, ...several } }))),
    );
    expect([...two.columns.image_key]).toEqual([1, 1, 0, 0, 0]);
  });

  test("a missing image is a fault, the others come", async () => {
    const path = write(ole(txrm({ images: 4, streams: { "ImageData1/Image2": undefined } })));
    const { columns, faults } = await readAll(path);
    expect([...columns.rotation_angle]).toEqual([NaN, -90, -89, -88.5]);
    expect(faults).toContainEqual(expect.objectContaining({ what: expect.stringMatching(/has no ImageData1\/Image2/), unread: true })); // prettier-ignore
  });

  test.each<[string, NonNullable<TxrmOptions["streams"]>, RegExp]>([
    [
      "no Zeiss scan",
      { "ImageInfo/ImageWidth": undefined },
      /is an OLE container without ImageInfo\/ImageWidth/,
    ],
    ["another type", { "ImageInfo/DataType": u32s(7) }, /DataType is 7; 3 \(u8\), 5 \(u16\) and 10 \(f32\)/],
    ["a reconstruction", { "ImageInfo/AcquisitionMode": u32s(10) }, /is a reconstruction \(.txm\)/],
    ["no angles", { "ImageInfo/Angles": f32s(1) }, /has no angles .* set angles, or angle_range/],
    ["huge images", { "ImageInfo/ImageWidth": u32s(0xffffffff) }, /images are said to be 4 × 4294967295/],
    [
      "no images",
      { "ImageInfo/ImagesTaken": u32s(0), "ImageInfo/NoOfImages": u32s(0) },
      /it holds no images/,
    ],
  ])("%s is refused", async (_, streams, why) => {
    await expect(readAll(write(ole(txrm({ streams }))))).rejects.toThrow(why);
  });

  test("angles in place of the file's, or evenly where it has none", async () => {
    const path = write(ole(txrm({ images: 4, streams: { "ImageInfo/Angles": undefined } })));
    writeFileSync(join(directory, "angles.txt"), "0\n10\n20\n30\n");
    expect([...(await readAll(path, { angles: join(directory, "angles.txt") })).columns.rotation_angle]).toEqual([NaN, 0, 10, 20, 30]); // prettier-ignore
    expect([...(await readAll(path, { angle_range: "360 deg" })).columns.rotation_angle]).toEqual([NaN, 0, 90, 180, 270]); // prettier-ignore
    writeFileSync(join(directory, "three.txt"), "0\n10\n20\n");
    await expect(readAll(path, { angles: join(directory, "three.txt") })).rejects.toThrow(/three.txt: has 3 angles, and the scan has 4 projections among 5 frames/); // prettier-ignore
  });
});

describe("a damaged container says where", () => {
  const good = ole(txrm({ rows: 40, cols: 60, images: 2 }));
  const changed = (change: (bytes: Buffer) => void): string => {
    const bytes = Buffer.from(good);
    change(bytes);
    return write(bytes);
  };
  test("sectors of another size, a FAT that is too long, a directory in a circle", async () => {
    await expect(readAll(changed((b) => b.writeUInt16LE(11, 30)))).rejects.toThrow(/sectors of 2\^11/);
    await expect(readAll(changed((b) => b.writeUInt32LE(1e6, 44)))).rejects.toThrow(/byte 44: a FAT of 1000000 sectors/); // prettier-ignore
    await expect(readAll(write(good.subarray(0, 600)))).rejects.toThrow(/would lie at bytes \d+ to \d+, and the file ends at byte 600/); // prettier-ignore
    const directoryAt = (good.readUInt32LE(48) + 1) * 512;
    await expect(readAll(changed((b) => b.writeUInt32LE(0, directoryAt + 76)))).rejects.toThrow(/does not begin with the root|comes to entry|without ImageInfo/); // prettier-ignore
    await expect(readAll(changed((b) => b.writeUInt32LE(1, directoryAt + 128 + 72)))).rejects.toThrow(/directory comes to entry 1 twice/); // prettier-ignore
    const fatAt = (good.readUInt32LE(76) + 1) * 512;
    const directory = good.readUInt32LE(48);
    await expect(readAll(changed((b) => b.writeUInt32LE(directory, fatAt + 4 * directory)))).rejects.toThrow(/the directory: goes on after \d+ sectors, in a circle perhaps/); // prettier-ignore
  });

  test("2,000 containers with broken bytes: a scan, faults or a SourceError, quickly", async () => {
    const files = [good, ole(txrm({ rows: 20, cols: 30 }), { version: 4, scattered: true })];
    let read = 0;
    let run = 0;
    const paths = Array.from({ length: 20 }, () => write(good));
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.tuple(fc.boolean(), fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 12 }),
        fc.option(fc.nat(), { freq: 8 }),
        async (which, changes, cut) => {
          const bytes = Buffer.from(files[which ? 1 : 0]!);
          const sector = which ? 4096 : 512;
          const directoryAt = (bytes.readUInt32LE(48) + 1) * sector;
          const fatAt = (bytes.readUInt32LE(76) + 1) * sector;
          for (const [structure, at, value] of changes) {
            const [from, length] = !structure ? [0, bytes.length] : at % 3 === 0 ? [0, 512] : at % 3 === 1 ? [directoryAt, 3000] : [fatAt, 512];
            bytes[(from + (Math.floor(at / 3) % length)) % bytes.length] = value;
          }
          const path = paths[run++ % paths.length]!;
          writeFileSync(path, cut === null ? bytes : bytes.subarray(0, cut % bytes.length));
          try {
            await readAll(path, { angle_range: "180 deg" });
            read++;
          } catch (error) {
            if (!(error instanceof SourceError)) throw error;
          }
        },
      ),
      { seed: 5, numRuns: 2000, unbiased: true },
    );
    expect(read).toBeGreaterThan(100);
  }, 60_000); // prettier-ignore
});
