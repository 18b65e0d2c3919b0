import { expect, test } from "vitest";
import { registry } from "../../cli/registry.ts";
import { code, defineSource, image, scalar, type SourceItem } from "../../runtime/index.ts";
import { threadUrl } from "../../runtime/thread-url.ts";
import { startInThreads } from "../../runtime/workers.ts";
import { runToEnd } from "../helpers/graph.ts";

const frames = defineSource({
  name: "test/frames",
  output: {
    frames: { data: image("{count}", { shape: [2, 2] }), rotation_angle: scalar("deg"), image_key: code() },
  },
  config: {},
  async *open() {
    for (let i = 0; i < 40; i++) {
      const key = i === 0 ? 2 : i === 1 ? 1 : 0;
      const data = Float32Array.of(10, 20, 30, 40).map((v) => (key === 2 ? 10 : key === 1 ? 110 : v + i));
      yield {
        rows: {
          frames: {
            time: BigInt64Array.of(BigInt(i)),
            data,
            rotation_angle: Float64Array.of(i),
            image_key: Int32Array.of(key),
          },
        },
      } satisfies SourceItem;
    }
  },
});
const flatField = registry.operators.find(({ name }) => name === "tomography/flat-field")!;
const startElsewhere = startInThreads(threadUrl(import.meta.url, "cli/registry.js"), 2);

test("an operator gives the same rows in a thread as here", async () => {
  const at = async (place: string) => {
    const { rows, failures } = await runToEnd(
      {
        sources: { xrm: { use: frames } },
        operators: { flat: { use: flatField, from: "xrm.frames", place } },
      },
      { startElsewhere },
    );
    expect(failures).toEqual([]);
    return rows["flat.projections"];
  };
  const here = await at("main");
  expect(here!.time.length).toBe(38);
  expect(await at("worker")).toEqual(here);
});

test("a thread that cannot start parks its operator and says why", async () => {
  const { failures } = await runToEnd(
    {
      sources: { xrm: { use: frames } },
      operators: { flat: { use: flatField, from: "xrm.frames", place: "worker" } },
    },
    { startElsewhere: startInThreads(new URL("file:///nowhere/registry.js")) },
  );
  expect(failures.map(({ node }) => node)).toEqual(["flat"]);
  expect(failures[0]!.error.message).toMatch(/nowhere/);
});
