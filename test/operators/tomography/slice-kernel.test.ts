import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { RAMP_WINDOWS } from "../../../operators/tomography/ramp-filter.ts";
import { KERNELS, type Line, type SliceOptions } from "../../../operators/tomography/slice-kernel.ts";
import { wasmMemory_GiB } from "../../../operators/tomography/wasm/slice-kernel.ts";
import { image } from "../../../runtime/index.ts";
import { readConfig } from "../../../runtime/config.ts";
import { startOperator } from "../../../runtime/instance.ts";

const options = (cols: number, more: Partial<SliceOptions> = {}): SliceOptions => ({
  slices: 1, size: cols, cols, axis: (cols - 1) / 2, window: "ram-lak", padding: "zero", radius: Infinity, ...more,
}); // prettier-ignore

/** A row of noise: every frequency, each sample another. */
const noise = (cols: number, seed: number): Float64Array =>
  Float64Array.from({ length: cols }, (_, i) => ((Math.imul((i + 1) * 2654435761, seed * 40503 + 1) >>> 0) / 2 ** 32) * 2 - 1); // prettier-ignore
const lineOf = (theta_rad: number, ...rows: Float64Array[]): Line => ({
  theta_rad,
  row: (slice, into) => into.set(rows[slice]!),
});
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
      kernel.add([lineOf(theta_rad, spike(6))]);
      const pixels = [...kernel.scaled(0, 1)].map((x) => Math.round(x * 1e4) / 1e4 + 0);
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
        const given = options(cols, { size, axis: axis * (cols - 1) });
        const lines = thetas.map((theta, k) => lineOf(theta, noise(cols, k)));
        const [wasm, twin] = [KERNELS.wasm(given), KERNELS.typescript(given)];
        wasm.add(lines);
        twin.add(lines);
        const other = twin.scaled(0, 1);
        // rows of noise of ±1: a pixel takes a handful of roundings of 6e-8
        expect(largest(wasm.scaled(0, 1).map((x, i) => x - other[i]!))).toBeLessThan(2e-6);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  test("a large slice: 2e-6 of its peak", () => {
    const given = options(1000, { size: 900, axis: 510.3 });
    const lines = Array.from({ length: 20 }, (_, k) => lineOf(k * 0.33 - 2, noise(1000, k)));
    const [wasm, twin] = [KERNELS.wasm(given), KERNELS.typescript(given)];
    wasm.add(lines);
    twin.add(lines);
    expect(apart(wasm.scaled(0, 1), twin.scaled(0, 1))).toBeLessThan(2e-6);
  });

  test("within the radius the same bits, beyond it nothing", () => {
    const lines = Array.from({ length: 7 }, (_, k) => lineOf(k, noise(37, k)));
    const [all, some] = [KERNELS.wasm(options(37)), KERNELS.wasm(options(37, { radius: 11.5 }))];
    all.add(lines);
    some.add(lines);
    const [wanted, got] = [all.scaled(0, 1), some.scaled(0, 1)];
    for (let i = 0; i < 37 * 37; i++) {
      const inside = Math.hypot((i % 37) - 18, Math.floor(i / 37) - 18) <= 11.5;
      expect(got[i]).toBe(inside ? wanted[i] : 0);
    }
  });
});

describe("no bit depends on what is done together", () => {
  test("lines added one by one, or many, with slices asked for in between", () => {
    const lines = Array.from({ length: 40 }, (_, k) => lineOf(k * 1.1, noise(43, k), noise(43, k + 100)));
    const given = options(43, { slices: 2, axis: 19.7 });
    const whole = KERNELS.wasm(given);
    whole.add(lines);
    const wanted = whole.save();
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (sizes) => {
        let kernel = KERNELS.wasm(given);
        for (let done = 0, k = 0; done < lines.length; k++) {
          const size = sizes[k % sizes.length]!;
          kernel.add(lines.slice(done, done + size));
          done += size;
          if (size % 3 === 0) kernel.scaled(1, 0.5);
          if (size % 5 === 0) {
            const saved = kernel.save();
            kernel = KERNELS.wasm(given);
            kernel.load(saved);
          }
        }
        expect(kernel.save()).toEqual(wanted);
      }),
      { seed: 5, numRuns: 40 },
    );
  });

  test.each([1, 2, 3, 4, 5, 9])(
    "rows of %i slices filtered with other views' beside them, or alone",
    (slices) => {
      const given = options(50, { slices });
      const kernel = KERNELS.wasm(given);
      const views = Array.from({ length: kernel.viewsAtOnce }, (_, v) =>
        Array.from({ length: slices }, (_, s) => noise(50, 10 * v + s)),
      );
      const together = views.map(() => new Float32Array(slices * 50));
      kernel.filter(views.flat(), together);
      views.forEach((p, v) => {
        const alone = new Float32Array(slices * 50);
        kernel.filter(p, [alone]);
        expect(alone).toEqual(together[v]);
      });
      expect(kernel.viewsAtOnce).toBe({ 1: 4, 2: 4, 3: 2, 4: 2, 5: 1, 9: 1 }[slices]);
    },
  );
});

describe("the ramp filter in single precision is the one in double, to 2e-6 of the peak", () => {
  const lengths = [1, 2, 3, 5, 64, 127, 1024];
  test.each(RAMP_WINDOWS.flatMap((window) => (["zero", "edge"] as const).map((padding) => [window, padding] as const)))("%s, %s", (window, padding) => {
    for (const cols of lengths) {
      const given = options(cols, { slices: 3, window, padding });
      const p = [1, 2, 3].map((seed) => noise(cols, seed).map((x) => x + 1));
      const [one, other] = [new Float32Array(3 * cols), new Float32Array(3 * cols)];
      KERNELS.wasm(given).filter(p, [one]);
      KERNELS.typescript(given).filter(p, [other]);
      expect(apart(one, other)).toBeLessThan(2e-6);
    }
  }); // prettier-ignore
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
    expect(wasmMemory_GiB({ slices: 200, size: 2048, cols: 2048 })).toBeCloseTo(3.24, 1);
    expect(wasmMemory_GiB({ slices: 300, size: 2048, cols: 2048 })).toBeGreaterThan(4);
    expect(() => start(incremental, { size: 40_000 })).toThrow(
      /slices: 1 of 40000 × 40000 pixels need 11\.9 GiB, more than the 4 GiB/,
    );
  });
});
