import { expect, test } from "vitest";
import { registry } from "../../cli/registry.ts";
import { command } from "../helpers/command.ts";

test("every definition has a name of its own, and is listed", async () => {
  const names = [...registry.sources, ...registry.operators, ...registry.sinks].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const { code, out } = await command("list");
  expect(code).toBe(0);
  for (const name of names) expect(out).toContain(`  ${name}`);
});

test("a name shows ports, units and options", async () => {
  const { out } = await command("list", "tomography/flat-field");
  expect(out).toMatch(/^tomography\/flat-field {2}\(operator\)/);
  expect(out).toMatch(/frames +data +image \(row, col\) +\[\{count\}\]/);
  expect(out).toMatch(/projections +data +image \(row, col\) +\[1\]/);
  expect(out).toMatch(/min_signal +quantity +1 \{count\} +F - D below this marks a dead pixel/);
});

test("options that may be changed while it runs are marked", async () => {
  const { out } = await command("list", "image/region");
  expect(out.replace(/\s+/g, " ")).toMatch(/regions list .* may be changed while it runs/);
  const { out: json } = await command("list", "image/region", "--json");
  expect(json).toMatch(/"name": "regions",\s+"kind": "list",\s+"live": true/);
});

test("a group shows all that is in it", async () => {
  const { out } = await command("list", "tomography", "--json");
  const names = (JSON.parse(out) as { name: string }[]).map(({ name }) => name);
  expect(names).toEqual(
    registry.operators.map(({ name }) => name).filter((name) => name.startsWith("tomography/")),
  );
});

test("--json is one document with everything in it", async () => {
  const { out } = await command("list", "--json");
  const all = JSON.parse(out) as { kind: string; name: string; options: { name: string; doc: string }[] }[];
  const some = (...items: object[]): unknown =>
    expect.arrayContaining(items.map((item) => expect.objectContaining(item)));
  const data = { name: "data", kind: "image", type: "f32", unit: "{count}", shape: ["row", "col"] };
  expect(all.find(({ name }) => name === "tomography/flat-field")).toMatchObject({
    kind: "operator",
    inputs: [{ name: "frames", columns: some(data, { name: "rotation_angle" }, { name: "image_key" }) }],
    outputs: [
      {
        name: "projections",
        columns: some({ name: "data", unit: "1" }, { name: "rotation_angle", unit: "deg" }),
      },
      { name: "flux", columns: [{ name: "data", unit: "{count}" }] },
    ],
    options: some({ name: "min_signal", kind: "quantity", unit: "{count}", default: 1 }),
  });
});

test("a name that nothing has", async () => {
  const { code, out, err } = await command("list", "tomography/flatfield");
  expect([code, out]).toEqual([2, ""]);
  expect(err).toMatch(/did you mean tomography\/flat-field\?/);
});
