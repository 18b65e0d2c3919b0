import { expect, test } from "vitest";
import { code, curve, image, scalar, type Fields } from "../../runtime/wire/schema.ts";
import type { StreamEntry } from "../../ui/client/types.ts";
import { choose, sourcesOf } from "../../ui/panels.ts";
import { FakeClient } from "./fake-client.ts";

function entry(stream: string, fields: Fields, rest: Partial<StreamEntry> = {}): [string, StreamEntry] {
  return [
    stream,
    {
      stream, epoch: 0, schema: { fields, metadata: {} }, state: "active", derived: false, provisional: false,
      rows: 0, firstTime: NaN, lastTime: NaN, watermark: NaN, ...rest,
    },
  ]; // prettier-ignore
}

test("the demo's streams make the page", () => {
  const choice = choose(new FakeClient().catalogue);
  expect(choice.panels.map(({ title }) => title)).toEqual([
    "voltage, current",
    "modulus",
    "gas fraction",
    "thickness",
    "force",
  ]);
  expect(choice.panels[1]!.traces[0]).toMatchObject({
    error: "modulus_se",
    band: ["modulus_low", "modulus_high"],
  });
  expect(choice.more.map(({ id }) => id)).toContain("gauge.stack/pressure");
  expect(choice.images.map(({ title }) => title)).toEqual(["slice", "topography", "modulus map"]);
  expect(choice.moreImages.map(({ id }) => id)).toEqual(["xrm.frames/data"]);
  expect(choice.curve).toMatchObject({ stream: "modulus.fits", x: "indentation", y: "force", fit: "fit" });
  expect(choice.scores.map(({ id }) => id)).toEqual(["onset.gas/value+onset.gas/limit"]);
  expect(choice.state).toEqual({ stream: "steps.steps", column: "state" });
});

test("names of nodes do not matter, and the truth of a simulation is not shown as if it were measured", () => {
  const choice = choose(
    new Map([
      entry("anything.truth", { voltage: scalar("V"), current: scalar("A") }),
      entry("kettle.out", { ewe: scalar("V"), i: scalar("mA") }),
    ]),
  );
  expect(choice.panels.map(({ id }) => id)).toEqual(["kettle.out/ewe+kettle.out/i"]);
  expect(
    sourcesOf(new Map([entry("a.truth", {}), entry("b.x", {}), entry("c.y", {}), entry("c.z", {})])),
  ).toEqual([
    { stream: "b.x", name: "b" },
    { stream: "c.y", name: "y" },
    { stream: "c.z", name: "z" },
  ]);
});

test("a joined stream that carries everything along does not displace the cycler", () => {
  const echem = { voltage_volt: scalar("V"), current_ampere: scalar("A") };
  const choice = choose(
    new Map([
      entry("a-join.out", { ...echem, modulus: scalar("Pa") }, { derived: true }),
      entry("z.echem", echem),
    ]),
  );
  expect(choice.voltage?.stream).toBe("z.echem");
  expect(choice.modulus?.stream).toBe("a-join.out");
});

test("streams of unknown units are shown as they are", () => {
  const choice = choose(new Map([entry("a.b", { x: scalar("m"), clicks: scalar("furlong/fortnight") })]));
  expect(choice.panels.map(({ id }) => id)).toEqual(["a.b/clicks"]);
});

test("radiographs alone are shown, force curves without a fit too, and no stream at all is no panel", () => {
  const choice = choose(
    new Map([
      entry("x.frames", { data: image("{count}"), image_key: code() }),
      entry("afm.curves", { height: curve("m"), force: curve("N"), segment: curve("") }),
    ]),
  );
  expect(choice.images.map(({ id }) => id)).toEqual(["x.frames/data"]);
  expect(choice.curve).toEqual({
    id: "afm.curves/force",
    title: "force curve",
    stream: "afm.curves",
    x: "height",
    y: "force",
  });
  expect(choose(new Map())).toMatchObject({ panels: [], more: [], images: [], scores: [], curve: undefined });
});

test("slices that say what they cover stand together as planes, the horizontal first; other images by what they measure", () => {
  const choice = choose(new FakeClient({ tomography: true }).catalogue);
  expect(choice.tomography).toMatchObject({
    node: "tomo",
    planes: [
      { stream: "tomo.slices", plane: undefined },
      { stream: "tomo.front", plane: { axis: "y", at: 12 }, upright: true },
      { stream: "tomo.side", plane: { axis: "x", at: -18 }, upright: true },
    ],
  });
  expect(choice.images.map(({ title, map, scale }) => [title, map, scale])).toEqual([
    ["change, in standard deviations", "diverging", "centred"],
    ["topography", "cividis", "linear"],
    ["modulus map", "viridis", "log"],
  ]);
  const more = choice.moreImages.map(({ title, sort }) => [title, sort]);
  expect(more).toContainEqual(["time of first change", "first change"]);
  expect(more).toContainEqual(["standard error", "error"]);
  expect(more).toContainEqual(["sinogram", "sinogram"]);
  expect(more).toContainEqual(["slice", "slice"]); // of the other node
  // What the planes say of the scan is offered once.
  expect(choice.more.filter(({ title }) => title === "coverage").map(({ id }) => id)).toEqual([
    "tomo.slices/coverage",
  ]);
});

const STATE = { coverage: scalar("deg"), views: scalar("{frame}") };

test("an oblique plane stands last, and of four planes one is left to the list", () => {
  const slice = (plane?: string) => ({
    fields: { data: image("1/mm"), ...STATE },
    metadata: plane ? { plane } : {},
  });
  const choice = choose(
    new Map([
      entry("t.a", {}, { schema: slice("through 0,0,5 normal 1,1,0") }),
      entry("t.b", {}, { schema: slice("x=3") }),
      entry("t.c", {}, { schema: slice("y=0") }),
      entry("t.d", {}, { schema: slice("z=40") }),
    ]),
  );
  expect(choice.tomography!.planes.map(({ port }) => port)).toEqual(["d", "c", "b"]);
  expect(choice.moreImages.map(({ id }) => id)).toEqual(["t.a/data"]);
  expect(choice.images).toEqual([]);
});

test("of several nodes the one with most planes is shown, the others are offered", () => {
  const slice = { fields: { data: image("1/{px}"), ...STATE }, metadata: {} };
  const choice = choose(
    new Map([
      entry("a.slices", {}, { schema: slice }),
      entry("b.slices", {}, { schema: slice }),
      entry("b.front", {}, { schema: { ...slice, metadata: { plane: "y=0" } } }),
    ]),
  );
  expect(choice.tomography?.id).toBe("b/planes");
  expect(choice.moreTomographies.map(({ id }) => id)).toEqual(["a/planes"]);
  expect(choice.moreImages).toEqual([]);
});

test("the error of a pixel comes from beside the image, or from the one stream of errors that fits it", () => {
  const shape = [4, 4];
  const beside = image("1/{px}", { shape, uncertainty: "data_error" });
  const choice = choose(
    new Map([
      entry("a.slices", { data: beside, data_error: image("1/{px}", { shape }), ...STATE }),
      entry("b.slices", { data: image("1/{px}", { shape }) }),
      entry("c.slices", { data: image("1/{px}", { shape: [5, 5] }) }),
      entry("v.error", { data: image("1/{px}", { shape, quantity: "standard error" }) }),
    ]),
  );
  const all = [...choice.tomography!.planes, ...choice.images, ...choice.moreImages];
  const errorOf = (stream: string) =>
    all.find((panel) => panel.stream === stream && panel.sort === "slice")!.error;
  expect(errorOf("a.slices")).toEqual({ stream: "a.slices", column: "data_error" });
  expect(errorOf("c.slices")).toBeUndefined();
  // Two fit: the one beside another image, and the stream. Nobody knows whose it is.
  expect(errorOf("b.slices")).toBeUndefined();
  const alone = choose(
    new Map([
      entry("b.slices", { data: image("1/{px}", { shape }) }),
      entry("v.error", { data: image("1/{px}", { shape, quantity: "standard error" }) }),
    ]),
  );
  expect(alone.images[0]!.error).toEqual({ stream: "v.error", column: "data" });
});
