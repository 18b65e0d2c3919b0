/**
 * Force curves fitted and images registered: rates through the operators, as a run would have them, and the memory that
 * it takes to read a map of 65,536 curves. Baseline of the fit: a bare scan of 64 contact points with two Gauss-Newton
 * steps, which is what one would write first; it has no errors, and it misses minima.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeComparison } from "../operators/drift/compare.ts";
import { level, levelledRoom } from "../operators/drift/level.ts";
import { driftImages, modulus, withinFrame } from "../operators/index.ts";
import { code, image, scalar, threadUrl, type AnyOperator, type Fields } from "../runtime/index.ts";
import { readConfig } from "../runtime/config.ts";
import { startOperator } from "../runtime/instance.ts";
import { writeJpkMap } from "./jpk-map.ts";
import { measured, type Measured } from "./measure.ts";

const SECOND = 1_000_000_000n;
const LEVER_N_per_m = 40, RADIUS_m = 8e-9, PEAK_N = 60e-9, NOISE_m = 50e-12; // prettier-ignore

/** Mulberry32, and two of it as one normal number. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const normal = (uniform: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());

/** Approach curves on an SEI-like surface, 0.3 to 30 GPa, deflection noise 50 pm, contact at different depths. */
function syntheticCurves(count: number, points: number) {
  const uniform = random(count + points);
  const height = new Float64Array(count * points);
  const force = new Float64Array(count * points);
  for (let n = 0; n < count; n++) {
    const reduced_Pa = (0.3e9 * 100 ** uniform()) / (1 - 0.3 ** 2);
    const factor = (4 / 3) * reduced_Pa * Math.sqrt(RADIUS_m);
    const deepest_m = (PEAK_N / factor) ** (2 / 3);
    const bottom_m = -deepest_m - PEAK_N / LEVER_N_per_m;
    const top_m = -bottom_m * (0.6 + 2 * uniform());
    for (let i = 0; i < points; i++) {
      const h = top_m + ((bottom_m - top_m) * i) / (points - 1);
      let [low, high] = [0, Math.max(0, -h)];
      for (let k = 0; k < 40; k++) {
        const middle = (low + high) / 2;
        if (middle + (factor * middle ** 1.5) / LEVER_N_per_m > -h) high = middle;
        else low = middle;
      }
      height[n * points + i] = h;
      force[n * points + i] = factor * low ** 1.5 + LEVER_N_per_m * NOISE_m * normal(uniform);
    }
  }
  const offsets = Int32Array.from({ length: count + 1 }, (_, i) => i * points);
  const fill = (value: number): Float64Array => new Float64Array(count).fill(value);
  return {
    time: BigInt64Array.from({ length: count }, (_, i) => BigInt(i) * 125_000n),
    height: { values: height, offsets },
    force: { values: force, offsets },
    segment: { values: new Uint8Array(count * points), offsets },
    index: Int32Array.from({ length: count }, (_, i) => i),
    x: fill(0), y: fill(0), spring_constant: fill(LEVER_N_per_m), deflection_sensitivity: fill(60e-9),
  }; // prettier-ignore
}

function start(operator: AnyOperator, port: string, fields: Fields, given: Record<string, unknown>) {
  const { config, problems } = readConfig(operator.config, given);
  if (problems.length > 0) throw new TypeError(problems.map(({ message }) => message).join("\n"));
  return startOperator(operator, config, { [port]: { fields, metadata: {} } }, 0n);
}

/** What one would write first: 64 contact points, evenly spread, the best of them bettered twice. */
function bareScan(tip_m: Float64Array, force_N: Float64Array): number {
  const n = tip_m.length;
  let [best, at] = [Infinity, 0];
  let modulus = 0;
  const look = (c: number): number => {
    let [s, ss, sf, f, ff] = [0, 0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const F = force_N[i]!;
      f += F;
      ff += F * F;
      const d = c - tip_m[i]!;
      if (d <= 0) continue;
      const g = d * Math.sqrt(d);
      s += g;
      ss += g * g;
      sf += g * F;
    }
    const [spread, along] = [ss - (s * s) / n, sf - (s * f) / n];
    modulus = along / spread;
    return ff - (f * f) / n - (along * along) / spread;
  };
  const [top, bottom] = [tip_m[0]!, tip_m[n - 1]!];
  for (let k = 1; k < 64; k++) {
    const c = bottom + ((top - bottom) * k) / 64;
    const left = look(c);
    if (left < best) [best, at] = [left, c];
  }
  for (let step = (top - bottom) / 128, k = 0; k < 2; k++, step /= 4) {
    for (const c of [at - step, at + step]) {
      const left = look(c);
      if (left < best) [best, at] = [left, c];
    }
  }
  look(at);
  return modulus;
}

function fitRate(points: number, aim: number): Measured {
  const COUNT = 2000;
  const curves = syntheticCurves(COUNT, points);
  const fields = { ...modulus.input.curves } as Fields;
  const running = start(modulus as AnyOperator, "curves", fields, {
    model: "hertz-paraboloid", tip_radius: `${RADIUS_m * 1e9} nm`, poisson_ratio: 0.3,
    spring_constant_error: 0.05, sensitivity_error: 0.03, tip_radius_error: 0.1,
  }); // prettier-ignore
  let passed = 0n;
  const fit = (): number => {
    const before = performance.now();
    const time = curves.time.map((t) => t + passed);
    running.step({ curves: { ...curves, time } }, passed + SECOND);
    passed += SECOND;
    return (COUNT * 1000) / (performance.now() - before);
  };
  const { height, force } = curves;
  const tip = height.values.map((h, i) => h + force.values[i]! / LEVER_N_per_m);
  const bare = (): number => {
    const before = performance.now();
    for (let n = 0; n < COUNT; n++)
      bareScan(
        tip.subarray(n * points, (n + 1) * points),
        force.values.subarray(n * points, (n + 1) * points),
      );
    return (COUNT * 1000) / (performance.now() - before);
  };
  fit();
  bare();
  const values = Array.from({ length: 9 }, () => [fit(), bare()] as const);
  return measured(
    `modulus of curves of ${points} points, 0.3 to 30 GPa, all errors, through the operator`,
    "curves/s of one worker",
    values.map(([x]) => x),
    { baseline: values.map(([, x]) => x), aim },
  );
}

/** A surface of waves and grains seen at a shift, with noise, tilt and line offsets; `grown` adds bumps to it. */
function surface(size: number, seed: number) {
  const uniform = random(seed);
  const waves = Array.from({ length: 60 }, () => {
    const length = 6 * 20 ** uniform();
    const direction = 2 * Math.PI * uniform();
    return { size: (length / 120) ** 1.2, kx: (2 * Math.PI * Math.cos(direction)) / length, ky: (2 * Math.PI * Math.sin(direction)) / length, phase: 2 * Math.PI * uniform() };
  });
  return (row: (k: number) => number, col: (k: number) => number, noise: number): Float32Array => {
    const frame = new Float32Array(size * size);
    for (let k = 0; k < size; k++) {
      const [y, x] = [k + row(k), col(k)];
      for (const { size: a, kx, ky, phase } of waves) {
        const [cos, sin] = [Math.cos(kx), Math.sin(kx)];
        let c = a * Math.cos(kx * x + ky * y + phase);
        let s = a * Math.sin(kx * x + ky * y + phase);
        for (let i = 0; i < size; i++) {
          frame[k * size + i]! += c;
          [c, s] = [c * cos - s * sin, s * cos + c * sin];
        }
      }
      const offset = normal(uniform);
      for (let i = 0; i < size; i++) frame[k * size + i]! += noise * normal(uniform) + offset + (3 * k + 2 * i) / size;
    }
    return frame;
  };
} // prettier-ignore

const imageFields = (size: number): Fields => ({
  data: image("m", { shape: [size, size] }),
  slow_scan: code(),
  duration: scalar("s"),
});

/** A frame compared with one that is ready; and a frame through the operator: two comparisons, the reference renewed, the frame resampled. */
function registration(size: number, pairAim: number): Measured[] {
  const see = surface(size, size);
  const uniform = random(9);
  const frames = Array.from({ length: 12 }, () => {
    const [row, col] = [8 * uniform() - 4, 8 * uniform() - 4];
    return see(() => row, () => col, 0.15); // prettier-ignore
  });
  const running = start(driftImages as AnyOperator, "images", imageFields(size), {});
  let k = 0;
  const one = (): number => {
    const time = BigInt64Array.of(BigInt(k) * SECOND);
    const data = frames[k % frames.length]!;
    const before = performance.now();
    running.step({ images: { time, data, slow_scan: Int32Array.of(0), duration: Float64Array.of(1) } }, time[0]! + 1n);
    k++;
    return performance.now() - before;
  };
  const { picture, giveBack, compare } = makeComparison(size, size, { lineOffsets: true, turning: false, minOverlap: 0.25 });
  const room = levelledRoom(size, size);
  const reference = picture(level(frames[0]!, size, size, "means"));
  const pair = (): number => {
    const before = performance.now();
    const frame = picture(level(frames[(k++ % 11) + 1]!, size, size, "means", room));
    const found = compare(reference, frame, { row: 0, col: 0, angle: 0 });
    giveBack(frame);
    if (typeof found === "string") throw new Error(`a pair of the bench was not placed: ${found}`);
    return performance.now() - before;
  };
  for (let n = 0; n < 12; n++) pair();
  const pairs = Array.from({ length: 24 }, pair);
  k = 0;
  for (let n = 0; n < 12; n++) one();
  return [
    measured(`frame of ${size} × ${size} levelled and compared with another`, "ms", pairs, { aim: pairAim }),
    measured(`frame of ${size} × ${size} through drift/images: compared twice, aligned, given out`, "ms", Array.from({ length: 24 }, one)),
  ];
} // prettier-ignore

function scanned(size: number): Measured {
  const see = surface(size, 3);
  const frames = [0, 1].map((down) => {
    const t = (k: number): number => down + (down ? size - 1 - k : k) / size;
    return see((k) => 2 * t(k), (k) => -t(k), 0.15); // prettier-ignore
  });
  const running = start(withinFrame as AnyOperator, "images", imageFields(size), {});
  let k = 0;
  const one = (): number => {
    const time = BigInt64Array.of(BigInt(k + 1) * SECOND);
    const row = { time, data: frames[k % 2]!, slow_scan: Int32Array.of(k % 2), duration: Float64Array.of(1) };
    const before = performance.now();
    running.step({ images: row }, time[0]! + 1n);
    k++;
    return performance.now() - before;
  };
  one();
  one();
  return measured(
    `drift within a frame of ${size} × ${size}, line by line`,
    "ms",
    Array.from({ length: 7 }, one),
  );
}

/** A process of its own reads the map through afm/file and keeps nothing: what it takes beyond what it began with. */
const READER = `
  import { statSync } from "node:fs";
  const [, sources, config, path] = process.argv;
  const { afmFile } = await import(sources);
  const { readConfig } = await import(config);
  const context = { signal: new AbortController().signal, now: () => 0n, timezone: "UTC", timezoneAssumed: false, directory: "/" };
  const open = (path) => afmFile.open(readConfig(afmFile.config, { path }).config, context);
  const before = process.memoryUsage.rss();
  let most = before, curves = 0;
  const from = performance.now();
  for await (const { rows } of open(path)) {
    if (rows?.curves) curves++;
    if (curves % 500 === 0) most = Math.max(most, process.memoryUsage.rss());
  }
  console.log(JSON.stringify({ MB: (most - before) / 1e6, curves, per_s: (1000 * curves) / (performance.now() - from), file_MB: statSync(path).size / 1e6 }));
`;

function wholeMap(): Measured[] {
  const folder = mkdtempSync(join(tmpdir(), "operando-bench-"));
  try {
    const path = join(folder, "map.jpk-qi-data");
    writeJpkMap(path, 256, 256, 128);
    const urls = ["sources/index.js", "runtime/config.js"].map((compiled) => threadUrl(import.meta.url, compiled).href);
    const ran = Array.from({ length: 2 }, () => {
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", READER, ...urls, path], { encoding: "utf8" });
      if (stdout === "") throw new Error(`the reader of the bench ended without a word: ${stderr}`);
      return JSON.parse(stdout) as { MB: number; curves: number; per_s: number; file_MB: number };
    });
    const { curves, file_MB } = ran[0]!;
    const name = `a map of ${curves} curves read through afm/file (${file_MB.toFixed(0)} MB)`;
    return [
      measured(`${name}, memory above start`, "MB", ran.map(({ MB }) => MB), { aim: 200 }),
      measured(name, "curves/s", ran.map(({ per_s }) => per_s)),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
} // prettier-ignore

export const benchAfm = (): Measured[] => [
  fitRate(128, 25_000),
  fitRate(256, 12_000),
  ...registration(256, 10),
  ...registration(512, 40),
  scanned(256),
  ...wholeMap(),
];
