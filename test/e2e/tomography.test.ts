// Tomography from files to slices, through the command as it is installed: what comes out, that it comes out alike on any
// number of threads and again in a replay, and what is said of scans as they should not be.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readTiff } from "../cli/read-tiff.ts";
import { newFolder, operando, setting } from "../helpers/installed-command.ts";
import { columnsOf, derivedFiles, rowCounts, rowsOf } from "../helpers/recorded-files.ts";
import { tiff } from "../sources/tiff-files.ts";
import { startWriter } from "../sources/xray/growing-file.ts";
import { NXTOMO_GROUPS, writeHdf5 } from "../sources/xray/tomography-files.ts";

const EXAMPLES = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

const [ROWS, COLS, AXIS] = [4, 48, 24.25];
const [DARK, BEAM] = [100, 40_000];
/** A disk off the axis, with a hole, whose middle is 6 px from the axis; the hole grows from row to row. */
const DISK = { x: 3, y: -2, radius: 14, attenuation: 0.03 };
const hole = (row: number) => ({ x: 3, y: 4, radius: 3 + row / 2, attenuation: -0.03 });

function counts(row: number, angle_deg: number): number[] {
  const theta = (angle_deg * Math.PI) / 180;
  return Array.from({ length: COLS }, (_, column) => {
    let p = 0;
    for (const { x, y, radius, attenuation } of [DISK, hole(row)]) {
      const off = column - AXIS - x * Math.cos(theta) - y * Math.sin(theta);
      p += attenuation * 2 * Math.sqrt(Math.max(0, radius ** 2 - off ** 2));
    }
    return Math.round(DARK + BEAM * Math.exp(-p));
  });
}

interface Frame {
  readonly key: number;
  readonly angle: number;
  readonly counts: readonly number[];
}

const plain = (key: number, level: number): Frame => ({ key, angle: 0, counts: Array<number>(ROWS * COLS).fill(level) }); // prettier-ignore
const dark = plain(2, DARK);
const flat = plain(1, DARK + BEAM);
const view = (angle: number): Frame => ({
  key: 0, angle, counts: Array.from({ length: ROWS }, (_, row) => counts(row, angle)).flat(),
}); // prettier-ignore

/** Two half-turns in steps of 4 deg, between darks and flats. */
const ANGLES = Array.from({ length: 90 }, (_, i) => 4 * i);
const VIEWS = ANGLES.map(view);
const SCAN = [dark, flat, flat, ...VIEWS];

/** NXtomo, a frame a second from noon on; compressed in pieces of five frames. */
async function writeScan(path: string, frames: readonly Frame[], angles = true): Promise<string> {
  const n = frames.length;
  return writeHdf5(
    path,
    {
      "/scan1/tomo/definition": { values: "NXtomo" },
      "/scan1/tomo/start_time": { values: "2026-03-01T12:00:00+00:00" },
      "/scan1/tomo/hutch/camera/image_key": { values: Uint8Array.from(frames, ({ key }) => key) },
      "/scan1/tomo/hutch/camera/count_time": { values: Float64Array.of(1), attributes: { units: "s" } },
      ...(angles && {
        "/scan1/tomo/thing/rotation_angle": { values: Float64Array.from(frames, ({ angle }) => angle), attributes: { units: "deg" } },
      }),
      "/scan1/tomo/hutch/camera/data": {
        values: Uint16Array.from(frames.flatMap((frame) => frame.counts)), shape: [n, ROWS, COLS], chunks: [5, ROWS, COLS],
      },
    },
    { groups: NXTOMO_GROUPS },
  ); // prettier-ignore
}

/** Pixel of a slice at x to the right of the axis and y above it. */
const at = (images: Float32Array, n: number, x: number, y: number): number => {
  const middle = (COLS - 1) / 2;
  return images[n * COLS * COLS + Math.round(middle - y) * COLS + Math.round(middle + x)]!;
};

/** Three, so that two threads get unlike shares. */
const SLICES = [0, 1, 3];

test("a scan from its file to slices: the same on any number of threads and in a replay, and out as TIFF", async () => {
  const folder = newFolder();
  await writeScan(join(folder, "scan.nxs"), SCAN);
  const sliced = (threads: number, place: string): string => `
    use: tomography/incremental
    from: axis.projections
    with: { slices: [${SLICES.join()}], every: 15, filter: hann, threads: ${threads} }
    place: ${place}`;
  writeFileSync(join(folder, "pipeline.yaml"), `
sources:
  xrm: { use: xray/tomography, path: scan.nxs, record: reference }
operators:
  zingers: { use: tomography/zingers, from: xrm.frames }
  flat: { use: tomography/flat-field, from: zingers.frames }
  axis: { use: tomography/axis, from: flat.projections, with: { image_every: 0 } }
  one: ${sliced(1, "main")}
  two: ${sliced(2, "worker")}
  shards: ${sliced(1, "workers")}
  upright:
    use: tomography/incremental
    from: axis.projections
    with: { planes: { front: y=4, side: x=3 }, every: 45 }
  sinogram: { use: tomography/sinogram, from: axis.projections, with: { slices: [2], bins: 45 } }
  gas: { use: image/segment, from: shards.slices, with: { threshold: "0.015 1/{px}", within: "circle 26,19,7" } }
  regions: { use: image/region, from: shards.slices, with: { regions: ["hole = circle 26,19,2"] } }
`);
  const directory = join(folder, "run");
  const run = await operando("run", join(folder, "pipeline.yaml"), "--headless", "--out", directory);
  expect([run.code, run.err]).toEqual([0, ""]);
  const again = join(folder, "again");
  const [replay, exported] = await Promise.all([
    operando("replay", directory, "--speed", "max", "--headless", "--out", again),
    operando("export", directory, "--stream", "shards.slices", "--format", "tiff", "--volume", "--out", join(folder, "volume.tif")),
  ]);
  expect([replay.code, replay.err]).toEqual([0, ""]);
  expect(exported.code, exported.err).toBe(0);

  const derived = await derivedFiles(directory);
  expect(Object.keys(derived).length).toBeGreaterThan(30);
  expect(await derivedFiles(again)).toEqual(derived);
  const slices = (await columnsOf(directory, "one.slices"))!;
  expect(await columnsOf(directory, "two.slices")).toEqual(slices);
  expect(await columnsOf(directory, "shards.slices")).toEqual(slices);

  const pictures = SLICES.length * 7; // the first view, and each 15th of 90
  expect(await rowCounts(directory)).toMatchObject({
    "xrm.frames": SCAN.length, "zingers.frames": SCAN.length, "flat.projections": 90, "axis.projections": 90,
    "one.slices": pictures, "upright.front": 3, "upright.side": 3, "gas.porosity": pictures, "regions.regions": pictures,
    "sinogram.sinograms": 10, faults: 0,
  });
  const images = slices["data"] as Float32Array;
  const newest = pictures - SLICES.length;
  const porosity = await rowsOf(directory, "gas.porosity");
  SLICES.forEach((row, i) => {
    const n = newest + i;
    expect((slices["slice"] as Int32Array)[n]).toBe(row);
    expect(at(images, n, 3, -9) / DISK.attenuation).toBeCloseTo(1, 1);
    expect(Math.abs(at(images, n, 3, 4))).toBeLessThan(0.1 * DISK.attenuation);
    expect(Math.abs(at(images, n, -20, 0))).toBeLessThan(0.1 * DISK.attenuation);
    // Pixels of the hole: as many as it has, give or take half a pixel along its rim.
    const { radius } = hole(row);
    expect(Math.abs(porosity[n].area_px - Math.PI * radius ** 2)).toBeLessThan(Math.PI * radius);
  });
  const found = await rowsOf(directory, "axis.axis");
  expect(Math.abs(found.at(-1).axis - AXIS)).toBeLessThan(0.1);

  const { pages } = readTiff(readFileSync(join(folder, "volume.tif")));
  expect(pages.map(({ width, height }) => [width, height])).toEqual(Array(SLICES.length).fill([COLS, COLS]));
  expect(Float32Array.from(pages.flatMap(({ values }) => values))).toEqual(images.slice(newest * COLS * COLS));
}); // prettier-ignore

// Scans as they should not be. All of a run side by side, each with its own chain; nobody suffers from another's.

interface Bad {
  readonly frames?: readonly Frame[];
  readonly angles?: boolean;
  readonly options?: string;
  readonly slices?: string;
  /** What is said of it, by which node of its chain (in, flat, slices, gas); nothing else is. */
  readonly said: readonly (readonly [node: string, what: RegExp])[];
  /** Views that came out of `flat`, those of the last picture, and what else stands beside it. */
  readonly projections?: number;
  readonly state?: Readonly<Record<string, unknown>>;
  /** Whether the disk and its hole are in the last picture. */
  readonly seen?: boolean;
}

const chain = (name: string, { options = "", slices = "1" }: Bad, file = `${name}.nxs`) => ({
  source: `  ${name}_in: { use: xray/tomography, path: "${file}"${options} }\n`,
  operators: `  ${name}_flat: { use: tomography/flat-field, from: ${name}_in.frames }
  ${name}_slices: { use: tomography/incremental, from: ${name}_flat.projections, with: { axis: "${AXIS} {px}", slices: [${slices}], every: 90 } }
  ${name}_gas: { use: image/segment, from: ${name}_slices.slices, with: { threshold: "0.015 1/{px}" } }
`,
}); // prettier-ignore

async function runOf(cases: Readonly<Record<string, Bad>>, files: Readonly<Record<string, string>> = {}, folder = newFolder()) {
  const chains = await Promise.all(Object.entries(cases).map(async ([name, bad]) => {
    if (bad.frames) await writeScan(join(folder, `${name}.nxs`), bad.frames, bad.angles);
    return chain(name, bad, files[name]);
  }));
  const of = (part: "source" | "operators"): string => chains.map((made) => made[part]).join("");
  writeFileSync(join(folder, "bad.yaml"), `sources:\n${of("source")}operators:\n${of("operators")}`);
  const directory = join(folder, "run");
  const { code, err } = await operando("run", join(folder, "bad.yaml"), "--headless", "--out", directory);
  expect(err).not.toMatch(/\n +at /);
  return { code, err, directory, counts: await rowCounts(directory), faults: await rowsOf(directory, "faults") };
} // prettier-ignore

async function expectOutcome(name: string, bad: Bad, { directory, counts, faults }: Awaited<ReturnType<typeof runOf>>): Promise<void> {
  const order = ["in", "flat", "slices", "gas"];
  const own = faults.filter(({ node }) => node.startsWith(`${name}_`)).map(({ node, what }) => [node.slice(name.length + 1), what]);
  const said = own.filter(([node, what], i) => own.findIndex((other) => other[0] === node && other[1] === what) === i);
  said.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  expect(said, name).toEqual(bad.said.map(([node, what]) => [node, expect.stringMatching(what)]));
  if (bad.projections !== undefined) expect(counts[`${name}_flat.projections`] ?? 0, name).toBe(bad.projections);
  if (!bad.state && !bad.seen) return;
  const slices = (await columnsOf(directory, `${name}_slices.slices`))!;
  const last = slices.time.length - 1;
  const state = Object.fromEntries(Object.keys(bad.state ?? {}).map((column) => [column, (slices[column] as Float64Array)[last]]));
  expect(state, name).toEqual(bad.state ?? {});
  if (!bad.seen) return;
  const images = slices["data"] as Float32Array;
  expect(at(images, last, 3, -9) / DISK.attenuation, name).toBeCloseTo(1, 0.7);
  expect(Math.abs(at(images, last, 3, 4)), name).toBeLessThan(0.15 * DISK.attenuation);
} // prettier-ignore

/** The scan with some of its views changed. */
const changed = (change: (view: Frame, i: number) => Frame): Frame[] => [
  dark,
  flat,
  flat,
  ...VIEWS.map(change),
];
const all =
  (level: number) =>
  (frame: Frame): Frame => ({ ...frame, counts: frame.counts.map(() => level) });
const near = (value: number, by: number) => expect.closeTo(value, -Math.log10(2 * by));
/** Some order that is none, the same each time. */
const shuffled = VIEWS.map((_, i) => VIEWS[(i * 37) % 90]!);

const rows: Record<string, Bad> = {
  "no-angle": {
    frames: changed((view, i) => (i % 20 === 3 ? { ...view, angle: NaN } : view)),
    said: [["slices", /^projection without a rotation angle, left out; give the source its angles$/]],
    projections: 90, state: { left_out: 5, coverage: 180 }, seen: true,
  },
  twice: {
    frames: [dark, flat, flat, ...VIEWS.flatMap((view) => [view, view])],
    said: [], projections: 180, state: { left_out: 0, coverage: 180, largest_gap: near(4, 0.01) }, seen: true,
  },
  shuffled: {
    frames: [dark, flat, flat, ...shuffled],
    said: [], projections: 90, state: { left_out: 0, coverage: 180, largest_gap: near(4, 0.01) }, seen: true,
  },
  backwards: {
    frames: [dark, flat, flat, ...VIEWS.toReversed()],
    said: [], projections: 90, state: { left_out: 0, coverage: 180, largest_gap: near(4, 0.01) }, seen: true,
  },
  "dead-column": {
    frames: SCAN.map((frame) => ({ ...frame, counts: frame.counts.map((n, i) => (i % COLS === 30 ? DARK : n)) })),
    said: [["slices", /^row 1: 1 of 48 samples are dead or opaque .*interpolated from here on, and counted in the column filled$/]],
    projections: 90, state: { left_out: 0, filled: 45 }, seen: true,
  },
  saturated: {
    frames: changed((view, i) => (i === 50 ? all(65535)(view) : view)),
    said: [["flat", /^192 of 192 pixels of this projection are saturated; expose shorter, or set saturation\. It is left out/]],
    projections: 89, seen: true,
  },
  empty: {
    frames: changed((view, i) => (i === 50 || i === 51 ? all(DARK)(view) : view)),
    said: [
      ["flat", /^this projection transmits .* on average, nothing; look at shutter and beam\. It is left out, and so are those after it/],
      ["flat", /^2 projections before this one were left out: no beam$/],
    ],
    projections: 88, seen: true,
  },
  zero: {
    frames: changed((view, i) => (i === 50 ? all(0)(view) : view)),
    said: [["flat", /^this projection transmits .* on average, nothing; look at shutter and beam/]],
    projections: 89, seen: true,
  },
  "no-flats": {
    frames: [dark, ...VIEWS],
    said: [
      ["in", /no flat field/],
      ["flat", /^projection came before its flat field; record one before the scan starts/],
    ],
    projections: 0,
  },
  "zero-flats": {
    frames: [dark, all(0)(flat), all(0)(flat), ...VIEWS],
    said: [
      ["flat", /^this flat is empty, all counts are 0; it is left out, look at the shutter$/],
      ["flat", /^projection came before its flat field; record one before the scan starts/],
    ],
    projections: 0,
  },
  "dark-flats": {
    frames: [dark, all(DARK)(flat), ...VIEWS],
    said: [
      ["flat", /^flats and darks are not used: flat less dark is under min_signal = 1 in 192 of 192 pixels; .* Record them again$/],
      ["flat", /^projection came before its flat and dark field; record one before the scan starts/],
    ],
    projections: 0,
  },
  "never-full": {
    frames: [dark, flat, ...Array.from({ length: 120 }, (_, i) => view((i % 15) * 4))],
    said: [["gas", /^slices are made from \d+\.\d deg of angles, which does not grow, and are not segmented below 150 deg/]],
    projections: 120, state: { left_out: 0, coverage: near(60, 5), largest_gap: near(124, 0.01) },
  },
}; // prettier-ignore

test("scans with bad rows: said once, left out or given no weight, and the rest of the scan stands", async () => {
  const run = await runOf(rows);
  for (const [name, bad] of Object.entries(rows)) await expectOutcome(name, bad, run);
  expect(run.code, run.err).toBe(0);
});

const refused: Record<string, Bad> = {
  "no-list": {
    frames: SCAN, angles: false,
    said: [
      ["in", /no-list\.nxs: has no \/scan1\/tomo\/thing\/rotation_angle; set angle_range, such as "180 deg", .* or without_angles/],
      // Those behind it have nothing either; once is enough.
      ["flat", /ended without anything in it; no-list_flat has nothing to work on$/],
    ],
  },
  fan: {
    frames: SCAN, options: ", geometry: fan, source_distance: 50 mm, detector_distance: 50 mm, pixel_size: 50 um",
    said: [
      ["slices", /window: a half-turn shows all only in a parallel beam; set window: 360 deg for this fan beam$/],
    ],
    projections: 90,
  },
  beside: {
    frames: SCAN, slices: "1, 9",
    said: [["slices", /slices: 9 is not a row of the detector; wanted 0 to 3, as 512 or z=512$/]],
    projections: 90,
  },
  sizes: {
    options: ", angle_step: 4 deg, darks: darks.tif, flats: flats.tif, rate: 1 Hz",
    said: [["in", /p_20\.tif: page 1: is 4 × 24 \(u16\), the frames before it are 4 × 48 \(u16\); it is left out$/]],
    projections: 44, state: { views: 44, coverage: 180 }, seen: true,
  },
}; // prettier-ignore

test("scans that are not whole, or cannot be right: refused with what to record or to set, or as far as they go; exit code 1", async () => {
  const folder = newFolder();
  mkdirSync(join(folder, "images"));
  const image = (frame: Frame, cols = COLS) => tiff([{ rows: ROWS, cols, values: frame.counts.slice(0, ROWS * cols) }]);
  VIEWS.slice(0, 45).forEach((view, i) => writeFileSync(join(folder, "images", `p_${i}.tif`), image(view, i === 20 ? COLS / 2 : COLS)));
  writeFileSync(join(folder, "darks.tif"), image(dark));
  writeFileSync(join(folder, "flats.tif"), image(flat));
  const run = await runOf(refused, { sizes: "images" }, folder);
  for (const [name, bad] of Object.entries(refused)) await expectOutcome(name, bad, run);
  expect(run.code, run.err).toBe(1);
  expect(run.err).toMatch(/^fan_slices: window: a half-turn/m); // at the end once more: why the run failed
}); // prettier-ignore

test("of a file that ends within a chunk, the frames before are used, the others are faults, and the run ends as failed", async () => {
  const folder = newFolder();
  const whole = await dataExchange(join(folder, "whole.h5"));
  writeFileSync(join(folder, "cut.h5"), whole.subarray(0, whole.length - 1400));
  const { code, directory, counts, faults } = await runOf({ cut: { options: ", rate: 1 Hz", said: [] } }, { cut: "cut.h5" }, folder);
  expect(code).toBe(1);
  const [cut, ...unread] = faults.filter(({ node }) => node === "cut_in").map(({ what }) => what as string);
  expect(cut).toMatch(/^cut\.h5: is cut short \(\d+ bytes by its own account\); what of it is whole is read$/);
  expect(unread.length).toBeGreaterThan(5);
  const first = VIEWS.length - unread.length;
  unread.forEach((what, i) => expect(what).toMatch(new RegExp(`frame ${first + i} of /exchange/data cannot be read: file read failed\\. The file is cut short at byte \\d+`)));
  expect(counts).toMatchObject({ "cut_in.frames": 2 + first, "cut_flat.projections": first });
  const { left_out, views, coverage } = (await rowsOf(directory, "cut_slices.slices")).at(-1);
  expect({ left_out, views, coverage }).toEqual({ left_out: 0, views: 45, coverage: 180 });
}); // prettier-ignore

/** Data Exchange, as a detector's program writes it: a chunk for each frame, on the disk as soon as it is taken. */
async function dataExchange(path: string): Promise<Uint8Array> {
  const writer = await startWriter();
  try {
    await writer.create(path);
    const sets = { data_dark: [dark], data_white: [flat], data: VIEWS };
    await writer.dataset("/exchange/theta", "<d", [0]);
    await writer.write("/exchange/theta", 0, ANGLES);
    for (const [name, frames] of Object.entries(sets)) {
      await writer.dataset(`/exchange/${name}`, "<H", [frames.length, ROWS, COLS], { fixed: true });
      await writer.flush();
      for (const [i, frame] of frames.entries()) {
        await writer.write(`/exchange/${name}`, i, [...frame.counts]);
        if (i % 10 === 0) await writer.flush();
      }
    }
    await writer.flush();
    await writer.close();
  } finally {
    await writer.end();
  }
  return readFileSync(path);
}

test("examples/tomography.yaml gives the simulated cell as it is, and examples/tomography-file.yaml a scan in a file", async () => {
  const folder = newFolder();
  const [cell, file] = [join(folder, "cell"), join(folder, "file")];
  const scan = await writeScan(join(folder, "scan.nxs"), SCAN);
  const runs = await Promise.all([
    operando("run", EXAMPLES("tomography.yaml"), "--headless", "--out", cell, ...setting({ "cell.duration": "4 min" })),
    operando("run", EXAMPLES("tomography-file.yaml"), "--headless", "--out", file, ...setting({ "xrm.path": scan })),
  ]);
  for (const { code, err } of runs) expect([code, err]).toEqual([0, ""]);

  // Two frames a second, six darks and flats each; a picture of the first view, each 20th and the last.
  const views = 2 * 240 - 12;
  const pictures = 1 + Math.ceil(views / 20);
  const counts = await rowCounts(cell);
  expect(Object.keys(counts).filter((stream) => /^(zingers|flat)\./.test(stream))).toEqual([]); // record: false
  expect(counts).toMatchObject({
    "cell.frames": views + 12, "axis.projections": views,
    "change.onset": views, "change.map": Math.floor(views / 20), "slices.slices": pictures, "slices.front": pictures,
    "slices.side": pictures, "sinogram.sinograms": pictures, "error.error": pictures, "gas.porosity": pictures, "regions.regions": 3 * pictures,
    alarms: 0, faults: 0,
  });
  const regions = (await rowsOf(cell, "regions.regions")).slice(-3);
  expect(regions.map(({ name }) => name)).toEqual(["electrolyte", "anode", "cathode"]);
  // As the phantom has them, beside the particles in the cathode.
  expect(regions[0].mean).toBeCloseTo(0.0017, 4);
  expect(regions[1].mean).toBeCloseTo(0.0032, 4);
  expect(regions[2].mean).toBeGreaterThan(0.0077);
  // The noise of photons is that of the pixels: electrolyte has no structure of its own.
  expect(regions[0].se_of).toBe(0);
  expect((regions[0].mean_se * Math.sqrt(regions[0].pixels)) / regions[0].sd).toBeCloseTo(1, 0.5);
  const { stage_drift } = (await rowsOf(cell, "cell.truth")).at(-1);
  const { axis } = (await rowsOf(cell, "axis.axis")).at(-1);
  expect(axis).toBeCloseTo(64.25 + stage_drift, 0.7);
  expect((await rowsOf(cell, "change.onset")).at(-1)).toMatchObject({ view: 0, level: 0 });
  expect((await rowsOf(cell, "gas.porosity")).at(-1).fraction).toBeLessThan(0.01);

  expect(await rowCounts(file)).toMatchObject({ "xrm.frames": SCAN.length, "stripes.projections": 90, "slices.slices": 6, "pores.porosity": 6 });
  expect((await rowsOf(file, "pores.porosity")).at(-1).fraction).toBeGreaterThan(0);
}); // prettier-ignore
