import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addRuns,
  clearRuns,
  connect,
  noRuns,
  type Labelled,
  type Runs,
} from "../../../operators/image/connected-components.ts";
import { channelWidth } from "../../../operators/image/passage.ts";
import { spansOf } from "../../../operators/image/pixel-spans.ts";
import { follow, type Tracks } from "../../../operators/image/tracks.ts";
import { floodFill, random } from "./pictures.ts"; // prettier-ignore

type Connectivity = "faces" | "corners";

function label(pictures: readonly ArrayLike<number>[], cols: number, connectivity: Connectivity): Labelled & { runs: Runs } {
  const rows = pictures[0]!.length / cols;
  const runs = noRuns();
  clearRuns(runs);
  for (const p of pictures) addRuns(runs, Uint8Array.from(p), cols, spansOf(rows, cols, []));
  return { ...connect(runs, rows, connectivity), runs };
} // prettier-ignore

/** A picture from text: # is inside, + near, . not, ? missing. */
const drawn = (...lines: string[]): number[] =>
  lines.flatMap((line) => [...line].map((c) => ({ "#": 1, "+": 2, "?": 255 })[c] ?? 0));

describe("components", () => {
  const rings = drawn(
    "#####..#",
    "#...#.#.",
    "#.#.#..#",
    "#...#.#+",
    "#####?##",
  ); // prettier-ignore

  test("of a drawn picture, counted by hand", () => {
    const four = label([rings], 8, "faces").components;
    expect(four.map((c) => c.pixels)).toEqual([16, 1, 1, 1, 5]);
    const eight = label([rings], 8, "corners").components;
    expect(eight.map((c) => c.pixels)).toEqual([16, 7, 1]);
    expect(four[4]).toMatchObject({ near: 1, minX: 6, maxX: 7, minY: 2, maxY: 4, y: 16 / 5 });
    // sides that do not touch the same component: the ring's 20 outside and 12 inside
    expect(four[0]!.sides).toBe(32);
  });

  test("that hang together through another slice are one", () => {
    const a = drawn("#.#", "...", "...");
    const b = drawn("###", "...", "..#");
    expect(label([a], 3, "faces").components.length).toBe(2);
    const { components } = label([a, b], 3, "faces");
    expect(components.map((c) => [c.pixels, c.minZ, c.maxZ])).toEqual([[5, 0, 1], [1, 1, 1]]); // prettier-ignore
    expect(components[0]).toMatchObject({ x: 1, y: 0, z: 3 / 5 });
    const diagonal = [drawn("#..", "...", "..."), drawn("...", ".#.", "..."), drawn("...", "...", "..#")];
    expect(label(diagonal, 3, "faces").components.length).toBe(3);
    expect(label(diagonal, 3, "corners").components.length).toBe(1);
  });

  test.each(["faces", "corners"] as const)("equal a flood fill on random fields, near percolation too (%s)", (connectivity) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 19 }), fc.integer({ min: 1, max: 15 }), fc.integer({ min: 1, max: 5 }),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }), fc.integer(),
        (w, h, d, share, seed) => {
          const next = random(seed);
          const pictures = Array.from({ length: d }, () => Uint8Array.from({ length: w * h }, () => (next() < share ? 1 : 0)));
          const inside = (x: number, y: number, z: number): boolean => pictures[z]![y * w + x] === 1;
          const plain = floodFill(inside, [w, h, d], connectivity === "corners");
          const { components, of, runs } = label(pictures, w, connectivity);
          expect(components.map((c) => c.pixels)).toEqual(plain.map((c) => c.size));
          plain.forEach(({ pixels }, index) => {
            const c = components[index]!;
            const at = (i: number): number[] => [i % w, Math.floor(i / w) % h, Math.floor(i / (w * h))];
            const of3 = (k: number): number[] => pixels.map((i) => at(i)[k]!);
            expect([c.minX, c.maxX, c.minY, c.maxY, c.minZ, c.maxZ]).toEqual(
              [0, 1, 2].flatMap((k) => [Math.min(...of3(k)), Math.max(...of3(k))]),
            );
            const mean = (k: number): number => of3(k).reduce((a, b) => a + b) / pixels.length;
            expect([c.x, c.y, c.z]).toEqual([0, 1, 2].map((k) => expect.closeTo(mean(k), 9)));
            const own = new Set(pixels);
            let sides = 0;
            for (const i of pixels) {
              const [x, y, z] = at(i) as [number, number, number];
              for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
                const [nx, ny] = [x + dx, y + dy];
                if (nx < 0 || ny < 0 || nx >= w || ny >= h || !own.has((z * h + ny) * w + nx)) sides++;
              }
            }
            expect(c.sides).toBe(sides);
          });
          for (let line = 0; line < runs.lines; line++)
            for (let i = runs.start[line]!; i < runs.start[line + 1]!; i++)
              expect(plain[of[i]!]!.pixels).toContain(line * w + runs.x0[i]!);
        },
      ),
      { seed: 5, numRuns: 150 },
    );
  }); // prettier-ignore
});

describe("the width of a channel", () => {
  const width = (lines: string[], axis: "x" | "y", connectivity: Connectivity = "faces"): number => {
    const labelled = label([drawn(...lines)], lines[0]!.length, connectivity);
    return channelWidth(labelled, labelled.runs, lines.length, 0, axis, connectivity);
  };

  test("is that of its narrowest place, by the widest way", () => {
    expect(width(["####", "####"], "x")).toBe(2);
    expect(width(["######", "##..##", "##..##", "######", "######"], "x")).toBe(2); // below the hole
    expect(width(["###....", "#######", "###....", "###...."], "x")).toBe(1);
    expect(width(["....##", "....##", "######", "######", "##....", "##...."], "y")).toBe(2);
    expect(width(["#.", ".#"], "x", "corners")).toBe(1);
  });

  test.each(["faces", "corners"] as const)("equals pushing squares of every size through (%s)", (connectivity) => {
    let compared = 0;
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 2, max: 12 }), fc.integer({ min: 1, max: 3 }), fc.integer(), (w, h, d, seed) => {
        const next = random(seed);
        const pictures = Array.from({ length: d }, () => Uint8Array.from({ length: w * h }, () => (next() < 0.85 ? 1 : 0)));
        const labelled = label(pictures, w, connectivity);
        labelled.components.forEach((c, index) => {
          if (c.minX !== 0 || c.maxX !== w - 1) return;
          const [y0, bh, z0, bd] = [c.minY, c.maxY - c.minY + 1, c.minZ, c.maxZ - c.minZ + 1];
          const own = new Set(floodFill((x, y, z) => pictures[z]![y * w + x] === 1, [w, h, d], connectivity === "corners")[index]!.pixels);
          const fits = (s: number) => (x: number, y: number, z: number): boolean => {
            const deep = bd === 1 ? 1 : s;
            if (x + s > w || y + s > bh || z + deep > bd) return false;
            for (let k = 0; k < deep; k++) for (let j = 0; j < s; j++) for (let i = 0; i < s; i++)
              if (!own.has(((z0 + z + k) * h + y0 + y + j) * w + x + i)) return false;
            return true;
          };
          let widest = 0;
          for (let s = 1; s <= Math.min(w, bh); s++) {
            const ways = floodFill(fits(s), [w, bh, bd], connectivity === "corners");
            if (ways.some(({ pixels }) => pixels.some((i) => i % w === 0) && pixels.some((i) => (i % w) + s === w))) widest = s;
          }
          expect(channelWidth(labelled, labelled.runs, h, index, "x", connectivity)).toBe(widest);
          compared++;
        });
      }),
      { seed: 2, numRuns: 150 },
    );
    expect(compared).toBeGreaterThan(50);
  }); // prettier-ignore
});

describe("following", () => {
  /** Follows pictures drawn side by side; gives of each what it holds, "id:pixels", and what happened. */
  function course(minSize: number, ...pictures: string[][]) {
    let state: Tracks | undefined;
    let ids = 0;
    return pictures.map((lines, seconds) => {
      const labelled = label([drawn(...lines)], lines[0]!.length, "faces");
      const followed = follow(state, labelled, labelled.runs, {
        seconds,
        minSize,
        most: 10,
        newId: () => ids++,
      });
      state = followed.state;
      return {
        objects: [...followed.trackOf.values()].map(({ id, pixels }) => `${id}:${pixels}`),
        events: followed.events.map(({ event, track, other }) => [
          ["appeared", "split", "merged", "vanished"][event],
          track.id,
          other,
        ]),
      };
    });
  }

  test("growth and drift keep the number", () => {
    const [, grown, moved] = course(1, ["..#....#"], [".###...#"], ["..###..#"]);
    expect(grown).toEqual({ objects: ["0:3", "1:1"], events: [] });
    expect(moved).toEqual({ objects: ["0:3", "1:1"], events: [] });
  });

  test("of two that merge the larger goes on, the other says into what", () => {
    const [, merged, after] = course(1, ["#..###"], ["######"], ["######"]);
    expect(merged).toEqual({ objects: ["1:6"], events: [["merged", 0, 1]] });
    expect(after!.events).toEqual([]);
  });

  test("of one that splits the larger part goes on, the other is new and says from what", () => {
    const [, split] = course(1, ["#######"], ["##.####"]);
    expect(split).toEqual({ objects: ["1:2", "0:4"], events: [["split", 1, 0]] });
  });

  test("what goes has vanished; its number is not used again", () => {
    const all = course(1, ["#..."], ["...."], ["#..."]);
    expect(all.map(({ events }) => events)).toEqual([
      [["appeared", 0, -1]], [["vanished", 0, -1]], [["appeared", 1, -1]],
    ]); // prettier-ignore
  });

  test("a number begins at the least size, and is kept below it", () => {
    const [small, large, smaller] = course(3, ["##.."], ["###."], ["#..."]);
    expect(small).toEqual({ objects: [], events: [] });
    expect(large).toEqual({ objects: ["0:3"], events: [["appeared", 0, -1]] });
    expect(smaller).toEqual({ objects: ["0:1"], events: [] });
  });

  test("a neighbour touched in passing does not take the number", () => {
    const [, next] = course(1, ["####..##"], ["##.#####"]);
    expect(next).toEqual({ objects: ["0:2", "1:5"], events: [] });
  });
});
