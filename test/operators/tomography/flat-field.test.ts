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
