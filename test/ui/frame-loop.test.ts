import { expect, test } from "vitest";
import { FrameLoop, type Drawable } from "../../ui/frame-loop.ts";

/** A clock that moves when something is drawn, and frames that come when asked for. */
function setUp(cost_ms: number) {
  let now = 0;
  const waiting: (() => void)[] = [];
  const loop = new FrameLoop({ now: () => now, request: (callback) => void waiting.push(callback) });
  const drawn: string[] = [];
  const chart = (name: string, heavy = true, visible = true): Drawable => ({
    heavy,
    visible,
    draw() {
      drawn.push(name);
      if (heavy) now += cost_ms;
    },
  });
  const frame = () => {
    drawn.length = 0;
    for (const callback of waiting.splice(0)) callback();
    return [...drawn];
  };
  return { loop, chart, frame, waiting };
}

test("draws what is dirty and visible once, and then sleeps", () => {
  const { loop, chart, frame, waiting } = setUp(1);
  const [a, b] = [chart("a"), chart("hidden", true, false)];
  loop.invalidate(a);
  loop.invalidate(a);
  loop.invalidate(b);
  expect(waiting).toHaveLength(1);
  expect(frame()).toEqual(["a"]);
  expect(waiting).toHaveLength(0);
});

test("after a slow frame the heavy ones take turns, the light ones never wait, and nothing is forgotten", () => {
  const { loop, chart, frame, waiting } = setUp(5);
  const all = ["a", "b", "c", "d"].map((name) => chart(name));
  const light = chart("light", false);
  for (const drawable of [...all, light]) loop.invalidate(drawable);
  expect(frame()).toEqual(["a", "b", "c", "d", "light"]);
  for (const drawable of [...all, light]) loop.invalidate(drawable);
  expect(frame()).toEqual(["a", "b", "light"]);
  for (const drawable of [all[0]!, light]) loop.invalidate(drawable);
  expect(frame()).toEqual(["c", "d", "a", "light"]); // the last frame was quick enough again
  expect(waiting).toHaveLength(0);
});

test("tells after each frame that drew, and forgets what was removed", () => {
  const { loop, chart, frame } = setUp(1);
  let told = 0;
  const stop = loop.onDrawn(() => told++);
  const a = chart("a");
  loop.invalidate(a);
  frame();
  loop.invalidate(a);
  loop.remove(a);
  expect(frame()).toEqual([]);
  expect(told).toBe(1);
  stop();
});
