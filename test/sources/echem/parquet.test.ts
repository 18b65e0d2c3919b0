import { expect, test } from "vitest";
import { bdfParquet } from "../../../sources/echem/parquet.ts";
import { parquetBytes, type ParquetColumn } from "./parquet-bytes.ts";
import { readWhole } from "./read-all.ts";

const two = { voltage_volt: { type: "double", values: [3, 3.5] }, current_ampere: { type: "double", values: [1, 2] } } as const; // prettier-ignore
const instants_ns = [1_719_933_538_500_000_000n, 1_719_933_539_500_000_000n];

test.each<[string, string, ParquetColumn]>([
  ["ms by its name", "date_time_millisecond", { type: "int64", values: [1719933538500, 1719933539500] }],
  ["ms by its type and its name", "date_time_millisecond", { type: "int64", values: [1719933538500, 1719933539500], timestamp: "ms" }],
  ["us by its type, s by its name", "unix_time_second", { type: "int64", values: [1719933538500000, 1719933539500000], timestamp: "us" }],
  ["96 bits", "unix_time_second", { type: "int96", values: instants_ns.map(Number) }],
])("a time in %s", async (_, name, column) => {
  const bytes = parquetBytes({ test_time_second: { type: "double", values: [0, 1] }, ...two, [name]: column });
  const { columns, time, reader } = await readWhole(bdfParquet, bytes);
  expect(columns["unix_time_second"]).toEqual([1719933538.5, 1719933539.5]);
  expect(time).toEqual(instants_ns);
  expect(reader.start).toEqual({ instant: instants_ns[0] });
}); // prettier-ignore

test("a first row without its own time: the next tells the start", async () => {
  const bytes = parquetBytes({ test_time_second: { type: "double", values: [0, 1] }, ...two, unix_time_second: { type: "double", values: [null, 1719933539.5] } }); // prettier-ignore
  const { time, reader } = await readWhole(bdfParquet, bytes);
  expect(reader.start).toEqual({ instant: 1_719_933_538_500_000_000n });
  expect(time).toEqual([1_719_933_538_500_000_000n, 1_719_933_539_500_000_000n]);
});
