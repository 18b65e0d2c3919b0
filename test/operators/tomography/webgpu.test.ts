// The kernels in WGSL, in Chromium on the device in software that it ships, held against their twin in TypeScript.
import { existsSync } from "node:fs";
import fc from "fast-check";
import { chromium, type Browser } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { horizontal, plane } from "../../../operators/tomography/planes.ts";
import { RAMP_WINDOWS } from "../../../operators/tomography/ramp-filter.ts";
import {
  KERNELS,
  rowsFor,
  type KernelOptions,
  type Line,
} from "../../../operators/tomography/slice-kernel.ts";
import { servePage } from "../../ui/chromium.ts";
import type { Page } from "./webgpu/page/main.ts";
import { play, type Step } from "./webgpu/play.ts";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

let site: Awaited<ReturnType<typeof servePage>>;
let browser: Browser;
type Play = (options: KernelOptions, steps: readonly Step[]) => Promise<Float32Array[]>;
let wgsl: Play;
const twin: Play = (options, steps) => play(KERNELS.typescript, options, steps);

beforeAll(async () => {
  if (!existsSync(executablePath)) {
    throw new Error(
      `No Chromium at ${executablePath}: install it (apt-get install chromium), or set CHROMIUM to where it is.`,
    );
  }
  site = await servePage(new URL("webgpu/page/", import.meta.url));
  browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
  });
  const page = await browser.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => "slices" in globalThis);
  const device = await page.evaluate(() => (globalThis as unknown as { slices: Page }).slices.device);
  expect(device).toBe("google swiftshader");
  wgsl = async (options, steps) => {
    const given = { options, steps };
    const played = await page.evaluate(
      (what) => (globalThis as unknown as { slices: Page }).slices.play(what.options, what.steps),
      given,
    );
    return played.map((values) => Float32Array.from(values));
  };
}, 60_000);

afterAll(async () => {
  await browser?.close();
  site?.close();
});

const largest = (values: Float32Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
/** Largest difference, of the peak where that is above 1. */
const apart = (a: Float32Array, b: Float32Array): number =>
  largest(a.map((x, i) => x - b[i]!)) / Math.max(1, largest(b));

const line = (theta_rad: number, axis: number, slot: number): Line => ({
  theta_rad, axis, shift_y: 0, scale: 1, terms: [{ slot, weight: 1, mirrored: false }],
}); // prettier-ignore
const optionsOf = (planes: KernelOptions["planes"], cols: number, rest: Partial<KernelOptions> = {}): KernelOptions => ({
  planes, detectorRows: rowsFor(planes, 12, 1), cols, window: "ram-lak", padding: "zero", middleRow: 5, images: 2, ...rest,
}); // prettier-ignore

test("a row goes where its line is", async () => {
  // one sample of 1 among zeros: at 0 deg a column, at 90 deg a line of the image, y upwards; and mirrored
  const options = optionsOf([horizontal(5, 9)], 9);
  const lit = async (theta_rad: number): Promise<number[][]> => {
    const [pixels] = await wgsl(options, [
      { op: "put", slot: 0, spike: 6 },
      { op: "add", image: 0, lines: [line(theta_rad, 4, 0)] },
      { op: "scaled", image: 0, plane: 0, factor: 1 },
    ]);
    const rounded = [...pixels!].map((x) => Math.round(x * 1e5) / 1e5 + 0);
    return Array.from({ length: 9 }, (_, r) => rounded.slice(9 * r, 9 * r + 9));
  };
  const spike = (at: number): number[] => Array.from({ length: 9 }, (_, i) => (i === at ? 1 : 0));
  const column = (c: number): number[][] => Array.from({ length: 9 }, () => spike(c));
  const level = (r: number): number[][] =>
    Array.from({ length: 9 }, (_, k) => Array(9).fill(k === r ? 1 : 0));
  expect(await lit(0)).toEqual(column(6));
  expect(await lit(Math.PI)).toEqual(column(2));
  expect(await lit(Math.PI / 2)).toEqual(level(2));
  expect(await lit(-Math.PI / 2)).toEqual(level(6));
});

const angle = fc.oneof(
  fc.double({ min: -7, max: 7, noNaN: true }),
  fc.integer({ min: -8, max: 8 }).map((k) => (k * Math.PI) / 4),
);
const made = fc.record({
  cols: fc.integer({ min: 2, max: 70 }),
  size: fc.integer({ min: 1, max: 64 }),
  pitch: fc.constantFrom(1, 0.6, 1.7, 5.3),
  radius: fc.constantFrom(Infinity, 11.5),
  tilt: fc.constantFrom(0, 0.21, -0.13),
  padding: fc.constantFrom("zero" as const, "edge" as const),
  fan: fc.constantFrom(undefined, undefined, { distance_px: 900 }),
  views: fc.array(
    fc.record({
      theta: angle,
      axis: fc.double({ min: 0, max: 1, noNaN: true }),
      shift_y: fc.constantFrom(0, 0, 0.4, -0.7),
      scale: fc.constantFrom(1, 1, 1.02),
      mirrored: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
}); // prettier-ignore

/** A slice, the same elsewhere, and but for a fan an upright and a tilted plane. */
function planesOf({ size, pitch, radius, tilt, fan }: Omit<Parameters<typeof stepsOf>[0], "views">) {
  const slice = horizontal(5, size, { pitch, radius });
  if (fan) return [slice];
  return [
    slice,
    horizontal(6.5, size, { pitch, radius }),
    plane([1, 2, 5], [0.3, -1, 0], { rows: 7, cols: size, pitch: Math.min(1, pitch) }),
    plane([0, 0, 5.2], [1, tilt, tilt], { rows: 5, cols: size, pitch: Math.min(1.7, pitch) }),
  ];
}

function stepsOf(
  { views, cols }: typeof made extends fc.Arbitrary<infer T> ? T : never,
  planes: number,
): Step[] {
  return [
    ...views.map((_, slot): Step => ({ op: slot % 2 ? "put" : "filter", slot, seed: slot })),
    {
      op: "add", image: 1,
      lines: views.map(({ theta, axis, shift_y, scale, mirrored }, slot) => ({
        theta_rad: theta, axis: axis * (cols - 1), shift_y, scale,
        terms: [{ slot, weight: 1, mirrored }, { slot: 0, weight: -0.3, mirrored: !mirrored }],
      })),
    },
    ...Array.from({ length: planes }, (_, k): Step => ({ op: "scaled", image: 1, plane: k, factor: 0.5 })),
    { op: "rows", slot: 0 },
  ]; // prettier-ignore
}

test.each([
  ["WGSL", () => wgsl, 60],
  ["WebAssembly", (): Play => (options, steps) => play(KERNELS.wasm, options, steps), 60],
] as const)("%s and TypeScript put the same values in the same pixels", async (_, kernel, numRuns) => {
  await fc.assert(
    fc.asyncProperty(made, async (given) => {
      const planes = planesOf(given);
      const options = optionsOf(planes, given.cols, { padding: given.padding, fan: given.fan });
      const steps = stepsOf(given, planes.length);
      const [got, wanted] = [await kernel()(options, steps), await twin(options, steps)];
      got.forEach((values, k) => expect(apart(values, wanted[k]!)).toBeLessThan(2e-6));
    }),
    { seed: 11, numRuns, endOnFailure: true },
  );
});

describe("the ramp filter is the one in double precision, to 2e-6 of the peak", () => {
  const lengths = [1, 2, 3, 5, 64, 127, 257, 1024];
  test.each(RAMP_WINDOWS)("%s", async (window) => {
    for (const padding of ["zero", "edge"] as const) {
      for (const cols of lengths) {
        const options = optionsOf([horizontal(5, 1)], cols, {
          window,
          padding,
          detectorRows: [3, 4, 5, 6, 7],
        });
        const steps: Step[] = [{ op: "filter", slot: 1, seed: cols }, { op: "rows", slot: 1 }]; // prettier-ignore
        const [[got], [wanted]] = [await wgsl(options, steps), await twin(options, steps)];
        expect(largest(got!.map((x, i) => x - wanted![i]!))).toBeLessThan(2e-6 * largest(wanted!));
      }
    }
  });
});

describe("on one device", () => {
  const planes = [
    horizontal(5, 40),
    horizontal(7, 40),
    plane([0, 0, 5], [0.2, -1, 0.1], { rows: 9, cols: 40 }),
  ];
  const options = optionsOf(planes, 43);
  const fan = optionsOf([horizontal(5, 40)], 43, { fan: { distance_px: 300 } });
  const count = 37;
  /** Views one after another, each in a slot that another had before. */
  const views = (together: number, between: (done: number) => Step[] = () => []): Step[] => {
    const steps: Step[] = [];
    for (let k = 0; k < count; k += together) {
      const these = Array.from({ length: Math.min(together, count - k) }, (_, i) => k + i);
      steps.push(
        ...these.map((view): Step => ({ op: "filter", slot: view % 20, seed: view })),
        { op: "add", image: 0, lines: these.map((view) => line(1.1 * view, 20.3, view % 20)) },
        ...between(k),
      );
    }
    return steps;
  };
  const pictures = ({ planes }: KernelOptions): Step[] =>
    planes.map((_, k): Step => ({ op: "scaled", image: 0, plane: k, factor: 1 }));

  test.each([["parallel", options], ["fan", fan]] as const)("no bit depends on what is done together: %s", async (_, given) => {
    const wanted = await wgsl(given, [...views(1), ...pictures(given)]);
    const cuts: [string, Step[]][] = [
      ["again", views(1)],
      ["in threes", views(3)],
      ["in nineteens", views(19)],
      ["asked in between", views(1, (k) => (k % 5 === 3 ? [{ op: "settle" }, ...pictures(given).slice(0, 1)] : []))],
      ["saved and loaded", views(1, (k) => (k % 11 === 6 ? [{ op: "reload", slots: 20 }] : []))],
    ];
    for (const [how, steps] of cuts) {
      const got = await wgsl(given, [...steps, ...pictures(given)]);
      expect(got.slice(-wanted.length), how).toEqual(wanted);
    }
  }); // prettier-ignore

  test("several sets of images, other windows, and slots far up", async () => {
    const steps: Step[] = [
      { op: "filter", slot: 0, seed: 1 },
      { op: "setWindow", window: "hann" },
      { op: "filter", slot: 900, seed: 2 },
      { op: "filter", slot: 3000, seed: 3 },
      { op: "add", image: 0, lines: [line(0.3, 20, 900)] },
      { op: "add", image: 1, lines: [line(0.3, 20, 3000), line(2, 21, 0)] },
      { op: "add", image: 0, lines: [line(0.9, 20, 0)] },
      { op: "scaled", image: 0, plane: 2, factor: 2 },
      { op: "scaled", image: 1, plane: 2, factor: 2 },
      { op: "clear", image: 0 },
      { op: "scaled", image: 0, plane: 2, factor: 1 },
      { op: "add", image: 0, lines: [line(1, 20, 3000)] },
      { op: "scaled", image: 0, plane: 1, factor: 1 },
      { op: "rows", slot: 0 },
      { op: "rows", slot: 900 },
    ];
    const [got, wanted] = [await wgsl(options, steps), await twin(options, steps)];
    got.forEach((values, k) => expect(apart(values, wanted[k]!)).toBeLessThan(2e-6));
    expect(largest(got[2]!)).toBe(0);
  });

  test("a line of too many rows is refused", async () => {
    const terms = Array.from({ length: 65 }, () => ({ slot: 0, weight: 1, mirrored: false }));
    const steps: Step[] = [{ op: "add", image: 0, lines: [{ ...line(0, 20, 0), terms }] }];
    await expect(wgsl(options, steps)).rejects.toThrow(/more than 64 stored rows along one line/);
  });
});
