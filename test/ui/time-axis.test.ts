import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HOUR, MINUTE, TimeAxis } from "../../ui/time-axis.ts";

function axisAt(newest: number, first = 0): TimeAxis {
  const axis = new TimeAxis();
  axis.begin(first);
  axis.advance(newest);
  return axis;
}

describe("a time axis", () => {
  test("follows the newest row, and never goes back", () => {
    const axis = axisAt(HOUR);
    axis.advance(2 * HOUR);
    axis.advance(HOUR);
    expect(axis.range).toEqual({ from: 2 * HOUR - 10 * MINUTE, to: 2 * HOUR });
  });

  test("shows the whole run however long it gets", () => {
    const axis = axisAt(HOUR);
    axis.follow("all");
    axis.advance(3 * HOUR);
    expect(axis.range).toEqual({ from: 0, to: 3 * HOUR });
  });

  test("shows all there is while the run is younger than the width that was chosen", () => {
    const axis = axisAt(3 * MINUTE, MINUTE);
    axis.follow(HOUR);
    expect(axis.range).toEqual({ from: MINUTE, to: 3 * MINUTE });
    expect(axis.width).toBe("all");
    axis.advance(90 * MINUTE);
    expect(axis.range).toEqual({ from: 30 * MINUTE, to: 90 * MINUTE });
    expect(axis.width).toBe(HOUR);
  });

  test("stands still while paused, and goes on as wide as before", () => {
    const axis = axisAt(HOUR);
    axis.follow("all");
    axis.pause();
    axis.advance(2 * HOUR);
    expect(axis.range).toMatchObject({ from: 0, to: HOUR });
    axis.resume();
    expect(axis.range).toEqual({ from: 0, to: 2 * HOUR });
  });

  test("goes live as wide as what was zoomed to", () => {
    const axis = axisAt(HOUR);
    axis.zoom(20 * MINUTE, 23 * MINUTE);
    expect(axis.live).toBe(false);
    axis.goLive();
    expect(axis.range).toEqual({ from: HOUR - 3 * MINUTE, to: HOUR });
  });

  test("goes live where one pans past the newest row", () => {
    const axis = axisAt(HOUR);
    axis.zoom(30 * MINUTE, 50 * MINUTE);
    axis.pan(-0.5);
    expect(axis.range).toMatchObject({ from: 20 * MINUTE, to: 40 * MINUTE });
    axis.pan(1);
    expect(axis.live).toBe(true);
    expect(axis.range).toEqual({ from: 40 * MINUTE, to: HOUR });
  });

  test("tells of a cursor once", () => {
    const axis = axisAt(HOUR);
    const said: string[] = [];
    const stop = axis.onChange((change) => said.push(change));
    axis.point(5);
    axis.point(5);
    axis.point(undefined);
    stop();
    axis.point(6);
    expect(said).toEqual(["cursor", "cursor"]);
  });

  test("keeps what lies under the cursor where it is when it magnifies, forwards and back", () => {
    const span = fc.tuple(
      fc.integer({ min: 0, max: 1000 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.double({ min: 0.05, max: 0.95, noNaN: true }),
    );
    fc.assert(
      fc.property(span, ([from_s, width_s, share]) => {
        const axis = axisAt(1e9);
        const [from, to] = [from_s * 1000, (from_s + width_s) * 1000];
        axis.zoom(from, to);
        axis.point(from + share * (to - from));
        axis.magnify(0.5);
        const half = axis.range;
        expect((axis.cursor! - half.from) / (half.to - half.from)).toBeCloseTo(share, 6);
        axis.magnify(2);
        expect(axis.range.from).toBeCloseTo(from, 3);
        expect(axis.range.to).toBeCloseTo(to, 3);
      }),
      { seed: 7 },
    );
  });
});
