import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { incremental } from "../../../operators/tomography/incremental.ts";
import {
  ViewWindow,
  readSpan,
  wrap,
  type Held,
  type Span,
} from "../../../operators/tomography/view-window.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { cell, project, psnr, ramLak, rms, textbook } from "./phantom.ts";

const SECOND = 1_000_000_000n;
const steps = (n: number, step: number, from = 0): number[] => Array.from({ length: n }, (_, k) => from + k * step); // prettier-ignore

interface Taken {
  angles: readonly number[];
  cols: number;
  axis: number;
  lines: Float64Array[];
}
/** Views of the phantom; each denser than the one before, so that a view that stays too long is seen. */
function changing(angles: readonly number[], cols: number, axis = (cols - 1) / 2, growth = 0.01): Taken {
  const lines = angles.map((angle, k) => project(cell(cols), angle, cols, axis).map((x) => x * (1 + growth * k))); // prettier-ignore
  return { angles, cols, axis, lines };
}
const inputs = ({ angles, lines, cols }: Taken, from = 0, more: Record<string, Float64Array> = {}) => ({
  projections: {
    time: BigInt64Array.from(angles.slice(from), (_, k) => BigInt(from + k) * SECOND),
    data: Float32Array.from(lines.slice(from).flatMap((line) => [...line.map((x) => Math.exp(-x))])),
    rotation_angle: Float64Array.from(angles.slice(from)),
    ...more,
  },
  schema: { projections: { ...incremental.input.projections, data: image("1", { shape: [1, cols] }) } },
});
const reconstruct = (taken: Taken, options: Record<string, unknown>, how: Record<string, unknown> = {}, from = 0, more = {}) => {
  const { projections, schema } = inputs(taken, from, more);
  return feed(incremental, { projections }, { schema, with: { filter: "ram-lak", every: 1_000_000, axis: taken.axis, ...options }, ...how });
}; // prettier-ignore
const last = ({ slices }: { slices: { data: Float32Array; time: BigInt64Array } }): Float32Array =>
  slices.data.slice(-slices.data.length / slices.time.length);
const relative = (a: Float32Array, b: Float32Array): number =>
  rms(a, b) / b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

test("windows as people write them", () => {
  expect(readSpan("180 deg", 0)).toEqual({ kind: "angle", period_deg: 180 });
  expect(readSpan("360 deg", 30)).toEqual({ kind: "angle", period_deg: 360 });
  expect(readSpan("180 deg", 30)).toEqual({ kind: "tapered", taper_deg: 30 });
  expect(readSpan("300 views", 0)).toEqual({ kind: "views", views: 300 });
  expect(readSpan("2 min", 0)).toEqual({ kind: "seconds", seconds: 120 });
  for (const wrong of ["90 deg", "1 view", "0 s", "-3 s", "5 mm", "all"])
    expect(readSpan(wrong, 0)).toBeUndefined();
});

describe("the newest so many views, or those not older", () => {
  test.each([
    ["100 views", 100],
    ["100 s", 100],
  ])("%s", (window, count) => {
    const taken = changing(steps(257, 3), 48);
    const fed = reconstruct(taken, { window });
    expect(fed.slices.views.at(-1)).toBe(count);
    expect(fed.slices.oldest_age.at(-1)).toBe(count - 1);
    expect(fed.slices.window.at(-1)).toBe(window);
    // where an angle was seen twice within the window, each counts half
    const kept = [...Array(count).keys()].map((k) => 257 - count + k);
    const half = kept.map((k) => wrap(taken.angles[k]!, 180));
    const weights = half.map((a) => (3 * Math.PI) / 180 / half.filter((b) => Math.abs(a - b) < 1e-6).length);
    const byHand = textbook(kept.map((k) => taken.lines[k]!), kept.map((k) => taken.angles[k]!), taken.axis, 48, ramLak, weights); // prettier-ignore
    expect(psnr(last(fed), byHand)).toBeGreaterThan(100);
  });
});

describe("a tapered window", () => {
  const options = { window: "180 deg", taper: "48 deg" };

  test("weights of an angle and its other side sum to one", () => {
    const window = new ViewWindow<Held>({
      span: { kind: "tapered", taper_deg: 40 },
      circle_deg: 180,
      maxGap_deg: 10,
      maxViews: 500,
    });
    steps(331, 2.5).forEach((angle_deg, k) => {
      window.take({ angle_deg, seconds: k, circle_deg: 0, turned_deg: 0, weight_rad: 0 });
      if (k < 100) return;
      const sums = new Map<number, number>();
      for (const { circle_deg, weight_rad } of window.views)
        sums.set(circle_deg, (sums.get(circle_deg) ?? 0) + weight_rad);
      expect(sums.size).toBe(72);
      for (const sum of sums.values()) expect(sum).toBeCloseTo((2.5 * Math.PI) / 180, 9);
    });
    expect(window.coverage().total_deg).toBeCloseTo(180, 9);
  });

  test("of a sample at rest shows the same as one without", () => {
    const taken = changing(steps(200, 3), 48, 23.5, 0);
    expect(relative(last(reconstruct(taken, options)), last(reconstruct(taken, {})))).toBeLessThan(1e-6);
  });

  test("softens the seam between the first view and the last of a sample that moves", () => {
    const angles = steps(200, 3);
    const taken: Taken = {
      ...changing(angles, 48, 23.5, 0),
      lines: angles.map((a, k) => project(cell(48).map((e) => ({ ...e, x: e.x + 0.02 * k })), a, 48, 23.5)), // prettier-ignore
    };
    // beside the sample there is nothing: what is there are streaks
    const streaks = (picture: Float32Array): number => {
      let sum = 0;
      for (let i = 0; i < picture.length; i++) {
        const r = Math.hypot((i % 48) - 23.5, Math.floor(i / 48) - 23.5);
        if (r > 22.2 && r < 23.5) sum += picture[i]! ** 2;
      }
      return Math.sqrt(sum);
    };
    expect(streaks(last(reconstruct(taken, { ...options, taper: "90 deg" })))).toBeLessThan(0.85 * streaks(last(reconstruct(taken, {})))); // prettier-ignore
  });

  test("begins anew where the stage jumps", () => {
    const fed = reconstruct(changing([...steps(100, 3), ...steps(20, 3, 120)], 32), options);
    expect(fed.slices.views.at(-1)).toBe(20);
  });
});

test("forgetting: an angle's row is a running mean over its turns", () => {
  const angles = steps(72 * 5, 5);
  const taken = changing(angles, 32, 14.2);
  const fed = reconstruct(taken, { window: "360 deg", forgetting: 0.5 });
  const means = Array.from({ length: 72 }, (_, k) => {
    const turns = [0, 1, 2, 3, 4].map((t) => taken.lines[t * 72 + k]!);
    return turns[0]!.map((_, i) => turns.slice(1).reduce((mean, line) => 0.5 * mean + 0.5 * line[i]!, turns[0]![i]!)); // prettier-ignore
  });
  const weights = Array(72).fill((2.5 * Math.PI) / 180);
  const byHand = textbook(means, angles.slice(0, 72), 14.2, 32, ramLak, weights);
  expect(psnr(last(fed), byHand)).toBeGreaterThan(100);
  expect(() => reconstruct(taken, { forgetting: 0.5 })).toThrow(/forgetting: with a window of 180 deg .* set window: 360 deg/); // prettier-ignore
});

test("after 1,000 half-turns the slice equals one made afresh, to 1e-5 of its peak", () => {
  const angles = steps(30 * 1000 + 13, 6);
  const base = changing(steps(30, 6), 32, 14.3, 0);
  const lines = angles.map((angle, k) => project(cell(32), angle, 32, 14.3).map((x) => x * (1 + 0.3 * Math.sin(k)))); // prettier-ignore
  const taken = { ...base, angles, lines };
  const live = last(reconstruct(taken, {}));
  const fresh = last(reconstruct(taken, {}, {}, angles.length - 30));
  const peak = fresh.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  let most = 0;
  for (let i = 0; i < fresh.length; i++) most = Math.max(most, Math.abs(fresh[i]! - live[i]!));
  expect(most / peak).toBeLessThan(1e-5);
});

describe("changed while it runs", () => {
  const angles = steps(400, 3);
  const taken = changing(angles, 40, 17.3, 0.002);
  const at = 250n * SECOND;

  test.each([
    ["the axis", { axis: "19.1 {px}" }, {}],
    ["the filter", { filter: "hann" }, {}],
    ["the window, narrower", { window: "180 deg" }, { window: "360 deg" }],
    ["the window, wider", { window: "360 deg" }, {}],
    ["all of them", { axis: "18 {px}", filter: "cosine", window: "100 views" }, {}],
  ])("%s: in the end as if it had been so from the start", (_, changes, before) => {
    const fed = reconstruct(taken, { ...before, every: 1, rebuild_rate: "2 Hz" }, { actions: [{ at, changes }] });
    const given = Object.fromEntries(Object.entries(changes));
    const wanted = reconstruct(taken, { ...before, ...given });
    expect(relative(last(fed), last(wanted))).toBeLessThan(2e-6);
    expect(fed.faults).toEqual([]);
    // until then the picture from before stands, and says so
    const pending = [...fed.slices.rebuild];
    const [first, end] = [pending.indexOf(1), pending.lastIndexOf(1)];
    expect(first).toBe(250);
    expect(end - first).toBeGreaterThan(15);
    const size = 40 * 40;
    for (let k = first; k <= end; k++) {
      expect(fed.slices.data.subarray(k * size, (k + 1) * size)).toEqual(fed.slices.data.subarray(249 * size, 250 * size));
      expect(fed.slices.axis[k]).toBe(17.3);
      expect(fed.slices.views[k]).toBe(fed.slices.views[249]);
    }
    expect(fed.slices.rebuild.at(-1)).toBe(0);
  }); // prettier-ignore

  test("a slow stream is changed by its next view", () => {
    const fed = reconstruct(taken, { every: 1 }, { actions: [{ at, changes: { axis: "19.1 {px}" } }] });
    expect([...fed.slices.rebuild]).toEqual(Array(400).fill(0));
    expect(fed.slices.axis[250]).toBe(19.1);
  });

  test("the same bits wherever the stream is cut, saved and loaded", () => {
    const options = { every: 45, rebuild_rate: "3 Hz" };
    const actions = [{ at, changes: { axis: "19.1 {px}" } }, { at: at + 10n * SECOND, changes: { filter: "hann" } }]; // prettier-ignore
    const whole = reconstruct(taken, options, { actions });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 }), fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }), (rows, reloadAfter) => {
        expect(reconstruct(taken, options, { actions, rows, reloadAfter })).toEqual(whole);
      }),
      { seed: 8, numRuns: 6 },
    ); // prettier-ignore
  });

  test("what cannot be is refused, and nothing changes", () => {
    const fed = reconstruct(taken, {}, { actions: [{ at, changes: { axis: "40 {px}" } }] });
    expect(fed.faults.map(({ what }: { what: string }) => what)).toEqual([
      expect.stringMatching(/axis: 40 px is not on the detector/),
    ]);
    expect(last(fed)).toEqual(last(reconstruct(taken, {})));
  });
});

describe("what a stream knows of each view goes into the map", () => {
  const angles = steps(120, 1.5);

  test("axis and shift of each view", () => {
    const wander = angles.map((_, k) => 22 + 3 * Math.sin(k));
    const lines = angles.map((angle, k) => project(cell(48), angle, 48, wander[k]!));
    const still = changing(angles, 48, 23.5, 0);
    const wanted = Float64Array.from(last(reconstruct(still, {})));
    const axis = reconstruct({ ...still, lines }, {}, {}, 0, { axis: Float64Array.from(wander) });
    const shift_x = reconstruct({ ...still, lines, axis: 20 }, {}, {}, 0, { shift_x: Float64Array.from(wander, (a) => a - 20) }); // prettier-ignore
    const without = psnr(last(reconstruct({ ...still, lines }, {})), wanted);
    expect(psnr(last(axis), wanted)).toBeGreaterThan(without + 8);
    expect(relative(last(shift_x), last(axis))).toBeLessThan(1e-6);
  });

  test("a sample that swells", () => {
    const scale = angles.map((_, k) => 1 + 0.06 * (k / 120));
    const swollen = (s: number) => cell(48).map((e) => ({ ...e, x: s * e.x, y: s * e.y, a: s * e.a, b: s * e.b, attenuation: e.attenuation / s })); // prettier-ignore
    const lines = angles.map((angle, k) => project(swollen(scale[k]!), angle, 48, 23.5));
    const still = changing(angles, 48, 23.5, 0);
    const wanted = Float64Array.from(last(reconstruct(still, {})));
    const with_ = psnr(last(reconstruct({ ...still, lines }, {}, {}, 0, { scale: Float64Array.from(scale) })), wanted); // prettier-ignore
    const without = psnr(last(reconstruct({ ...still, lines }, {})), wanted);
    expect(with_).toBeGreaterThan(without + 3);
  });
});

test("interlaced views: any part of the schedule is a valid window", () => {
  // four rounds of a half-turn, each between those before
  const angles = [0, 2, 1, 3].flatMap((round) => steps(15, 12, 3 * round + 180 * round));
  const taken = changing(angles, 48, 23.5, 0);
  const fed = reconstruct(taken, { every: 15, max_gap: "13 deg", window: "60 views" });
  const full = textbook(taken.lines, angles, 23.5, 48);
  const quality = [0, 1, 2, 3].map((k) => psnr(fed.slices.data.slice((k + 1) * 48 * 48, (k + 2) * 48 * 48), full)); // prettier-ignore
  expect([...fed.slices.largest_gap]).toEqual([180, 12, 6, 6, 3].map((x) => expect.closeTo(x, 6)));
  expect(quality[1]).toBeGreaterThan(quality[0]!);
  expect(quality[3]).toBeGreaterThan(100);
});

test("the same weights from any span, in any order, as arcs computed afresh", () => {
  const spans: Span[] = [
    { kind: "angle", period_deg: 180 },
    { kind: "angle", period_deg: 360 },
    { kind: "views", views: 7 },
    { kind: "seconds", seconds: 9 },
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...spans),
      fc.constantFrom(180 as const, 360 as const),
      fc.array(fc.double({ min: -400, max: 400, noNaN: true }), { minLength: 1, maxLength: 60 }),
      (span, circle_deg, angles) => {
        const window = new ViewWindow<Held>({ span, circle_deg, maxGap_deg: 40, maxViews: 20 });
        const out = new Set<Held>();
        const all: Held[] = angles.map((angle_deg, seconds) => {
          const view = { angle_deg, seconds, circle_deg: 0, turned_deg: 0, weight_rad: 0 };
          for (const old of window.take(view).leaving) out.add(old);
          return view;
        });
        expect([...window.views].toSorted((a, b) => a.seconds - b.seconds)).toEqual(all.filter((v) => !out.has(v))); // prettier-ignore
        for (const view of out) expect(view.weight_rad).toBe(0);
        const sum = window.views.reduce((total, { weight_rad }) => total + weight_rad, 0);
        expect(sum).toBeCloseTo((window.coverage().total_deg * Math.PI) / circle_deg, 9);
      },
    ),
    { seed: 6, numRuns: 300 },
  );
});
