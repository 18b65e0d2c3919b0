import { expect, test } from "vitest";
import { AnglesSeen, filledArcs, onDial } from "../../ui/coverage.ts";

const half = { span: 180, direction: 1 } as const;

test.each([
  ["not yet begun", { angle: 0, coverage: 0, largestGap: 180, ...half }, []],
  ["behind the newest angle", { angle: 70, coverage: 60, largestGap: 120, ...half }, [[10, 70]]],
  ["over the end of a half-turn", { angle: 190, coverage: 30, largestGap: 150, ...half }, [[160, 180], [0, 10]]],
  ["turning back", { angle: 40, coverage: 30, largestGap: 150, ...half, direction: -1 as const }, [[40, 70]]],
  ["negative angles", { angle: -30, coverage: 30, largestGap: 150, ...half }, [[120, 150]]],
  ["full", { angle: 3254, coverage: 180, largestGap: 0.5, ...half }, [[0, 180]]],
  ["a fan's full turn", { angle: 10, coverage: 200, largestGap: 160, ...half, span: 360 as const }, [[170, 360], [0, 10]]],
  ["golden angles, in pieces", { angle: 222, coverage: 40, largestGap: 60, ...half }, undefined],
])("%s", (_, covered, arcs) => {
  expect(filledArcs(covered)).toEqual(arcs);
}); // prettier-ignore

test("the hand stands where the view came from, seen against the clock", () => {
  const [x, y] = onDial(450, 360, 2);
  expect([x, y]).toEqual([expect.closeTo(0, 12), expect.closeTo(-2, 12)]);
  expect(onDial(180, 180, 2)[0]).toBe(2); // of half a turn the end is its beginning
});

test("the way that it turns, and as many angles as there are views", () => {
  const angles = new AnglesSeen();
  for (const angle of [10, 20, 20, NaN, 30]) angles.see(angle);
  expect([angles.direction, angles.newest(2)]).toEqual([1, [20, 30]]);
  angles.see(25);
  expect(angles.direction).toBe(-1);
  for (let i = 0; i < 5000; i++) angles.see(i);
  expect(angles.newest(1e6).length).toBe(720);
});
