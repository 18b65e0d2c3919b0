// A force microscope from its files to modulus, drift and grains, through the command as it is installed: what comes out,
// that a replay gives the same bytes, and what is said of files as they should not be.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { newFolder, operando } from "../helpers/installed-command.ts";
import { columnsOf, derivedFiles, rowCounts, rowsOf } from "../helpers/recorded-files.ts";
import { normal, random, scene } from "../operators/drift/scene.ts";
import { makeAsd } from "../sources/afm/make-asd.ts";
import { makeJpk, type MadeCurve, type MadeFile } from "../sources/afm/make-jpk.ts";

const EXAMPLES = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

const [LEVER_N_per_m, SENSITIVITY_m_per_V, RADIUS_m, MODULUS_Pa] = [40, 60e-9, 10e-9, 3e9];
const COLUMNS = 6, ROWS = 5, POINTS = 120; // prettier-ignore

/** Raw height that the file's two steps make a height in metres of. */
const rawHeight = (height_m: number): number => (height_m / 0.5 - 1e-4) / -1.5e-8;

/** Approach and retract on a surface of 3 GPa, peak 60 nN; pixel by pixel of a map of 1 µm. */
function curve(visit: number, seconds: number, uniform: () => number): MadeCurve {
  const reduced_Pa = MODULUS_Pa / (1 - 0.3 ** 2);
  const factor = (4 / 3) * reduced_Pa * Math.sqrt(RADIUS_m);
  const peak_N = 60e-9;
  const bottom_m = -((peak_N / factor) ** (2 / 3)) - peak_N / LEVER_N_per_m;
  const forceAt = (h: number): number => {
    let [low, high] = [0, Math.max(0, -h)];
    for (let k = 0; k < 60; k++) {
      const middle = (low + high) / 2;
      if (middle + (factor * middle ** 1.5) / LEVER_N_per_m > -h) high = middle;
      else low = middle;
    }
    return factor * low ** 1.5;
  };
  const approach = Array.from({ length: POINTS }, (_, i) => 10e-9 + ((bottom_m - 10e-9) * i) / (POINTS - 1));
  const leg = (heights: number[]) => ({
    height: heights.map(rawHeight),
    deflection: heights.map((h) => (forceAt(h) / LEVER_N_per_m + 20e-12 * normal(uniform)) / SENSITIVITY_m_per_V),
  });
  const at = (s: number): string => new Date(Date.UTC(2026, 2, 1, 12, 0, 0) + 1000 * s).toISOString().slice(11, 23);
  return {
    visit, x: (visit % COLUMNS) * 1e-7, y: Math.floor(visit / COLUMNS) * 1e-7,
    segments: [
      { style: "extend", ...leg(approach), ended: `2026-03-01 ${at(seconds - 0.5)} +0000`, duration: 0.5 },
      { style: "retract", ...leg(approach.toReversed()), ended: `2026-03-01 ${at(seconds)} +0000`, duration: 0.5 },
    ],
  };
} // prettier-ignore

const CALIBRATED = {
  spring: LEVER_N_per_m,
  sensitivity: SENSITIVITY_m_per_V,
  encoder: "double",
  shared: true,
} as const;
const GRID = { columns: COLUMNS, rows: ROWS, size: 6e-7 };
function map(first_s: number, more: Partial<MadeFile> = {}): Uint8Array {
  const uniform = random(first_s + 1);
  const curves = Array.from({ length: COLUMNS * ROWS }, (_, n) => curve(n, first_s + n + 1, uniform));
  return makeJpk({ ...CALIBRATED, kind: "force-scan-map", grid: GRID, curves, ...more });
}

const SIZE = 64;
/** Eight frames of a minute, whose surface drifts by (0.7, -0.4) px from one to the next. */
const SHIFTS = Array.from({ length: 8 }, (_, i) => ({ row: 0.7 * i, col: -0.4 * i }));
function frames(size = SIZE, minute = 0): Buffer {
  const show = scene(SIZE, 5);
  const levels = SHIFTS.map(({ row, col }) =>
    Array.from(show(size, size, row, col), (z) => Math.round(2048 - 120 * z)),
  );
  const channels = [{ kind: "TP" as const, frames: levels }];
  return makeAsd({
    columns: size,
    rows: size,
    channels,
    frameTime_ms: 60_000,
    clock: [2026, 3, 1, 12, minute, 0],
  });
}

const OPERATORS = `
operators:
  level: { use: image/level, from: scans.topography, with: { method: plane } }
  drift: { use: drift/images, from: level.levelled }
  scan: { use: drift/within-frame, from: scans.topography, with: { scan: up }, place: worker }
  roughness: { use: image/roughness, from: drift.aligned }
  grains: { use: image/grains, from: drift.aligned, with: { threshold: 20 nm } }
  baseline: { use: drift/baseline, from: afm.curves, record: false }
  modulus:
    use: mechanics/modulus
    from: baseline.curves
    with: { tip_radius: 10 nm, poisson_ratio: 0.3, spring_constant_error: 0.05, sensitivity_error: 0.03, tip_radius_error: 0.1 }
    place: workers
  placed: { use: drift/coordinates, from: { rows: modulus.modulus, drift: drift.drift } }
  maps: { use: mechanics/map, from: placed.corrected, with: { place: position } }
  rolling: { use: mechanics/rolling, from: placed.corrected, with: { window: 30 s, every: 10 s } }
`;

test("from files to modulus, drift and maps on the sample; a replay gives the same bytes", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "a.jpk-force-map"), map(130));
  writeFileSync(join(folder, "b.jpk-force-map"), map(440));
  writeFileSync(join(folder, "scan.asd"), frames());
  const sources = `
sources:
  afm: { use: afm/file, path: "*.jpk-force-map" }
  scans: { use: afm/file, path: scan.asd, timezone: UTC }
`;
  writeFileSync(join(folder, "pipeline.yaml"), sources + OPERATORS);
  const directory = join(folder, "run");
  const run = await operando("run", join(folder, "pipeline.yaml"), "--headless", "--out", directory);
  expect([run.code, run.err]).toEqual([0, ""]);

  const moduli = await rowsOf(directory, "modulus.modulus");
  expect(moduli).toHaveLength(2 * COLUMNS * ROWS);
  for (const { modulus, modulus_se, modulus_scale_se, valid } of moduli) {
    expect(valid).toBe(0);
    expect(Math.abs(modulus - MODULUS_Pa)).toBeLessThan(5 * modulus_se);
    expect(modulus_scale_se).toBeGreaterThan(0.05 * modulus);
  }
  const rolled = await rowsOf(directory, "rolling.rolling");
  expect(rolled.at(-1).median / MODULUS_Pa).toBeCloseTo(1, 2);

  const drift = await rowsOf(directory, "drift.drift");
  expect(drift).toHaveLength(SHIFTS.length);
  for (const [i, { row, col }] of SHIFTS.entries()) {
    expect(Math.abs(drift[i].shift_row - row), `frame ${i}`).toBeLessThan(0.1);
    expect(Math.abs(drift[i].shift_col - col), `frame ${i}`).toBeLessThan(0.1);
  }
  // 2 nm a pixel: after seven frames the tip touches what lay 9.8 nm further up.
  const placed = await rowsOf(directory, "placed.corrected");
  const { x, x_scanner, y, y_scanner } = placed.find(({ time }) => time > drift.at(-2).time);
  expect([(y - y_scanner) / 1e-9 > 4, (x - x_scanner) / 1e-9 < -2]).toEqual([true, true]);
  const maps = await columnsOf(directory, "maps.maps");
  expect(maps!.time).toHaveLength(2);
  expect((await rowsOf(directory, "scan.drift")).at(-1).velocity_row).toBeCloseTo(0.7, 1);

  const again = join(folder, "again");
  const replay = await operando("replay", directory, "--speed", "max", "--headless", "--out", again);
  expect([replay.code, replay.err]).toEqual([0, ""]);
  expect(await derivedFiles(again)).toEqual(await derivedFiles(directory));
});

test("files as they should not be: each is named, and the good ones come", async () => {
  const folder = newFolder();
  const bad = join(folder, "incoming");
  mkdirSync(bad);
  const uniform = random(9);
  const one = (seconds: number, change: (made: MadeCurve) => MadeCurve = (made) => made): MadeCurve =>
    change(curve(0, seconds, uniform));
  const single = (
    seconds: number,
    more: Partial<MadeFile> = {},
    change?: (made: MadeCurve) => MadeCurve,
  ): Uint8Array => makeJpk({ ...CALIBRATED, curves: [one(seconds, change)], ...more });
  const whole = map(0);
  const missing = Array.from({ length: COLUMNS * ROWS }, (_, n) =>
    n === 7 ? undefined : curve(n, 100 + n, uniform),
  );
  const files: Record<string, Uint8Array> = {
    "a-good": single(1),
    "b-cut": whole.subarray(0, Math.floor(whole.length * 0.6)),
    "c-missing": makeJpk({ ...CALIBRATED, kind: "force-scan-map", grid: GRID, curves: missing }),
    "d-no-length": single(200, {}, (made) => ({ ...made, segments: made.segments.map((s) => ({ ...s, deflection: [], height: [] })) })),
    "e-no-k": single(210, { spring: undefined }),
    "f-zero-k": single(220, { spring: 0 }),
    "g-nan": single(230, {}, (made) => ({ ...made, segments: made.segments.map((s) => ({ ...s, deflection: s.deflection.map((v, i) => (i % 9 === 4 ? NaN : v)) })) })),
    "h-all-nan": single(240, {}, (made) => ({ ...made, segments: made.segments.map((s) => ({ ...s, deflection: s.deflection.map(() => NaN) })) })),
    "i-text": Buffer.from("time,force\n1,2\n"),
    "j-empty": new Uint8Array(0),
    "k-good": single(250),
  }; // prettier-ignore
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(bad, `${name}.jpk-force`), bytes);
  writeFileSync(
    join(folder, "pipeline.yaml"),
    `
sources:
  afm: { use: afm/file, path: "incoming/*.jpk-force" }
operators:
  modulus: { use: mechanics/modulus, from: afm.curves, with: { tip_radius: 10 nm, poisson_ratio: 0.3 } }
`,
  );
  const directory = join(folder, "run");
  const run = await operando("run", join(folder, "pipeline.yaml"), "--headless", "--out", directory);
  expect(run.code, run.err).toBe(1);

  const faults = (await rowsOf(directory, "faults")).map(({ what }) => String(what));
  for (const said of [
    /b-cut\.jpk-force: is cut short or no ZIP archive/,
    /c-missing\.jpk-force: holds 29 of the 30 curves of its grid, so it gives no topography/,
    /d-no-length\.jpk-force: /,
    /e-no-k\.jpk-force: curve: spring_constant is not in the file, so force is NaN; give it as an option/,
    /f-zero-k\.jpk-force: curve: spring_constant is 0 in the file, so force is NaN/,
    /i-text\.jpk-force: is no AFM file that is known; it begins with 74 69 6d 65/,
    /j-empty\.jpk-force: is empty \(0 bytes\); copy it again/,
  ]) expect(faults.some((what) => said.test(what)), `${said} in\n${faults.join("\n")}`).toBe(true); // prettier-ignore

  // What is good came: two curves alone, 29 of the map, and the one with gaps, whose finite samples are fitted.
  const moduli = await rowsOf(directory, "modulus.modulus");
  const fitted = moduli.filter(({ valid }) => valid === 0);
  expect(fitted.length).toBeGreaterThanOrEqual(31);
  for (const { modulus } of fitted) expect(modulus / MODULUS_Pa).toBeCloseTo(1, 0);
  for (const { modulus, valid } of moduli) if (valid !== 0) expect(modulus).toBeNaN();
  expect(moduli.length - fitted.length).toBeGreaterThanOrEqual(3);
});

test("frames of another size begin anew, and the run goes on", async () => {
  const folder = newFolder();
  mkdirSync(join(folder, "scans"));
  writeFileSync(join(folder, "scans", "a.asd"), frames());
  writeFileSync(join(folder, "scans", "b.asd"), frames(48, 30));
  writeFileSync(
    join(folder, "pipeline.yaml"),
    `
sources:
  scans: { use: afm/file, path: "scans/*.asd", timezone: UTC }
operators:
  drift: { use: drift/images, from: scans.topography }
  roughness: { use: image/roughness, from: drift.aligned }
`,
  );
  const directory = join(folder, "run");
  const run = await operando("run", join(folder, "pipeline.yaml"), "--headless", "--out", directory);
  expect([run.code, run.err]).toEqual([0, ""]);
  const drift = await rowsOf(directory, "drift.drift");
  expect(drift).toHaveLength(16);
  expect([drift[0].shift_row, drift[8].shift_row]).toEqual([0, 0]);
  expect(Math.abs(drift[15].shift_row - 4.9)).toBeLessThan(0.15);
  expect(await rowCounts(directory)).toMatchObject({ "roughness.roughness": 16 });
});

test("the example runs: curves of a drifting microscope, put on the sample", async () => {
  const directory = join(newFolder(), "run");
  const run = await operando(
    "run", EXAMPLES("afm.yaml"), "--headless", "--speed", "max", "--out", directory,
    "--set", "cell.duration=12 min", "--set", "cell.topography_size=64",
  ); // prettier-ignore
  expect(run.code, run.err).toBe(0);
  const rows = await rowCounts(directory);
  for (const stream of ["modulus.modulus", "modulus.fits", "placed.corrected", "rolling.rolling", "maps.maps", "drift.drift", "drift.aligned", "scan.lines", "level.offsets", "roughness.roughness", "joined.joined"])
    expect([stream, (rows[stream] ?? 0) > 0]).toEqual([stream, true]);
  // The sample moves under the tip by the microscope's drift, as the truth has it.
  const [drift, truth] = [await rowsOf(directory, "drift.drift"), await rowsOf(directory, "truth.truth").then((t) => (t.length ? t : rowsOf(directory, "cell.truth")))];
  const first = drift.find(({ shift_x }) => !Number.isNaN(shift_x));
  const last = drift.findLast(({ shift_x }) => !Number.isNaN(shift_x));
  const at = (time: bigint) => truth.findLast((row) => row.time <= time)!;
  const half = 32_000_000_000n; // of a frame: the shift is that of its middle
  const moved = (axis: "x" | "y") => at(last.time - half)[`microscope_drift_${axis}`] - at(first.time - half)[`microscope_drift_${axis}`];
  expect(Math.abs((last.shift_x - first.shift_x) * 1e9 - moved("x"))).toBeLessThan(3);
  expect(Math.abs((last.shift_y - first.shift_y) * 1e9 - moved("y"))).toBeLessThan(3);
}); // prettier-ignore
