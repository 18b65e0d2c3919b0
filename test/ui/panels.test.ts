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
