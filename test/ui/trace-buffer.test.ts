import fc from "fast-check";
import { expect, test } from "vitest";
import type { TraceFrame } from "../../ui/client/types.ts";
import { TraceBuffer } from "../../ui/trace-buffer.ts";

function frame(time: number[], values: number[], reset = false): TraceFrame {
  const v = Float64Array.from(values);
  const count = Uint32Array.from(values, (x) => Number(!Number.isNaN(x)));
  return {
    kind: "trace",
    time: Float64Array.from(time),
    columns: { v: { min: v, max: v, count } },
    reset,
    dropped: 0,
  };
}

const held = (buffer: TraceBuffer) => [...buffer.time.subarray(0, buffer.length)];

test("holds what was pushed, and a reset replaces it", () => {
  const buffer = new TraceBuffer(8);
  buffer.push(frame([1, 2, 3], [10, NaN, 30]));
  expect(buffer.extent("v", 0, 9)).toEqual([10, 30]);
  expect(buffer.at("v", 2.5)).toMatchObject({ time: 1, min: 10 });
  expect(buffer.at("v", 0.5)).toBeUndefined();
  buffer.push(frame([7], [70], true));
  expect(held(buffer)).toEqual([7]);
});

test("an open bucket that is sent again takes its own place", () => {
  const buffer = new TraceBuffer(8);
  buffer.push(frame([1, 2], [10, 20]));
  buffer.push(frame([2, 3], [25, 30]));
  expect(held(buffer)).toEqual([1, 2, 3]);
  expect(buffer.at("v", 2)).toMatchObject({ min: 25 });
});

test("a copy stands still while the original goes on", () => {
  const buffer = new TraceBuffer(8);
  buffer.push(frame([1, 2], [10, 20]));
  const copy = buffer.copy();
  buffer.push(frame([3], [30]));
  expect(held(copy)).toEqual([1, 2]);
  expect(held(buffer)).toEqual([1, 2, 3]);
});

test("never holds more than its capacity, and always the newest, however frames are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 }), (sizes) => {
      const buffer = new TraceBuffer(16);
      let next = 0;
      for (const size of sizes) {
        const time = Array.from({ length: size }, (_, i) => next + i);
        buffer.push(frame(time, time));
        next += size;
      }
      expect(buffer.length).toBeLessThanOrEqual(16);
      const kept = held(buffer);
      expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => next - kept.length + i));
      expect(kept.length).toBeGreaterThanOrEqual(Math.min(next, 12));
      for (const t of kept) expect(buffer.at("v", t)).toMatchObject({ time: t, min: t });
    }),
    { seed: 3 },
  );
});

test("a column that a frame leaves out was not measured there", () => {
  const buffer = new TraceBuffer(8);
  buffer.push(frame([1], [10]));
  buffer.push({ ...frame([2], [20]), columns: {} });
  expect(buffer.at("v", 2)).toMatchObject({ time: 1 });
});
