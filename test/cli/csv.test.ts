import fc from "fast-check";
import { expect, test } from "vitest";
import { csvHeader, csvRows } from "../../cli/csv.ts";
import { code, label, parseTime, scalar } from "../../runtime/index.ts";

/** Cells of RFC 4180, as another program reads them. */
function parse(text: string): string[][] {
  const rows: string[][] = [[]];
  const cell = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n|$)/gy;
  while (cell.lastIndex < text.length) {
    const [, value = "", end] = cell.exec(text)!;
    rows.at(-1)!.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === "\r\n") rows.push([]);
  }
  return rows.slice(0, -1);
}

test("every value is read back, whatever it is", () => {
  const row = fc.record({
    time: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
    value: fc.double(),
    step: fc.integer(),
    note: fc.string({ unit: fc.constantFrom('"', ",", "\r", "\n", "ü", "a", " ") }),
  });
  const schema = { fields: { value: scalar("V"), step: code(), 'a "name", odd': label() }, metadata: {} };
  fc.assert(
    fc.property(fc.array(row, { minLength: 1 }), (rows) => {
      const columns = {
        time: BigInt64Array.from(rows, ({ time }) => time),
        value: Float64Array.from(rows, ({ value }) => value),
        step: Int32Array.from(rows, ({ step }) => step),
        'a "name", odd': rows.map(({ note }) => note),
      };
      const [header, ...cells] = parse(csvHeader(schema) + csvRows(columns, schema, 0n));
      expect(header).toEqual(["time", "seconds [s]", "value [V]", "step", 'a "name", odd']);
      expect(
        cells.map(([time, , value, step, note]) => [parseTime(time!), Number(value), Number(step), note]),
      ).toEqual(rows.map(({ time, value, step, note }) => [time, value === 0 ? 0 : value, step, note]));
    }),
    { seed: 1 },
  );
});
