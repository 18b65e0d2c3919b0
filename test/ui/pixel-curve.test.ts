// The curve behind a pixel of a map: which streams belong together, which row it was, its fit or why there is none.
import { expect, test } from "vitest";
import type { StreamEntry } from "../../ui/client/types.ts";
import type { ImagePanel } from "../../ui/image-panels.ts";
import { choose } from "../../ui/panels.ts";
import { PixelCurve, type PixelPick } from "../../ui/pixel-curve.ts";
import { curvesBehind } from "../../ui/wiring.ts";
import { COLUMNS, CURVE_ms, isFitted, MAP_ms, modulusOf, ROWS } from "./fake-afm.ts";
import { FakeClient, START } from "./fake-client.ts";

const HOUR = 3_600_000;
const MAP_3 = START + 4 * MAP_ms - CURVE_ms;

function setUp() {
  const client = new FakeClient({ history: HOUR, afm: true });
  const panel = choose(client.catalogue).images.find(({ id }) => id === "maps.maps/data")!;
  const behind = curvesBehind(panel, client.catalogue, client.manifest)!;
  const pick = (column: number, row: number, time = MAP_3, value?: number): PixelPick => ({
    panel, behind, column, row, columns: COLUMNS, rows: ROWS, time, value: value ?? modulusOf(row * COLUMNS + column, 3),
  }); // prettier-ignore
  return { client, panel, behind, pick };
}

const settled = async (curve: PixelCurve) => {
  for (let i = 0; i < 100 && curve.answer?.searching !== false; i++) await Promise.resolve();
  return curve.answer!;
};

test("a map's curves are those of the node that it reads, fitted and as measured", () => {
  const { behind } = setUp();
  expect(behind).toMatchObject({
    stream: "modulus.modulus",
    value: "modulus",
    error: "modulus_se",
    reason: "valid",
    fits: { stream: "modulus.fits", x: "indentation", y: "force", fit: "fit" },
    curves: { stream: "afm.curves", x: "height", y: "force" },
  });
});

test("where the pipeline says that a map was made of something else, its pixels stand for no curve", () => {
  const { client, panel } = setUp();
  const of = (catalogue: ReadonlyMap<string, StreamEntry>, manifest: Record<string, unknown>, image: ImagePanel = panel) =>
    curvesBehind(image, catalogue, manifest)?.stream;
  const wired = (from: unknown) => ({ pipeline: { operators: { maps: { from } } } });
  expect(of(client.catalogue, wired({ modulus: "modulus.modulus" }))).toBe("modulus.modulus");
  expect(of(client.catalogue, wired("drift.aligned"))).toBeUndefined();
  // A record without its pipeline: the only stream that can be it.
  expect(of(client.catalogue, {})).toBe("modulus.modulus");
  const map = client.catalogue.get("maps.maps")!;
  const other = (schema: Partial<StreamEntry["schema"]>) =>
    new Map([...client.catalogue, ["maps.maps", { ...map, schema: { ...map.schema, ...schema } }]]);
  expect(of(other({ metadata: { grid_columns: "8", grid_rows: "8" } }), {})).toBeUndefined();
  const topography = choose(client.catalogue).images.find(({ sort }) => sort === "topography")!;
  expect(of(client.catalogue, {}, topography)).toBeUndefined();
}); // prettier-ignore

test("the fit is found behind positions that were corrected, and of curves the one that was fitted", () => {
  const { client, panel } = setUp();
  const of = (stream: string, as: string): [string, StreamEntry] => [as, { ...client.catalogue.get(stream)!, stream: as }];
  const catalogue = new Map([...client.catalogue, of("modulus.modulus", "sample.corrected"), of("afm.curves", "flat.corrected")]);
  const operators = {
    flat: { from: "afm.curves" },
    modulus: { from: "flat.corrected" },
    sample: { from: { rows: "modulus.modulus", drift: "drift.drift" } },
    maps: { from: "sample.corrected" },
  };
  expect(curvesBehind(panel, catalogue, { pipeline: { operators } })).toMatchObject({
    stream: "sample.corrected", fits: { stream: "modulus.fits" }, curves: { stream: "flat.corrected" },
  });
}); // prettier-ignore

test("the fit of the pixel's last curve up to the map, with its value and error", async () => {
  const { client, pick } = setUp();
  const curve = new PixelCurve(client, () => {});
  const [column, row] = [9, 7];
  expect(isFitted(row * COLUMNS + column)).toBe(true);
  curve.want(pick(column, row));
  expect(curve.answer).toMatchObject({ searching: true });
  const answer = await settled(curve);
  const time = START + 3 * MAP_ms + (row * COLUMNS + column) * CURVE_ms;
  expect(answer.curve).toMatchObject({ panel: { stream: "modulus.fits" }, row: { time } });
  const GPa = modulusOf(row * COLUMNS + column, 3) / 1e9;
  expect(answer.value).toBe(`${GPa.toFixed(3)} ± ${(GPa / 50).toFixed(3)} GPa`);
  expect(answer.why).toBe("");
  // Which row it is, times and indices alone say.
  expect(client.asked[0]).toMatchObject({ stream: "modulus.modulus", columns: ["index"], lossless: true });
  expect(client.subscriptions).toBe(0);
});

test("a curve that was not fitted is shown as it was measured, with the reason", async () => {
  const { client, pick } = setUp();
  const curve = new PixelCurve(client, () => {});
  expect(isFitted(3)).toBe(false);
  curve.want(pick(3, 0));
  const answer = await settled(curve);
  expect(answer).toMatchObject({ value: "", why: "no contact", curve: { panel: { stream: "afm.curves" } } });
  const { values } = answer.curve!.row.frame.columns["height"] as { values: Float64Array };
  expect(values.length).toBe(60);
});

test("a pixel that the map under way has not reached shows its last curve, and says of which map", async () => {
  const { client, pick } = setUp();
  const curve = new PixelCurve(client, () => {});
  // Half of map 3 is there: the pixel of the last row is from map 2.
  curve.want(pick(2, ROWS - 1, MAP_3 - MAP_ms / 2, NaN));
  const answer = await settled(curve);
  expect(answer.why).toMatch(/^of an earlier map, \d\d:\d\d:\d\d$/);
  expect(answer.curve!.row.time).toBe(START + 2 * MAP_ms + ((ROWS - 1) * COLUMNS + 2) * CURVE_ms);
});

test("a map that was interrupted for long is looked through further back, but not for ever", async () => {
  const { client, pick, behind } = setUp();
  const curve = new PixelCurve(client, () => {});
  // No curve at all for most of an hour before the map's end.
  const last = { ...pick(0, 0, START + 50 * 60_000), value: NaN };
  const sparse: Pick<FakeClient, "subscribe" | "catalogue"> = {
    catalogue: client.catalogue,
    subscribe: (request, receive) => {
      const to = request.to === "live" ? Infinity : request.to;
      return client.subscribe({ ...request, to: Math.min(to, START + 10 * CURVE_ms) }, receive);
    },
  };
  const found = new PixelCurve(sparse, () => {});
  found.want(last);
  expect((await settled(found)).curve?.row.time).toBe(START);
  // A pixel that nobody measured: rows are looked through up to a bound.
  curve.want({ ...pick(0, 0), behind, columns: 400, rows: 400, column: 300, row: 300, value: NaN });
  expect(await settled(curve)).toMatchObject({ curve: undefined, why: "no curve was taken there" });
  expect(client.asked.length).toBeLessThan(40);
});

test("another pixel is asked for at once, the same of a newer map in its turn; letting go ends the questions", async () => {
  const { client, pick } = setUp();
  const curve = new PixelCurve(client, () => {});
  curve.want(pick(1, 1));
  curve.want(pick(5, 5));
  expect(client.subscriptions).toBe(1);
  curve.want(pick(5, 5, MAP_3 + MAP_ms));
  expect(client.subscriptions).toBe(1);
  for (let i = 0; i < 100; i++) await Promise.resolve();
  expect(curve.answer!.pick).toMatchObject({ column: 5, row: 5, time: MAP_3 + MAP_ms });
  expect(curve.answer!.curve!.row.time).toBe(START + 4 * MAP_ms + (5 * COLUMNS + 5) * CURVE_ms);
  curve.want(pick(6, 6));
  curve.close();
  for (let i = 0; i < 100; i++) await Promise.resolve();
  expect(client.subscriptions).toBe(0);
  expect(curve.answer).toBeUndefined();
});
