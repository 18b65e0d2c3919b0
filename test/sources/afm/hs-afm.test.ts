import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { UNKNOWN_SCAN, type AfmFile } from "../../../sources/afm/afm-file.ts";
import { hsAfm } from "../../../sources/afm/hs-afm.ts";
import { makeAsd, type MadeAsd } from "./make-asd.ts";

const folder = mkdtempSync(join(tmpdir(), "operando asd ä-"));
afterAll(() => rmSync(folder, { recursive: true }));
let placed = 0;
const place = (bytes: Uint8Array): string => {
  const path = join(folder, `${placed++}.asd`);
  writeFileSync(path, bytes);
  return path;
};
const utc = (local: string): bigint => BigInt(Date.parse(`${local}Z`)) * 1_000_000n;

async function using<T>(path: string, what: (file: AfmFile) => Promise<T>): Promise<T> {
  const file = await hsAfm.open(path, utc);
  try {
    return await what(file);
  } finally {
    await file.close();
  }
}
const opened = (file: MadeAsd) => hsAfm.open(place(makeAsd(file)), utc).then(async (read) => (await read.close(), read)); // prettier-ignore

const [columns, rows] = [3, 2];
const levels = [0, 1, 2048, 4095, 700, 3000];
const one: MadeAsd = { columns, rows, channels: [{ kind: "TP", frames: [levels] }] };

describe("what a level means", () => {
  test.each([
    { code: 1, range: 1, bipolar: false },
    { code: 2, range: 2.5, bipolar: false },
    { code: 3, range: 9.99, bipolar: false },
    { code: 4, range: 5, bipolar: false },
    { code: 0x10000, range: 1, bipolar: true },
    { code: 0x20000, range: 2.5, bipolar: true },
    { code: 0x40000, range: 5, bipolar: true },
  ])("by code $code", async ({ code: rangeCode, range, bipolar }) => {
    const kinds = [["TP", 2 * 12.5e-9, "topography"], ["ER", -50e-9, "deflection"], ["PH", -18, "phase"]] as const; // prettier-ignore
    for (const [kind, scale, port] of kinds) {
      await using(
        place(makeAsd({ ...one, rangeCode, channels: [{ kind, frames: [levels] }] })),
        async (file) => {
          expect(file.images!.channels[0]).toMatchObject({ port, rows, columns });
          const data = await file.images!.read(0, 0);
          levels.forEach((level, i) => {
            const volts = bipolar ? range - (2 * range * level) / 4096 : (-range * level) / 4096;
            expect(data[i]! / (volts * scale || 1)).toBeCloseTo(volts * scale === 0 ? 0 : 1, 6);
          });
        },
      );
    }
  });

  test("12 bits are 4096 levels, not 12 XOR 2", async () => {
    for (const bits of [8, 12, 16]) {
      await using(place(makeAsd({ ...one, bits, channels: [{ kind: "TP", frames: [[0, 1, 2, 3, 4, 255]] }] })), async (file) => {
        const data = await file.images!.read(0, 0);
        expect(data[5]).toBe(Math.fround((-9.99 * 255 * 25e-9) / 2 ** bits));
      }); // prettier-ignore
    }
  });

  test("a scale of zero leaves the channel out, and says so", async () => {
    const file = await opened({ ...one, zGain: 0 });
    expect(file.images!.channels[0]!.port).toBeUndefined();
    expect(file.warnings.join()).toMatch(/channel TP is left out: its z piezo gain 0/);
  });

  test("levels that the converter cannot give are said", async () => {
    const { warnings } = await opened({ ...one, bits: 11 });
    expect(warnings.join()).toMatch(/3 of 6 pixels are outside the converter's 2048 levels/);
  });
});

describe("headers", () => {
  test.each([
    { version: 0, pixelBytes: 2 },
    { version: 0, pixelBytes: 4 },
    { version: 1 },
    { version: 2 },
  ] as const)("of version $version (pixels of $pixelBytes bytes) say the same", async (how) => {
    const second = levels.map((level) => 4095 - level);
    const made: MadeAsd = { ...one, ...how, channels: [{ kind: "TP", frames: [levels, second] }, { kind: "PH", frames: [second, levels] }] }; // prettier-ignore
    const bytes = makeAsd(made);
    expect(hsAfm.looks(bytes.subarray(0, 4096))).toBe(true);
    await using(place(bytes), async (file) => {
      expect(file.warnings).toEqual([]);
      expect(file).toMatchObject({ format: `HS-AFM .asd, version ${how.version}`, instrument: "HS-AFM no. 7" });
      expect(file.start).toEqual({ ns: utc("2024-05-07T09:30:15"), zoned: false });
      const { images } = file;
      expect(images).toMatchObject({ frames: 2, sizeX_m: 6e-9, sizeY_m: 4e-9 });
      expect(images!.channels.map(({ name, port, unit }) => [name, port, unit])).toEqual([
        ["TP", "topography", "m"],
        ["PH", "phase", "deg"],
      ]);
      const height = (level: number) => Math.fround((-9.99 * level * 25e-9) / 4096);
      const phase = (level: number) => Math.fround((-9.99 * level * -18) / 4096);
      expect([...(await images!.read(0, 1))]).toEqual(second.map(height));
      expect([...(await images!.read(1, 0))]).toEqual(second.map(phase));
      expect([...(await images!.read(1, 1))]).toEqual(levels.map(phase));
    });
  }); // prettier-ignore

  test("a frame ends by its number, also where others were cut out", async () => {
    const made = { ...one, channels: [{ kind: "TP", frames: [levels, levels] }], numbers: [1, 9], recorded: 9, frameTime_ms: 250 } as const; // prettier-ignore
    await using(place(makeAsd(made)), async ({ images, warnings }) => {
      const start = utc("2024-05-07T09:30:15");
      expect((await images!.frame(0)).end!.ns - start).toBe(250_000_000n);
      expect(await images!.frame(1)).toMatchObject({
        end: { ns: start + 2_250_000_000n, zoned: false },
        duration_s: 0.25,
        slowScan: UNKNOWN_SCAN,
        centerX_m: NaN,
      });
      expect(warnings).toEqual([
        "was recorded with 9 frames and says that it holds 2; by its size there are 2",
      ]);
    });
  });

  test("the size of the file decides between two counts of frames", async () => {
    const file = await opened({ ...one, channels: [{ kind: "TP", frames: [levels, levels, levels] }], said: 2, recorded: 3 }); // prettier-ignore
    expect(file.images!.frames).toBe(3);
  });

  test("no time of a frame and no calendar day are not made up", async () => {
    const file = await opened({ ...one, frameTime_ms: 0, clock: [2024, 2, 31, 9, 30, 15] });
    expect(file.start).toBeUndefined();
    expect(file.warnings).toEqual([
      "its time 2024-02-31 09:30:15 is on no calendar, so that of the file on disk counts",
      "its frames take 0 ms by the header, so their duration is NaN",
    ]);
  });
});

describe("files that are cut short or damaged", () => {
  const many = (kinds: readonly ("TP" | "PH")[]): MadeAsd => ({
    ...one,
    channels: kinds.map((kind) => ({ kind, frames: [levels, levels, levels] })),
  });
  const frameBytes = 32 + 12;

  test("one channel: what is there is given, and the rest said", async () => {
    const bytes = makeAsd(many(["TP"]));
    await using(place(bytes.subarray(0, bytes.length - 50)), async (file) => {
      expect(file.images!.frames).toBe(1);
      expect(file.lost).toEqual(["is cut short: it holds 1 of 3 frames; copy it again"]);
      expect((await file.images!.read(0, 0)).length).toBe(6);
    });
  });

  test("two channels: the second has only its first frames, or none", async () => {
    const bytes = makeAsd(many(["TP", "PH"]));
    await using(place(bytes.subarray(0, bytes.length - frameBytes - 1)), async (file) => {
      expect(file.lost).toEqual([
        "is cut short: it holds 3 of 3 frames of channel 1 and 1 of channel 2; copy it again",
      ]);
      expect(file.images).toMatchObject({ frames: 3 });
      expect((await file.images!.read(1, 0)).length).toBe(6);
      await expect(file.images!.read(1, 2)).rejects.toThrow(
        /frame 3 of channel PH lies at byte .* it is cut short/,
      );
    });
    await using(place(bytes.subarray(0, bytes.length - 4 * frameBytes)), async (file) => {
      expect(file.images!.channels.map(({ name }) => name)).toEqual(["TP"]);
      expect(file.images!.frames).toBe(2);
    });
  });

  const header = makeAsd(one);
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(header);
    bytes.writeInt32LE(value, at);
    return bytes;
  };
  test.each([
    ["of a newer version", changed(0, 3), /version 3; known are 0 to 2/],
    ["without a frame", makeAsd(one).subarray(0, 200), /do not hold one of them/],
    ["with no pixels", changed(48, 0), /frames of 0 × 2 pixels/],
    ["with absurd pixels", changed(48, 2 ** 30), /frames of 1073741824 × 2 pixels/],
    ["with a wrong length of its header", changed(4, 5000), /165 and a name of 8 and a comment of 6 are 179/],
    ["with an unknown converter", makeAsd({ ...one, rangeCode: 9 }), /code 0x9 and 12 bits; known are codes 0x1,/],
    ["with absurd bits", makeAsd({ ...one, bits: 40 }), /code 0x3 and 40 bits/],
    ["without a channel", changed(24, 0), /names no channel of the kinds TP, ER, PH/],
    ["of three bytes", header.subarray(0, 3), /its version lies at byte 0 and has 4 bytes, but the file ends at byte 3/],
  ])("%s", async (_, bytes, message) => {
    await expect(hsAfm.open(place(bytes), utc)).rejects.toThrow(message);
  }); // prettier-ignore
  test("of version 0 whose header has another length", async () => {
    const bytes = makeAsd({ ...one, version: 0 });
    bytes.writeInt32LE(200, 8);
    await expect(hsAfm.open(place(bytes), utc)).rejects.toThrow(/by its texts it has 134 or 149/);
  });

  test("looks only at what it knows", () => {
    expect(hsAfm.looks(new Uint8Array(10))).toBe(false);
    expect(hsAfm.looks(new Uint8Array(4096))).toBe(false);
    expect(hsAfm.looks(Buffer.from("PK\u0003\u0004".padEnd(200)))).toBe(false);
  });
});

test("any levels come back as they were written, to the float", () => {
  const level = fc.integer({ min: 0, max: 4095 });
  return fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(level, { minLength: 6, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      async (frames) => {
        await using(place(makeAsd({ ...one, channels: [{ kind: "TP", frames }] })), async ({ images }) => {
          for (const [i, frame] of frames.entries()) {
            const data = await images!.read(0, i);
            expect([...data]).toEqual(frame.map((x) => Math.fround(-9.99 * (x / 4096) * 2 * 12.5 * 1e-9)));
          }
        });
      },
    ),
    { seed: 4, numRuns: 25 },
  );
});

const shared = fileURLToPath(new URL("../../../../shared/data/afm/", import.meta.url));
describe.runIf(existsSync(shared))("a file of an instrument", () => {
  test("has the heights that another reader gave", async () => {
    const { files } = JSON.parse(readFileSync(join(shared, "expected_shared.json"), "utf8"));
    const name = "asd/asd_sample_0_first12frames.asd";
    const expected = files[name];
    await using(join(shared, name), async (file) => {
      expect(file.warnings).toEqual([]);
      expect(file.start!.ns).toBe(utc("2017-11-21T13:12:39"));
      const { images } = file;
      expect(images!.frames).toBe(expected.frames);
      expect(images!.sizeX_m / 200 / 1e-9).toBeCloseTo(expected.px_nm, 12);
      let [sum, least, most] = [0, Infinity, -Infinity];
      for (let i = 0; i < 12; i++) {
        const data = await images!.read(0, i);
        const nm = Array.from(data, (x) => x * 1e9);
        sum += nm.reduce((a, b) => a + b, 0) / nm.length / 12;
        least = Math.min(least, ...nm);
        most = Math.max(most, ...nm);
        const frame = i === 0 ? expected.frame0 : i === 11 ? expected.last_frame : undefined;
        if (!frame) continue;
        const near = (a: number, b: number) => expect(Math.abs(a / b - 1)).toBeLessThan(1e-6);
        near(Math.min(...nm), frame.min);
        near(Math.max(...nm), frame.max);
        frame.first3.forEach((x: number, j: number) => near(nm[j]!, x));
        near(nm[10 * 200 + 20]!, frame.at_row10_col20);
      }
      for (const [a, b] of [[sum, expected.all.mean], [least, expected.all.min], [most, expected.all.max]] as const)
        expect(Math.abs(a / b - 1)).toBeLessThan(1e-6);
      const { end } = await images!.frame(11);
      expect(end!.ns).toBe(utc("2017-11-21T13:12:51"));
    });
  }); // prettier-ignore
});
