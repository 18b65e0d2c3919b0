import { expect, test } from "vitest";
import { horizontal } from "../../../operators/tomography/planes.ts";
import { SliceEngine, type EngineOptions } from "../../../operators/tomography/slice-engine.ts";
import { KERNELS } from "../../../operators/tomography/slice-kernel.ts";

const COLS = 24;
function engineWith(more: Partial<EngineOptions>): SliceEngine {
  const kernel = KERNELS.wasm({
    planes: [horizontal(0, COLS)], detectorRows: [0], cols: COLS, window: "ram-lak", padding: "zero", middleRow: 0, images: 2, fan: undefined,
  }); // prettier-ignore
  return new SliceEngine({
    kernel, cols: COLS, axis: 11.5, filter: "ram-lak", parallel: true, keepLineIntegrals: true, forgetting: 0, rebuildRate_Hz: 1,
    span: { kind: "angle", period_deg: 180 }, circle_deg: 180, maxGap_deg: 20, maxViews: 100, ...more,
  }); // prettier-ignore
}
const row = (k: number): Float32Array => Float32Array.from({ length: COLS }, (_, i) => Math.sin(i * k) + 1);
function turn(engine: SliceEngine, from: number, to: number): void {
  for (let k = from; k < to; k++) {
    const view = { angle_deg: 10 * k, seconds: k, axis: NaN, shift_x: 0, shift_y: 0, scale: 1, filled: 0 };
    engine.take(engine.filter([view], [row(k)])[0]!);
  }
}

test("without line integrals views keep the filter they came through, and that is said until they leave", () => {
  const engine = engineWith({ keepLineIntegrals: false });
  turn(engine, 0, 30);
  engine.change({ filter: "hann" });
  expect([engine.pending, engine.mixed]).toEqual([false, true]);
  turn(engine, 30, 47);
  expect(engine.mixed).toBe(true);
  turn(engine, 47, 48);
  expect([engine.mixed, engine.shown().filter]).toEqual([false, "hann"]);
  const fresh = engineWith({ filter: "hann" });
  turn(fresh, 30, 48);
  const [one, other] = [engine.picture(0).slice(), fresh.picture(0)];
  for (let i = 0; i < one.length; i++) expect(Math.abs(one[i]! - other[i]!)).toBeLessThan(1e-5);
});

test("a slot is free again when its view has left: as many as the window holds, and those on their way in", () => {
  const engine = engineWith({});
  turn(engine, 0, 400);
  expect(engine.views.length).toBe(18);
  expect(Math.max(...engine.views.map(({ slot }) => slot))).toBeLessThan(20);
});

test("a change while another is under way counts, and the picture from before the first one stands", () => {
  const engine = engineWith({});
  turn(engine, 0, 40);
  const before = engine.picture(0).slice();
  engine.change({ axis: 10 });
  turn(engine, 40, 43);
  engine.change({ filter: "cosine" });
  turn(engine, 43, 46);
  expect(engine.pending).toBe(true);
  expect(engine.picture(0)).toEqual(before);
  expect(engine.shown()).toMatchObject({ axis: 11.5, filter: "ram-lak" });
  engine.finish();
  expect(engine.pending).toBe(false);
  expect(engine.shown()).toMatchObject({ axis: 10, filter: "cosine" });
});
