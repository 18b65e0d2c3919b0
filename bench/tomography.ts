/**
 * Slices brought up to date view by view: back-projection and ramp filter alone, a rebuild of the whole slice, and the
 * operator from projection in to slice changed. Baseline: the plain TypeScript of the same, in the same process; beside
 * it a plain loop in C, and what it takes to make the slice anew from all its views.
 */
import { incremental } from "../operators/tomography/incremental.ts";
import { horizontal } from "../operators/tomography/planes.ts";
import {
  KERNELS,
  type KernelOptions,
  type Line,
  type SliceKernel,
} from "../operators/tomography/slice-kernel.ts";
import { tiledKernel } from "../operators/tomography/tiled-kernel.ts";
import { image } from "../runtime/index.ts";
import { readConfig } from "../runtime/config.ts";
import { startOperator } from "../runtime/instance.ts";
import { plainC_ms } from "./c-loop.ts";
import { measured, median, type Measured } from "./measure.ts";

type Kind = keyof typeof KERNELS;
const NODE_20 = process.version.startsWith("v20.");
const SECOND = 1_000_000_000n;
/** How long a rate is watched; 60 for what the aims say. */
const WATCHED_s = Number(process.env["OPERANDO_BENCH_SECONDS"] ?? 5);

const optionsOf = (cols: number, rows = 1): KernelOptions => ({
  planes: [horizontal(0, cols)],
  detectorRows: Array.from({ length: rows }, (_, row) => row),
  cols, window: "shepp-logan", padding: "zero", images: 1, middleRow: 0, fan: undefined,
}); // prettier-ignore

/** A row of no meaning, but with all frequencies. */
const rowOf = (cols: number): Float32Array =>
  Float32Array.from({ length: cols }, (_, i) => Math.sin(i * 0.05) + ((i * 7919) % 97) / 97);

/** A kernel with that row in slot 0, and lines to it evenly over a half-turn. */
function ready(kernel: SliceKernel, cols: number, views: number): Line[] {
  kernel.put(0, rowOf(cols));
  return Array.from({ length: views }, (_, k) => ({
    theta_rad: ((k + 0.5) * Math.PI) / views, axis: (cols - 1) / 2, shift_y: 0, scale: 1,
    terms: [{ slot: 0, weight: 1, mirrored: false }],
  })); // prettier-ignore
}

/** Milliseconds of processor time that one of `runs` took. */
function cpu_ms(runs: number, work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e3 / runs;
}
function wall_ms(runs: number, work: () => void): number {
  const before = performance.now();
  work();
  return (performance.now() - before) / runs;
}

/** Both in turn, so that what else the machine does falls on both. */
function compare(
  name: string,
  unit: string,
  repeats: number,
  [one, other]: readonly [() => number, (() => number) | undefined],
  rest: { aim?: number; beside?: Record<string, number | undefined> } = {},
): Measured {
  one();
  other?.();
  const values = Array.from({ length: repeats }, () => [one(), other?.()] as const);
  const known = Object.entries(rest.beside ?? {}).filter(([, value]) => value !== undefined);
  return measured(name, unit, values.map(([x]) => x), {
    baseline: other && values.map(([, x]) => x!), aim: rest.aim, beside: Object.fromEntries(known) as Record<string, number>,
  }); // prettier-ignore
}

interface Setup {
  rows?: number;
  every?: number;
  slices?: number[];
  planes?: Record<string, string>;
  detector?: number;
  threads?: number;
}

/** The operator on `turn` views a half-turn, past its first turn, `rows` in a step: gives the ms that each step took. */
function operator(kernel: Kind, cols: number, turn: number, { rows = 16, every = 1_000_000, slices = [0], planes = {}, detector = 1, threads = 1 }: Setup = {}) {
  const { config } = readConfig(incremental.config, { kernel, every, slices, planes, threads });
  const field = { ...incremental.input.projections, data: image("1", { shape: [detector, cols] }) };
  const fields = { data: field.data, rotation_angle: field.rotation_angle };
  const running = startOperator(incremental, config, { projections: { fields, metadata: {} } }, 0n);
  const frames = Float32Array.from({ length: rows * detector * cols }, (_, i) => Math.exp(-1 - 0.5 * Math.sin(i * 0.05)));
  let count = 0;
  const step = (): number => {
    const time = BigInt64Array.from({ length: rows }, (_, i) => BigInt(count + i) * SECOND);
    const rotation_angle = Float64Array.from({ length: rows }, (_, i) => ((count + i) * 180) / turn);
    count += rows;
    const before = performance.now();
    running.step({ projections: { time, data: frames, rotation_angle } }, BigInt(count) * SECOND);
    return performance.now() - before;
  };
  const steps = (wanted: number): number[] => Array.from({ length: Math.ceil(wanted / rows) }, step);
  steps(turn + 2 * rows); // from here on every view has a predecessor of its angle
  /** Threads have done what they were given when a picture is given out. */
  const end = (): void => void running.step({}, 2n ** 63n - 1n);
  return { steps, end };
} // prettier-ignore

/** Views a second that go in, watched for some seconds; none is left out. */
function watched(cols: number, turn: number, setup: Setup): Measured["value"][] {
  const rates: number[] = [];
  const { steps, end } = operator("wasm", cols, turn, setup);
  const rows = setup.rows ?? 16;
  for (const from = performance.now(); performance.now() - from < WATCHED_s * 1000;) {
    const before = performance.now();
    let views = 0;
    while (performance.now() - before < 1000) {
      steps(rows);
      views += rows;
    }
    rates.push((1000 * views) / (performance.now() - before));
  }
  end();
  return rates;
}

export function benchTomography(): Measured[] {
  const results: Measured[] = [];
  const aim_ms = (size: 512 | 1024, threads: 1 | 2): number =>
    NODE_20 ? { 512: [0.27, 0.16], 1024: [0.95, 0.5] }[size][threads - 1]! : { 512: [0.17, 0.1], 1024: [0.65, 0.35] }[size][threads - 1]!; // prettier-ignore

  for (const cols of [512, 1024] as const) {
    const of = (kind: Kind) => {
      const kernel = KERNELS[kind](optionsOf(cols));
      const lines = ready(kernel, cols, 48);
      return () =>
        cpu_ms(48, () => {
          for (const line of lines) {
            kernel.add(0, [line]);
            kernel.settle();
          }
        });
    };
    results.push(compare(`one filtered row into a slice of ${cols} × ${cols}`, "ms of one core", 7, [of("wasm"), of("typescript")], { beside: { "plain C loop": plainC_ms(cols) } })); // prettier-ignore
  }

  const ramp = (kind: Kind) => {
    const kernel = KERNELS[kind](optionsOf(1024, 8));
    const p = Float32Array.from({ length: 8 * 1024 }, (_, i) => Math.sin(i * 0.01));
    return () => 1000 / cpu_ms(800, () => { for (let n = 0; n < 100; n++) kernel.filter([p], [0]); }); // prettier-ignore
  };
  results.push(compare("ramp filter, rows of 1024, padded to 2048", "rows/s of one core", 7, [ramp("wasm"), ramp("typescript")], { aim: 80_000 })); // prettier-ignore

  const rebuild = (kernel: SliceKernel) => {
    const lines = ready(kernel, 1024, 720);
    const p = Array.from({ length: kernel.viewsAtOnce }, () => rowOf(1024));
    return () =>
      wall_ms(1, () => {
        for (let n = 0; n < 720; n += p.length) kernel.filter(p, p.map((_, k) => k)); // prettier-ignore
        kernel.add(0, lines);
        kernel.settle();
      }) / 1000;
  };
  const rebuilds = [1, 2].map((threads) => {
    const kernel = threads === 1 ? KERNELS.wasm(optionsOf(1024)) : tiledKernel(optionsOf(1024), threads);
    const plain = threads === 1 ? rebuild(KERNELS.typescript(optionsOf(1024))) : undefined;
    const name = `rebuild of a slice of 1024 × 1024 from 720 rows, filter included, ${threads} thread${threads > 1 ? "s" : ""}`; // prettier-ignore
    const made = compare(name, "s", 3, [rebuild(kernel), plain], { aim: threads === 1 ? 0.7 : 0.4, beside: { "plain C loop, without filter": scaledBy(plainC_ms(1024), 0.72) } }); // prettier-ignore
    kernel.close();
    return made;
  });
  results.push(...rebuilds);
  const recompute_ms = median(rebuilds.map(({ value }) => value)) * 1000;

  for (const [cols, turn] of [[1024, 720], [512, 90], [512, 360], [512, 1440]] as const) {
    const of = (kind: Kind, threads: number) => {
      const { steps } = operator(kind, cols, turn, { threads, every: 64 });
      return () => wall_ms(64, () => void steps(64));
    };
    const full_ms = ((recompute_ms * turn) / 720) * (cols / 1024) ** 2;
    for (const threads of [1, 2] as const) {
      const name = `projection to slice of ${cols} × ${cols}, ${turn} views held, ${threads} thread${threads > 1 ? "s" : ""}`;
      const plain = threads === 1 ? of("typescript", 1) : undefined;
      results.push(compare(name, "ms a view", 7, [of("wasm", threads), plain], {
        ...(turn !== 90 && turn !== 1440 && { aim: aim_ms(cols, threads) }),
        beside: { "plain C loop": plainC_ms(cols), "full recompute": full_ms },
      }));
    }
  } // prettier-ignore

  results.push(
    measured(`projections to three slices of 1024 × 1024, 720 views held, 2 threads, none left out in ${WATCHED_s} s`, "views/s",
      watched(1024, 720, { slices: [0, 1, 2], detector: 3, threads: 2, every: 64 }), { aim: 600 }),
    measured("frames of 1024 × 1024 to three orthogonal planes, 90 views held, 2 threads", "frames/s",
      watched(1024, 90, { slices: [512], planes: { front: "y=0", side: "x=0" }, detector: 1024, threads: 2, rows: 4, every: 64 }), { aim: 80 }),
  ); // prettier-ignore

  const p99 = (kind: Kind) => {
    const { steps } = operator(kind, 512, 360, { rows: 1, every: 1 });
    return () => steps(200).toSorted((a, b) => a - b)[198]!;
  };
  results.push(compare("projection in to slice of 512 × 512 given out, 99th percentile", "ms", 5, [p99("wasm"), p99("typescript")], { aim: 5 })); // prettier-ignore
  return results;
}

const scaledBy = (x: number | undefined, factor: number): number | undefined =>
  x === undefined ? undefined : x * factor;
