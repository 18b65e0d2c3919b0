import { tableFromIPC } from "apache-arrow";
import { expect, test } from "vitest";
import { toArrow } from "../../../runtime/arrow.ts";
import { slice } from "../../../runtime/columns.ts";
import { columnsOf, fromArrowMessages, toArrowMessages } from "../../../runtime/wire/arrow-messages.ts";
import { encodeHeader, joinMessage, KIND, plainHeader } from "../../../runtime/wire/protocol.ts";
import { code, curve, image, label, scalar, type Schema } from "../../../runtime/wire/schema.ts";

const schema: Schema = {
  fields: {
    v: scalar("V"),
    step: code(),
    data: image("1", { shape: [1, 3] }),
    force: curve("N"),
    name: label(),
  },
  metadata: { sample: "Zelle 7, grün" },
};
const columns = {
  time: BigInt64Array.of(1n, 2n ** 62n),
  v: Float64Array.of(NaN, -0),
  step: Int32Array.of(3, 4),
  data: Float32Array.of(1, 2, 3, 4, 5, 6),
  force: { values: Float64Array.of(7, 8, 9), offsets: Int32Array.of(0, 1, 3) },
  name: ["a", "ü"],
};

test.each([
  [0, 2],
  [0, 1],
  [1, 2],
  [1, 1],
])("rows %i to %i of every kind of column come back", (from, to) => {
  const rows = slice(columns, schema.fields, from, to);
  const { schema: first, batch } = toArrowMessages(toArrow(rows, schema));
  const { force, ...read } = columnsOf(fromArrowMessages(first, batch));
  const { force: given, ...expected } = rows;
  expect(read).toEqual(expected);
  const { values, offsets } = given as typeof columns.force;
  const start = offsets[0]!;
  expect(force).toEqual({
    values: values.slice(start, offsets.at(-1)),
    offsets: offsets.map((at) => at - start),
  });
});

test("the schema is the same bytes each time, and with a batch behind it is an Arrow stream", () => {
  const one = toArrowMessages(toArrow(columns, schema));
  const two = toArrowMessages(toArrow(slice(columns, schema.fields, 1, 2), schema));
  expect(two.schema).toEqual(one.schema);
  const table = tableFromIPC([one.schema, one.batch, two.batch]);
  expect(table.numRows).toBe(3);
  expect(table.schema.metadata.get("sample")).toBe("Zelle 7, grün");
});

test("columns are views on the message, not copies", () => {
  const { schema: first, batch } = toArrowMessages(toArrow(columns, schema));
  const message = joinMessage(encodeHeader(plainHeader(KIND.rows, 0)), batch);
  const read = fromArrowMessages(first, message.subarray(64));
  expect(read.data.children[1]!.values.buffer).toBe(message.buffer);
});
