import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { horizontal } from "../../../operators/tomography/planes.ts";
import { RAMP_WINDOWS } from "../../../operators/tomography/ramp-filter.ts";
import {
  KERNELS,
  type KernelOptions,
  type Line,
  type SliceKernel,
} from "../../../operators/tomography/slice-kernel.ts";
import { wasmMemory } from "../../../operators/tomography/wasm/slice-kernel.ts";
import { image } from "../../../runtime/index.ts";
import { readConfig } from "../../../runtime/config.ts";
import { startOperator } from "../../../runtime/instance.ts";

interface Given {
  slices?: number;
  size?: number;
  radius?: number;
  window?: KernelOptions["window"];
  padding?: KernelOptions["padding"];
}
/** Horizontal slices of a detector as high as they are many. */
const options = (cols: number, { slices = 1, size = cols, radius = Infinity, window = "ram-lak", padding = "zero" }: Given = {}): KernelOptions => ({
  planes: Array.from({ length: slices }, (_, row) => horizontal(row, size, { radius })),
  detectorRows: Array.from({ length: slices }, (_, row) => row),
  cols, window, padding, middleRow: (slices - 1) / 2, images: 1,
}); // prettier-ignore

/** A row of noise: every frequency, each sample another. */
const noise = (cols: number, seed: number): Float64Array =>
  Float64Array.from({ length: cols }, (_, i) => ((Math.imul((i + 1) * 2654435761, seed * 40503 + 1) >>> 0) / 2 ** 32) * 2 - 1); // prettier-ignore
/** A view of rows that are put into a slot as they are. */
interface Seen {
  theta_rad: number;
  axis: number;
  rows: Float64Array[];
}
const seen = (theta_rad: number, axis: number, ...rows: Float64Array[]): Seen => ({ theta_rad, axis, rows });
/** Puts the views' rows into slots from 0 on, and gives the lines that they are added along. */
const linesOf = (kernel: SliceKernel, views: readonly Seen[]): Line[] =>
  views.map(({ theta_rad, axis, rows }, slot) => {
    kernel.put(slot, Float32Array.from(rows.flatMap((row) => [...row])));
    return { theta_rad, axis, shift_y: 0, scale: 1, terms: [{ slot, weight: 1, mirrored: false }] };
  });
const addAll = (kernel: SliceKernel, views: readonly Seen[]): void => kernel.add(0, linesOf(kernel, views));
/** Rows of a view, one after another. */
const stacked = (rows: number, cols: number, seed: number): Float32Array =>
  Float32Array.from(Array.from({ length: rows }, (_, r) => [...noise(cols, seed + r)]).flat());
const largest = (values: ArrayLike<number>): number => {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
};
const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  largest(Array.from(a, (x, i) => x - b[i]!)) / largest(b);

describe("a row goes where its line is", () => {
  // one sample of 1 among zeros: at 0 deg a column, at 90 deg a line of the image, y upwards; and mirrored
  test.each(["wasm", "typescript"] as const)("%s", (kind) => {
    const spike = (at: number): Float64Array =>
      Float64Array.from({ length: 9 }, (_, i) => (i === at ? 1 : 0));
    const lit = (theta_rad: number): number[][] => {
      const kernel = KERNELS[kind](options(9));
      addAll(kernel, [seen(theta_rad, 4, spike(6))]);
      const pixels = [...kernel.scaled(0, 0, 1)].map((x) => Math.round(x * 1e4) / 1e4 + 0);
      return Array.from({ length: 9 }, (_, r) => pixels.slice(9 * r, 9 * r + 9));
    };
    const column = (c: number): number[][] => Array.from({ length: 9 }, () => [...spike(c)]);
    expect(lit(0)).toEqual(column(6));
    expect(lit(Math.PI)).toEqual(column(2));
    expect(lit(Math.PI / 2)).toEqual(Array.from({ length: 9 }, (_, r) => Array(9).fill(r === 2 ? 1 : 0)));
    expect(lit(-Math.PI / 2)).toEqual(Array.from({ length: 9 }, (_, r) => Array(9).fill(r === 6 ? 1 : 0)));
  });

  test("WebAssembly and TypeScript put the same values in the same pixels", () => {
    const geometry = fc.record({
      cols: fc.integer({ min: 2, max: 70 }),
      size: fc.integer({ min: 1, max: 80 }),
      axis: fc.double({ min: 0, max: 1, noNaN: true }),
      thetas: fc.array(
        fc.oneof(fc.double({ min: -7, max: 7, noNaN: true }), fc.integer({ min: -8, max: 8 }).map((k) => (k * Math.PI) / 4)),
        { minLength: 1, maxLength: 5 },
      ),
    }); // prettier-ignore
    fc.assert(
      fc.property(geometry, ({ cols, size, axis, thetas }) => {
        const given = options(cols, { size });
        const views = thetas.map((theta, k) => seen(theta, axis * (cols - 1), noise(cols, k)));
        const [wasm, twin] = [KERNELS.wasm(given), KERNELS.typescript(given)];
        addAll(wasm, views);
        addAll(twin, views);
        const other = twin.scaled(0, 0, 1);
        // rows of noise of ±1: a pixel takes a handful of roundings of 6e-8
        expect(largest(wasm.scaled(0, 0, 1).map((x, i) => x - other[i]!))).toBeLessThan(2e-6);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  test("a large slice: 2e-6 of its peak", () => {
    const given = options(1000, { size: 900 });
    const views = Array.from({ length: 20 }, (_, k) => seen(k * 0.33 - 2, 510.3, noise(1000, k)));
    const [wasm, twin] = [KERNELS.wasm(given), KERNELS.typescript(given)];
    addAll(wasm, views);
    addAll(twin, views);
    expect(apart(wasm.scaled(0, 0, 1), twin.scaled(0, 0, 1))).toBeLessThan(2e-6);
  });

  test("within the radius the same bits, beyond it nothing", () => {
    const views = Array.from({ length: 7 }, (_, k) => seen(k, 18, noise(37, k)));
    const [all, some] = [KERNELS.wasm(options(37)), KERNELS.wasm(options(37, { radius: 11.5 }))];
    addAll(all, views);
    addAll(some, views);
    const [wanted, got] = [all.scaled(0, 0, 1), some.scaled(0, 0, 1)];
    for (let i = 0; i < 37 * 37; i++) {
      const inside = Math.hypot((i % 37) - 18, Math.floor(i / 37) - 18) <= 11.5;
      expect(got[i]).toBe(inside ? wanted[i] : 0);
    }
  });
});

describe("no bit depends on what is done together", () => {
  test("lines added one by one, or many, with slices asked for in between", () => {
    const views = Array.from({ length: 40 }, (_, k) => seen(k * 1.1, 19.7, noise(43, k), noise(43, k + 100)));
    const given = options(43, { slices: 2 });
    const whole = KERNELS.wasm(given);
    addAll(whole, views);
    const wanted = whole.save(0);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (sizes) => {
        let kernel = KERNELS.wasm(given);
        let lines = linesOf(kernel, views);
        for (let done = 0, k = 0; done < lines.length; k++) {
          const size = sizes[k % sizes.length]!;
          kernel.add(0, lines.slice(done, done + size));
          done += size;
          if (size % 3 === 0) kernel.scaled(0, 1, 0.5);
          if (size % 5 === 0) {
            const saved = kernel.save(0);
            kernel = KERNELS.wasm(given);
            lines = linesOf(kernel, views);
            kernel.load(0, saved);
          }
        }
        expect(kernel.save(0)).toEqual(wanted);
      }),
      { seed: 5, numRuns: 40 },
    );
  });

  test.each([1, 2, 3, 4, 5, 9])(
    "rows of %i slices filtered with other views' beside them, or alone",
    (slices) => {
      const given = options(50, { slices });
      const kernel = KERNELS.wasm(given);
      const views = Array.from({ length: kernel.viewsAtOnce }, (_, v) => stacked(slices, 50, 10 * v));
      kernel.filter(views, views.map((_, slot) => slot)); // prettier-ignore
      views.forEach((p, v) => {
        kernel.filter([p], [99]);
        expect(kernel.rows(99)).toEqual(kernel.rows(v));
      });
      expect(kernel.viewsAtOnce).toBe({ 1: 4, 2: 2, 3: 1, 4: 1, 5: 1, 9: 1 }[slices]);
    },
  );
});

describe("the ramp filter in single precision is the one in double, to 2e-6 of the peak", () => {
  const lengths = [1, 2, 3, 5, 64, 127, 1024];
  test.each(RAMP_WINDOWS.flatMap((window) => (["zero", "edge"] as const).map((padding) => [window, padding] as const)))("%s, %s", (window, padding) => {
    for (const cols of lengths) {
      const given = options(cols, { slices: 3, window, padding });
      const p = stacked(3, cols, 1).map((x) => x + 1);
      const [one, other] = (["wasm", "typescript"] as const).map((kind) => {
        const kernel = KERNELS[kind](given);
        kernel.filter([p], [0]);
        return kernel.rows(0);
      });
      expect(apart(one!, other!)).toBeLessThan(2e-6);
    }
  }); // prettier-ignore
});

describe("-ln T", () => {
  test("in WebAssembly it is within 2e-7 of that in double precision, and NaN where T is not known", () => {
    const kernel = KERNELS.wasm(options(4001));
    const T = Float32Array.from({ length: 4001 }, (_, i) => Math.exp(-80 + i / 47));
    const into = new Float32Array(4001);
    expect(kernel.minusLog(T, 0, into)).toBe(0);
    for (let i = 0; i < T.length; i++) {
      const wanted = -Math.log(T[i]!);
      expect(Math.abs(into[i]! - wanted)).toBeLessThan(2e-7 * Math.max(1, Math.abs(wanted)));
    }
    const odd = Float32Array.of(9, 1, NaN, 0, -1, Infinity, 0.5, 1e-40);
    for (const kind of ["wasm", "typescript"] as const) {
      const some = new Float32Array(6);
      expect(KERNELS[kind](options(6)).minusLog(odd, 1, some)).toBe(4);
      expect([...some]).toEqual([expect.closeTo(0, 9), NaN, NaN, NaN, NaN, expect.closeTo(Math.LN2, 6)]);
    }
  });
});

describe("which kernel runs", () => {
  const projections = { ...incremental.input.projections, data: image("1", { shape: [1, 8] }) };
  const start = (definition: typeof incremental, given: Record<string, unknown>) =>
    startOperator(definition, readConfig(definition.config, given).config, { projections: { fields: projections, metadata: { a: "b" } } }, 0n); // prettier-ignore

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  test("is said in the slices' metadata", () => {
    expect(start(incremental, {}).outputs["slices"]!.metadata).toEqual({ a: "b", kernel: "wasm" });
    const plain = start(incremental, { kernel: "typescript" });
    expect(plain.outputs["slices"]!.metadata).toEqual({ a: "b", kernel: "typescript" });
  });

  test("an engine without WebAssembly SIMD is refused, unless TypeScript was asked for", async () => {
    vi.resetModules();
    vi.stubGlobal("WebAssembly", { validate: () => false });
    const { incremental: without } = await import("../../../operators/tomography/incremental.ts");
    expect(() => start(without, {})).toThrow(/no WebAssembly SIMD; set kernel: typescript/);
    expect(start(without, { kernel: "typescript" }).outputs["slices"]!.metadata["kernel"]).toBe("typescript");
  });

  test("slices that its memory cannot hold are refused at the start", () => {
    const { fixed_bytes, view_bytes } = wasmMemory(options(2048, { slices: 200 }));
    expect(fixed_bytes / 2 ** 30).toBeCloseTo(3.2, 0);
    expect(view_bytes).toBe(200 * 2048 * 4 + 64);
    expect(() => start(incremental, { size: 40_000 })).toThrow(
      /slices: 40000 × 40000 pixels need 17\.9 GiB, more than the 4 GiB/,
    );
  });
});
