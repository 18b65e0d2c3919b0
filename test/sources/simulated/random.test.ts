import { expect, test } from "vitest";
import { Random } from "../../../sources/simulated/random.ts";

const take = (n: number, draw: () => number): number[] => Array.from({ length: n }, draw);

test("the same seed and name give the same numbers; another of either gives others", () => {
  const some = (seed: number, name: string): number[] => {
    const random = new Random(seed, name);
    return take(20, () => random.uniform());
  };
  expect(some(1, "a")).toEqual(some(1, "a"));
  expect(some(1, "a")).not.toEqual(some(2, "a"));
  expect(some(1, "a")).not.toEqual(some(1, "b"));
});

test.each([3, 40, 200, 20000])("Poisson numbers of mean %d have that mean and variance", (mean) => {
  const random = new Random(7, "poisson");
  const numbers = take(20000, () => random.poisson(mean));
  const average = numbers.reduce((a, b) => a + b) / numbers.length;
  const variance = numbers.reduce((a, b) => a + (b - average) ** 2, 0) / numbers.length;
  expect(Math.abs(average - mean)).toBeLessThan(4 * Math.sqrt(mean / 20000));
  expect(variance / mean).toBeCloseTo(1, 1);
});

test("normal, exponential and lognormal numbers", () => {
  const random = new Random(3, "laws");
  const normal = take(40000, () => random.normal());
  const mean = (x: number[]): number => x.reduce((a, b) => a + b) / x.length;
  expect(mean(normal)).toBeCloseTo(0, 1);
  expect(mean(normal.map((z) => z * z))).toBeCloseTo(1, 1);
  expect(mean(normal.map((z) => z ** 4))).toBeCloseTo(3, 0);
  expect(mean(take(40000, () => random.exponential(5)))).toBeCloseTo(5, 0);
  expect(mean(take(40000, () => Math.log(random.lognormal(10, 0.8))))).toBeCloseTo(Math.log(10), 1);
});
