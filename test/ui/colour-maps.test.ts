import fc from "fast-check";
import { expect, test } from "vitest";
import { colourAt, limits, paint, shareOf, table, type ColourMap } from "../../ui/colour-maps.ts";

test("maps run from their first colour to their last", () => {
  expect(colourAt("viridis", 0)).toEqual([0x44, 0x01, 0x54]);
  expect(colourAt("viridis", 1)).toEqual([0xfd, 0xe7, 0x25]);
  expect(colourAt("diverging", 0.5)).toEqual([0xf7, 0xf7, 0xf7]);
  expect(colourAt("grey", -3)).toEqual(colourAt("grey", 0));
});

test.each<ColourMap>(["grey", "viridis", "cividis"])("%s gets lighter all the way", (map) => {
  const linear = (c: number) => (c / 255) ** 2.2;
  const lightness = Array.from({ length: 101 }, (_, i) => {
    const [r, g, b] = colourAt(map, i / 100);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  });
  for (let i = 1; i < lightness.length; i++) expect(lightness[i]!).toBeGreaterThanOrEqual(lightness[i - 1]!);
});

test("limits pass over the odd hot pixel and over what was not measured", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => i / 1000);
  values[17] = 1e9;
  values[18] = NaN;
  const { low, high } = limits(values, "linear")!;
  expect(low).toBeGreaterThanOrEqual(0);
  expect(high).toBeLessThanOrEqual(1);
  expect(limits([NaN, NaN], "linear")).toBeUndefined();
  expect(limits([-3, 0, 1, 100], "log")).toEqual({ low: 1, high: 100 });
  expect(limits([-1, 0, 4], "centred")).toEqual({ low: -4, high: 4 });
});

test("what is not measured stays transparent, and everything else is opaque", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constant(NaN), fc.double({ min: -5, max: 5, noNaN: true })), { minLength: 1 }),
      (values) => {
        const pixels = new Uint32Array(values.length);
        paint(values, pixels, { map: "viridis", limits: { low: -1, high: 1 }, log: false });
        values.forEach((value, i) => expect(pixels[i]! >>> 24).toBe(Number.isNaN(value) ? 0 : 255));
      },
    ),
    { seed: 5 },
  );
});

test("on a logarithmic scale equal ratios are equal steps, and what has no logarithm is missing", () => {
  expect(shareOf(10, { low: 1, high: 100 }, true)).toBeCloseTo(0.5, 12);
  expect(shareOf(-1, { low: 1, high: 100 }, true)).toBeNaN();
});

test("painting takes the colour of each value's share, whatever the way", () => {
  const limits = { low: -1.5, high: 2.25 };
  const values = Float32Array.from({ length: 4096 }, (_, i) => (i % 97 === 0 ? [NaN, Infinity, -Infinity][i % 3]! : (i - 2048) / 700)); // prettier-ignore
  const pixels = new Uint32Array(values.length).fill(7);
  paint(values, pixels, { map: "grey", limits, log: false });
  const colours = table("grey");
  values.forEach((value, i) => {
    const share = shareOf(value, limits, false);
    expect(pixels[i]).toBe(
      Number.isNaN(value) ? 0 : colours[Math.round(Math.min(1, Math.max(0, share)) * 255)],
    );
  });
});
