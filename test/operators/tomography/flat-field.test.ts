import fc from "fast-check";
import { expect, test } from "vitest";
import { flatField } from "../../../operators/tomography/flat-field.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";

// dark 10, beam 100; the sample lets 1, 1/2 and 0 through; the last pixel is dead
const frames = {
  time: BigInt64Array.of(1n, 2n, 3n),
  data: Float32Array.of(10, 10, 10, 10, 110, 110, 110, 10, 110, 60, 10, 10),
  rotation_angle: Float64Array.of(0, 0, 30),
  image_key: Int32Array.of(2, 1, 0),
};
const schema = { frames: { ...flatField.input.frames, data: image("{count}", { shape: [2, 2] }) } };

test.each([1, 2, 3])("finds the transmission it was made from, in batches of %i", (rows) => {
  const { projections, faults } = feed(flatField, { frames }, { schema, rows });
  expect([...projections.data]).toEqual([1, 0.5, 0, NaN]);
  expect(faults).toEqual([]);
});

test("a projection before its flat field is a fault, not a picture", () => {
  const first = { ...frames, image_key: Int32Array.of(2, 0, 1) };
  const { projections, faults } = feed(flatField, { frames: first }, { schema });
  expect(projections.time.length).toBe(0);
  expect(faults[0].what).toMatch(/projection came before its flat field/);
});

/** Rows of one pixel: [image_key, counts]. */
const rowsOf = (rows: readonly (readonly [key: number, counts: number])[]) => ({
  time: BigInt64Array.from(rows, (_, i) => BigInt(i)),
  data: Float32Array.from(rows, ([, counts]) => counts),
  rotation_angle: Float64Array.from(rows, (_, i) => i),
  image_key: Int32Array.from(rows, ([key]) => key),
});
const pixel = { frames: { ...flatField.input.frames, data: image("{count}", { shape: [1, 1] }) } };

test("flats and darks taken in one go are averaged; those after a projection begin anew", () => {
  const frames = rowsOf([
    [2, 8], [2, 12], [1, 100], [1, 110], [1, 120], [0, 60], // dark 10, flat 110
    [1, 210], [0, 60], [0, 110], // the same dark, flat 210
    [2, 20], [2, 40], [0, 120], // dark 30, the same flat
  ]); // prettier-ignore
  const { projections } = feed(flatField, { frames }, { schema: pixel });
  expect([...projections.data]).toEqual([0.5, 0.25, 0.5, 0.5]);
});

test("gain and offset of the detector cancel", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 100 }),
      fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 20 }),
      (gain, offset, beams) => {
        const scan = (f: (x: number) => number) =>
          rowsOf([[2, f(3)], [2, f(5)], [1, f(1004)], [1, f(1006)], ...beams.map((b) => [0, f(b)] as const)]);
        const of = (frames: ReturnType<typeof scan>) => feed(flatField, { frames }, { schema: pixel }).projections.data;
        expect(of(scan((x) => gain * x + offset))).toEqual(of(scan((x) => x)));
      },
    ),
    { seed: 5, numRuns: 100 },
  );
}); // prettier-ignore

test("cut anywhere, saved and loaded anywhere: the same bits", () => {
  const frames = rowsOf(
    Array.from({ length: 40 }, (_, i) => [[2, 1, 1, 0, 0, 3, 0][i % 7]!, 100 + ((i * 37) % 91) / 7]),
  );
  const whole = feed(flatField, { frames }, { schema: pixel });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.integer({ min: 1, max: 30 })),
      (rows, reloadAfter) => {
        expect(feed(flatField, { frames }, { schema: pixel, rows, reloadAfter })).toEqual(whole);
      },
    ),
    { seed: 6, numRuns: 30 },
  );
});
