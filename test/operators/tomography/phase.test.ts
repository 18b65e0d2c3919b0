import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fft, fft2 } from "../../../operators/fft.ts";
import { lowPass, phase } from "../../../operators/tomography/phase.ts";
import { image, scalar } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { rms } from "./phantom.ts";

// 20 keV, 1 um pixels, 10 mm behind a sample of one material: pixel² / (λ z) = 1.6
const energy_keV = 20, z_m = 0.01, pixel_m = 1e-6, deltaBeta = 1000, mu_per_m = 200; // prettier-ignore
const wavelength_m = 1.239841984e-9 / energy_keV;
const alpha_px2 = (wavelength_m * z_m * deltaBeta) / (4 * Math.PI) / pixel_m ** 2;
const metadata = {
  projections: { energy_keV: "20", detector_distance: "0.01", sample_pixel_size_x: "1e-6", sample_pixel_size_y: "1e-6" },
}; // prettier-ignore

/** Smooth grains: middle (row, col) and width [px], thickness [m]. */
const grains = [
  { r: 0.5, c: 0.45, width: 12, thickness_m: 60e-6 },
  { r: 0.35, c: 0.6, width: 6, thickness_m: 25e-6 },
  { r: 0.62, c: 0.55, width: 5, thickness_m: -15e-6 }, // a hole in the first
];

/** Thickness, and its gradient and Laplacian, by pixel [m/px, m/px²]. */
function sample(rows: number, cols: number) {
  const [t, gr, gc, laplacian] = [0, 0, 0, 0].map(() => new Float64Array(rows * cols)) as [Float64Array, Float64Array, Float64Array, Float64Array]; // prettier-ignore
  for (let i = 0; i < rows * cols; i++) {
    for (const { r, c, width, thickness_m } of grains) {
      const [v, u] = [Math.floor(i / cols) - r * rows, (i % cols) - c * cols];
      const h = thickness_m * Math.exp(-(u * u + v * v) / (2 * width * width));
      t[i]! += h;
      gr[i]! -= (h * v) / width ** 2;
      gc[i]! -= (h * u) / width ** 2;
      laplacian[i]! += h * ((u * u + v * v) / width ** 4 - 2 / width ** 2);
    }
  }
  return { t, gr, gc, laplacian };
}

/** What a detector sees by the transport-of-intensity equation: (1 - α ∇²) exp(-μ t). */
function transported(rows: number, cols: number): Float64Array {
  const { t, gr, gc, laplacian } = sample(rows, cols);
  return t.map((t, i) => {
    const curvature = mu_per_m ** 2 * (gr[i]! ** 2 + gc[i]! ** 2) - mu_per_m * laplacian[i]!;
    return Math.exp(-mu_per_m * t) * (1 - alpha_px2 * curvature);
  });
}

/** What it sees by Fresnel diffraction: |F⁻¹[F[ψ] exp(-iπλz f²)]|², ψ = exp(-(μ/2 + i 2πδ/λ) t). Sizes are powers of two. */
function diffracted(rows: number, cols: number): Float64Array {
  const { t } = sample(rows, cols);
  const shift = (t: number): number => (-deltaBeta * mu_per_m * t) / 2; // 2πδ/λ = (δ/β) μ / 2
  const re = t.map((t) => Math.exp((-mu_per_m * t) / 2) * Math.cos(shift(t)));
  const im = t.map((t) => Math.exp((-mu_per_m * t) / 2) * Math.sin(shift(t)));
  fft2(re, im, rows, cols);
  const f = (n: number, place: number): number => {
    const k = fft(n).frequency[place]!;
    return (k < n / 2 ? k : k - n) / n / pixel_m;
  };
  for (let i = 0; i < re.length; i++) {
    const turn =
      -Math.PI * wavelength_m * z_m * (f(rows, Math.floor(i / cols)) ** 2 + f(cols, i % cols) ** 2);
    const [x, y] = [re[i]!, im[i]!];
    re[i] = (x * Math.cos(turn) - y * Math.sin(turn)) / (rows * cols);
    im[i] = (x * Math.sin(turn) + y * Math.cos(turn)) / (rows * cols);
  }
  fft2(re, im, rows, cols, true);
  return re.map((x, i) => x * x + im[i]! * im[i]!);
}

const fields = (rows: number, cols: number, rest = {}) => ({
  projections: { data: image("1", { shape: [rows, cols], ...rest }), rotation_angle: scalar("deg") },
});
const views = (...images: ArrayLike<number>[]) => ({
  time: BigInt64Array.from(images, (_, k) => BigInt(k)),
  data: Float32Array.from(images.flatMap((image) => [...(image as number[])])),
  rotation_angle: Float64Array.from(images, (_, k) => 10 * k),
});
const retrieve = (image: ArrayLike<number>, rows: number, cols: number, options: Record<string, unknown> = {}, how: Record<string, unknown> = {}) =>
  feed(phase, { projections: views(image) }, { schema: fields(rows, cols), metadata, with: { delta_beta: deltaBeta, ...options }, ...how }); // prettier-ignore
const thickness = { output: "thickness", mu: `${mu_per_m} 1/m` };
const largest = (x: ArrayLike<number>): number => Math.max(...Array.from(x, Math.abs));

describe("ground truth", () => {
  test.each([[128, 128], [100, 120], [90, 129]])("the thickness that an image was transported from, %i × %i", (rows, cols) => {
    const { thickness: found, faults } = retrieve(transported(rows, cols), rows, cols, thickness);
    const { t } = sample(rows, cols);
    expect(rms(found.data, t) / largest(t)).toBeLessThan(0.001);
    expect(largest(found.data.map((x: number, i: number) => x - t[i]!)) / largest(t)).toBeLessThan(0.01);
    expect(faults).toEqual([]);
  }); // prettier-ignore

  test("the thickness that waves were diffracted by, to 1 %", () => {
    const { t } = sample(128, 128);
    const seen = diffracted(128, 128);
    const found = retrieve(seen, 128, 128, thickness).thickness.data as Float32Array;
    expect(rms(found, t) / largest(t)).toBeLessThan(0.01);
    // without it, edges are most of what one sees
    expect(rms(seen.map((T) => -Math.log(T) / mu_per_m), t) / largest(t)).toBeGreaterThan(0.1); // prettier-ignore
  });

  test("the contact image, and its line integrals where line integrals came", () => {
    const seen = transported(128, 128);
    const contact = retrieve(seen, 128, 128).projections.data as Float32Array;
    const { t } = sample(128, 128);
    expect(rms(contact, t.map((t) => Math.exp(-mu_per_m * t)))).toBeLessThan(1e-4); // prettier-ignore
    const integrals = feed(
      phase,
      { projections: views(seen.map((T) => -Math.log(T))) },
      { schema: fields(128, 128, { quantity: "line integral" }), metadata, with: { delta_beta: deltaBeta } },
    );
    expect(rms(integrals.projections.data, contact.map((T) => -Math.log(T)))).toBeLessThan(1e-6); // prettier-ignore
  });

  test("a cone beam: the distance counts divided by the magnification, pixels at the sample", () => {
    // M = 2: twice the distance, half the pixels, is the parallel case again
    const cone = {
      ...metadata.projections,
      geometry: "cone",
      source_distance: "0.02",
      detector_distance: "0.02",
    };
    const seen = transported(64, 64);
    const found = retrieve(seen, 64, 64, {}, { metadata: { projections: cone } });
    expect(found).toEqual(retrieve(seen, 64, 64));
  });

  test("options go before what the stream says; pixels need not be square", () => {
    const seen = transported(64, 64);
    const told = { energy: "20000 eV", distance: "10 mm", pixel_size: "1 um" };
    const wrong = { projections: { energy_keV: "1", detector_distance: "7", sample_pixel_size_x: "3", sample_pixel_size_y: "4" } };
    expect(retrieve(seen, 64, 64, told, { metadata: wrong })).toEqual(retrieve(seen, 64, 64));
    const tall = { projections: { ...metadata.projections, sample_pixel_size_y: "2e-6" } };
    const low = lowPass({ rows: 64, cols: 64, alphaRow_px2: alpha_px2 / 4, alphaCol_px2: alpha_px2 });
    low.grid.set(Float32Array.from(seen));
    low.apply();
    expect(rms(retrieve(seen, 64, 64, {}, { metadata: tall }).projections.data, low.grid)).toBeLessThan(1e-6);
  }); // prettier-ignore
});

describe("the low pass", () => {
  test.each([[4, 8], [5, 7], [1, 6], [6, 1], [2, 2], [16, 12]])("is the cosine series of the image filled up with its edges, %i × %i", (rows, cols) => {
    const filter = lowPass({ rows, cols, alphaRow_px2: 3, alphaCol_px2: 2 });
    const at = (r: number, c: number): number => Math.sin((Math.min(r, rows - 1) * cols + Math.min(c, cols - 1)) ** 2);
    for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) filter.grid[r * filter.stride + c] = at(r, c);
    filter.apply();
    const [H, W] = [filter.grid.length / filter.stride, filter.stride];
    const wave = (k: number, i: number, n: number): number => Math.cos((Math.PI * (i + 0.5) * k) / n);
    const expected = new Float64Array(H * W);
    for (let k = 0; k < H; k++) {
      for (let l = 0; l < W; l++) {
        let sum = 0;
        for (let i = 0; i < H * W; i++) sum += at(Math.floor(i / W), i % W) * wave(k, Math.floor(i / W), H) * wave(l, i % W, W);
        sum *= ((k ? 2 : 1) * (l ? 2 : 1)) / (H * W) / (1 + 3 * ((Math.PI * k) / H) ** 2 + 2 * ((Math.PI * l) / W) ** 2);
        for (let i = 0; i < H * W; i++) expected[i]! += sum * wave(k, Math.floor(i / W), H) * wave(l, i % W, W);
      }
    }
    expect(rms(filter.grid, expected)).toBeLessThan(1e-14);
  }); // prettier-ignore

  test("what is even stays even, whatever its size; of a bright edge nothing comes in on the other side", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 1, max: 40 }), (rows, cols) => {
        const even = retrieve(new Float32Array(rows * cols).fill(0.75), rows, cols).projections.data;
        for (const T of even) expect(T).toBeCloseTo(0.75, 6);
      }),
      { seed: 8, numRuns: 30 },
    );
    const edge = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 64 < 4 ? 1 : 0.5));
    const { data } = retrieve(edge, 64, 64).projections;
    for (let r = 0; r < 64; r++) expect(data[r * 64 + 63]).toBeCloseTo(0.5, 3);
  });
});

describe("pixels without a value", () => {
  test("are interpolated before and missing after, also whole rows and the edge", () => {
    const seen = transported(64, 64);
    const broken = seen.slice();
    const gaps = [10 * 64 + 7, 40 * 64, 63 * 64 + 63];
    for (let c = 0; c < 64; c++) gaps.push(c, 20 * 64 + c, 21 * 64 + c);
    for (const i of gaps) broken[i] = i % 2 ? NaN : Infinity;
    const { projections, faults } = retrieve(broken, 64, 64);
    const whole = retrieve(seen, 64, 64).projections.data;
    expect(projections.filled[0]).toBe(gaps.length);
    let worst = 0;
    projections.data.forEach((T: number, i: number) => {
      expect(Number.isNaN(T)).toBe(gaps.includes(i));
      if (!gaps.includes(i)) worst = Math.max(worst, Math.abs(T - whole[i]));
    });
    expect(worst).toBeLessThan(5e-4);
    expect(faults).toEqual([]);
  });

  test("a view that mostly has none is left out, and said", () => {
    const dark = new Float32Array(64).fill(NaN);
    dark[3] = 1;
    const { projections, faults } = retrieve(dark, 8, 8);
    expect(projections.time.length).toBe(0);
    expect(faults.map((f: { what: string }) => f.what)).toEqual([
      expect.stringMatching(/1 of 64 pixels have a value, the view is left out/),
    ]);
  });

  test("opaque pixels are measured: noise about zero averages out", () => {
    const opaque = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 2 ? -0.01 : 0.03));
    const { projections } = retrieve(opaque, 64, 64);
    for (const T of projections.data) expect(T).toBeCloseTo(0.01, 2);
    expect(projections.filled[0]).toBe(0);
  });
});

describe("the stream", () => {
  test("cut anywhere: the same bits; what is known of each view goes along", () => {
    const images = Array.from({ length: 7 }, (_, k) => Float32Array.from({ length: 6 * 5 }, (_, i) => 0.5 + 0.4 * Math.sin(i * k + i * i)));
    const projections = { ...views(...images), shift_x: Float64Array.from(images, (_, k) => k / 4) };
    const schema = { projections: { ...fields(6, 5).projections, shift_x: scalar("{px}") } };
    const run = (rows: number) => feed(phase, { projections }, { schema, metadata, with: { delta_beta: 500 }, rows, reloadAfter: [2] });
    expect(run(7).projections.shift_x).toEqual(projections.shift_x);
    for (const rows of [1, 2, 3]) expect(run(rows)).toEqual(run(7));
  }); // prettier-ignore

  test("none", () => {
    const none = feed(
      phase,
      { projections: views() },
      { schema: fields(4, 4), metadata, with: { delta_beta: 500 } },
    );
    expect(none.projections.time.length).toBe(0);
  });

  test("it names what is missing, before the first view", () => {
    const bare = { metadata: { projections: {} as Record<string, string> } };
    const seen = new Float32Array(64);
    expect(() => retrieve(seen, 8, 8, {}, bare)).toThrow(
      "energy: give it, the stream does not say energy_keV; distance: give it, the stream does not say detector_distance; " +
        "pixel_size: give it, the stream does not say sample_pixel_size_x",
    );
    const odd = { metadata: { projections: { ...metadata.projections, energy_keV: "white" } } };
    expect(() => retrieve(seen, 8, 8, {}, odd)).toThrow('energy: give it, the stream\'s energy_keV is "white"');
    const cone = { metadata: { projections: { ...metadata.projections, geometry: "cone" } } };
    expect(() => retrieve(seen, 8, 8, {}, cone)).toThrow("source_distance: the stream does not say source_distance; give the source its distances");
    expect(() => retrieve(seen, 8, 8, { output: "thickness" })).toThrow("mu: give it, thickness is -ln T / mu");
    expect(() => retrieve(seen, 1, 64)).toThrow(/projections have a single row/);
    expect(() => retrieve(seen, 8, 8, { delta_beta: undefined })).toThrow(/delta_beta: must be given/);
    expect(() => retrieve(seen, 8, 8, { delta_beta: 0 })).toThrow(/0 is below/);
    expect(() => retrieve(seen, 8, 8, { energy: 20 })).toThrow(/20 has no unit/);
  }); // prettier-ignore
});
