/**
 * Slices brought up to date view by view: back-projection and ramp filter alone, a rebuild of the whole slice, and the
 * operator from projection in to slice changed. Baseline: the plain TypeScript of the same, in the same process.
 */
import { incremental } from "../operators/tomography/incremental.ts";
import { KERNELS, type Line, type SliceKernel } from "../operators/tomography/slice-kernel.ts";
import { image } from "../runtime/index.ts";
import { readConfig } from "../runtime/config.ts";
import { startOperator } from "../runtime/instance.ts";
import { measured, type Measured } from "./measure.ts";

type Kind = keyof typeof KERNELS;
const NODE_20 = process.version.startsWith("v20.");
const SECOND = 1_000_000_000n;

const kernelOf = (kind: Kind, cols: number, slices = 1): SliceKernel =>
  KERNELS[kind]({ slices, size: cols, cols, axis: (cols - 1) / 2, window: "shepp-logan", padding: "zero", radius: Infinity }); // prettier-ignore

/** Views of `turn` evenly over a half-turn; a row of no meaning, but with all frequencies. */
const lines = (cols: number, turn: number): Line[] => {
  const row = Float64Array.from({ length: cols }, (_, i) => Math.sin(i * 0.05) + ((i * 7919) % 97) / 97);
  return Array.from({ length: turn }, (_, k) => ({
    theta_rad: ((k + 0.5) * Math.PI) / turn,
    row: (_slice, into) => into.set(row),
  }));
};

/** Runs per second of one core. */
function rate(runs: number, work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return runs / ((user + system) / 1e6);
}

/** Both kinds in turn, so that what else the machine does falls on both. */
function compare(
  name: string,
  unit: string,
  aim: number | undefined,
  repeats: number,
  of: (kind: Kind) => () => number,
): Measured {
  const [wasm, typescript] = [of("wasm"), of("typescript")];
  wasm();
  typescript();
  const values = Array.from({ length: repeats }, () => [wasm(), typescript()] as const);
  return measured(name, unit, values.map(([x]) => x), { baseline: values.map(([, x]) => x), aim }); // prettier-ignore
}

/** The operator on `turn` views a half-turn, past its first turn, `rows` in a step: gives the ms that each step took. */
function operator(
  kernel: Kind,
  cols: number,
  turn: number,
  { rows = 16, every = 1_000_000, slices = 1 } = {},
) {
  const { config } = readConfig(incremental.config, {
    kernel,
    every,
    slices: Array.from({ length: slices }, (_, s) => s),
  });
  const field = { ...incremental.input.projections, data: image("1", { shape: [slices, cols] }) };
  const running = startOperator(incremental, config, { projections: { fields: field, metadata: {} } }, 0n);
  const frames = Float32Array.from({ length: rows * slices * cols }, (_, i) =>
    Math.exp(-1 - 0.5 * Math.sin(i * 0.05)),
  );
  let count = 0;
  const steps = (wanted: number): number[] =>
    Array.from({ length: Math.ceil(wanted / rows) }, () => {
      const time = BigInt64Array.from({ length: rows }, (_, i) => BigInt(count + i) * SECOND);
      const rotation_angle = Float64Array.from({ length: rows }, (_, i) => ((count + i) * 180) / turn);
      count += rows;
      const before = performance.now();
      running.step({ projections: { time, data: frames, rotation_angle } }, BigInt(count) * SECOND);
      return performance.now() - before;
    });
  steps(turn + 2 * rows); // from here on every view has a predecessor of its angle
  return steps;
}

export function benchTomography(): Measured[] {
  const results: Measured[] = [];
  const aims = {
    512: NODE_20 ? 1000 / 0.3 : 1000 / 0.17,
    1024: NODE_20 ? 1000 / 0.95 : 1000 / 0.65,
  } as const;

  for (const cols of [512, 1024] as const) {
    results.push(
      compare(
        `one filtered row into a slice of ${cols} × ${cols}`,
        "rows/s of one core",
        aims[cols],
        7,
        (kind) => {
          const kernel = kernelOf(kind, cols);
          const views = lines(cols, 48);
          return () =>
            rate(48, () => {
              for (const line of views) {
                kernel.add([line]);
                kernel.settle();
              }
            });
        },
      ),
    );
  }
  results.push(
    compare("ramp filter, rows of 1024, padded to 2048", "rows/s of one core", 80_000, 7, (kind) => {
      const kernel = kernelOf(kind, 1024, 8);
      const p = Array.from({ length: 8 }, (_, s) =>
        Float64Array.from({ length: 1024 }, (_, i) => Math.sin(i * 0.01 * s)),
      );
      const into = [new Float32Array(8 * 1024)];
      return () =>
        rate(8 * 100, () => {
          for (let n = 0; n < 100; n++) kernel.filter(p, into);
        });
    }),
    compare(
      "rebuild of a slice of 1024 × 1024 from 720 rows, filter included",
      "rows/s of one core",
      720 / 0.7,
      3,
      (kind) => {
        const kernel = kernelOf(kind, 1024);
        const views = lines(1024, 720);
        const p = Array.from({ length: kernel.viewsAtOnce }, () => new Float64Array(1024).fill(1));
        const into = p.map(() => new Float32Array(1024));
        return () =>
          rate(720, () => {
            for (let n = 0; n < 720; n += p.length) kernel.filter(p, into);
            kernel.add(views);
            kernel.settle();
          });
      },
    ),
  );
  for (const [cols, turn, aim] of [
    [1024, 720, aims[1024]],
    [512, 90, undefined],
    [512, 360, aims[512]],
    [512, 1440, undefined],
  ] as const) {
    results.push(
      compare(
        `projection to slice of ${cols} × ${cols}, ${turn} views held`,
        "views/s of one core",
        aim,
        5,
        (kind) => {
          const steps = operator(kind, cols, turn);
          return () => rate(64, () => void steps(64));
        },
      ),
    );
  }
  results.push(
    compare(
      "projection to three slices of 1024 × 1024, 720 views held",
      "views/s of one core",
      600,
      5,
      (kind) => {
        const steps = operator(kind, 1024, 720, { slices: 3 });
        return () => rate(32, () => void steps(32));
      },
    ),
  );
  const p99 = (kind: Kind) => {
    const steps = operator(kind, 512, 360, { rows: 1, every: 1 });
    return () => steps(200).toSorted((a, b) => a - b)[198]!;
  };
  results.push(compare("projection in to slice of 512 × 512 given out, 99th percentile", "ms", 5, 3, p99));
  return results;
}
