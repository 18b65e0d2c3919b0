import fc from "fast-check";
import { expect, test } from "vitest";
import { numberOf, textTable, unquoted, type TextColumn } from "../../../sources/echem/text-table.ts";

const f64 = (...names: string[]): TextColumn[] => names.map((name) => ({ name, type: "f64" }));

test("cells become columns of their types", () => {
  const table = textTable({
    separator: "\t",
    decimal: ".",
    columns: [
      { name: "t", type: "f64" },
      { name: "V", type: "f32" },
      { name: "step", type: "u16" },
      { name: "over", type: "label" },
      { name: "", type: "skip" },
      { name: "cycle", type: "i32" },
    ],
  });
  const { columns, rows, lines, problems } = table.parse(
    ["0\t3.7\t1\t..a\tx\t-4", "", "1.5\t 3.6 \t65535\t\ty\t7\t"],
    11,
  );
  expect(problems).toEqual([]);
  expect(rows).toBe(2);
  expect([...lines]).toEqual([11, 13]);
  expect(columns).toEqual({
    t: Float64Array.of(0, 1.5),
    V: Float32Array.of(3.7, 3.6),
    step: Uint16Array.of(1, 65535),
    over: ["..a", ""],
    cycle: Int32Array.of(-4, 7),
  });
});

test.each([
  ["point", { decimal: "." }, "1.5;-2.25e3;.5;7.", [1.5, -2250, 0.5, 7]],
  ["comma", { decimal: "," }, "1,5;-2,25e3;,5;7,", [1.5, -2250, 0.5, 7]],
  ["a point where commas are is no number", { decimal: "," }, "1.5;0;0;0", [NaN, 0, 0, 0]],
  ["either", { decimal: "either" }, "1,5;1.5;1,5E+002;90,0001", [1.5, 1.5, 150, 90.0001]],
  ["thousands", { decimal: ".", thousands: "," }, "1,234.5;12,345,678;-1,000;999", [1234.5, 12345678, -1000, 999]],
  ["thousands in the German way", { decimal: ",", thousands: "." }, "1.234,5;12.345.678;-1.000;0,5", [1234.5, 12345678, -1000, 0.5]],
  ["thousands by spaces", { decimal: ",", thousands: " " }, "1 234,5;12 345;1;2", [1234.5, 12345, 1, 2]],
  ["groups that are none", { decimal: ".", thousands: "," }, "1,23;12,3456;1,,000;1", [NaN, NaN, NaN, 1]],
] as const)("numbers with %s", (_, dialect, line, wanted) => {
  const table = textTable({ separator: ";", columns: f64("a", "b", "c", "d"), ...dialect });
  expect(Object.values(table.parse([line], 1).columns).map((column) => (column as Float64Array)[0])).toEqual(wanted);
}); // prettier-ignore

test("what programs write for no number is missing and no problem; what is infinite stays so", () => {
  const table = textTable({ separator: "\t", decimal: "either", columns: f64("a") });
  const said = ["NaN", "-nan(ind)", "1.#QNAN0E+000", "-1,#IND000E+000", "---", "N/A", "1.#INF", "-inf"];
  const { columns, problems } = table.parse(said, 1);
  expect(columns["a"]).toEqual(Float64Array.of(NaN, NaN, NaN, NaN, NaN, NaN, Infinity, -Infinity));
  expect(problems).toEqual([]);
});

test("quotes", () => {
  expect(unquoted('a,"b,c","say ""so""",,"d"', ",")).toEqual(["a", "b,c", 'say "so"', "", "d"]);
  expect(unquoted('"never ends, 1', ",")).toEqual(["never ends, 1"]);
  const table = textTable({ separator: ",", decimal: ".", quotes: true, thousands: ",", columns: [{ name: "a", type: "label" }, ...f64("b")] }); // prettier-ignore
  const { columns, problems } = table.parse(['"x, ""y""","1,234.5"', "plain,2", '"z",3,'], 1);
  expect(columns).toEqual({ a: ['x, "y"', "plain", "z"], b: Float64Array.of(1234.5, 2, 3) });
  expect(problems).toEqual([]);
});

test("lines with another number of cells are told and left out; separators at the end do not count", () => {
  const table = textTable({ separator: ",", decimal: ".", columns: f64("a", "b", "c") });
  const { columns, lines, problems } = table.parse(["1,2,3,,", "1,2", "4,5,6,7", "7,8,9", ",,", "  "], 20);
  expect(columns).toEqual({ a: Float64Array.of(1, 7), b: Float64Array.of(2, 8), c: Float64Array.of(3, 9) });
  expect([...lines]).toEqual([20, 23]);
  expect(problems).toEqual([
    { where: "line 21", what: "has 2 cells where the columns are 3; such lines are left out (2 such from here on)", unread: true, count: 2 },
  ]); // prettier-ignore
});

test("ragged lines end early", () => {
  const table = textTable({ separator: ",", decimal: ".", ragged: true, columns: [...f64("a", "b"), { name: "c", type: "label" }] }); // prettier-ignore
  const { columns, problems } = table.parse(["1", "2,3,x", "4,5,y,6"], 1);
  expect(columns).toEqual({ a: Float64Array.of(1, 2), b: Float64Array.of(NaN, 3), c: ["", "x"] });
  expect(problems).toMatchObject([{ where: "line 3", unread: true, count: 1 }]);
  const limited = textTable({ separator: ",", decimal: ".", ragged: 2, columns: f64("a", "b", "c") });
  expect([...limited.parse(["1", "2,3", "4,5,6"], 1).lines]).toEqual([2, 3]);
});

test("cells that cannot be read are missing, and told once a column", () => {
  const table = textTable({
    separator: "\t", decimal: ".",
    columns: [...f64("V"), { name: "Ns", type: "u8" }, { name: "half", type: "i32" }],
  }); // prettier-ignore
  const { columns, problems } = table.parse(["3.7\t1\t2", "3.x\t256\t", "\t\t1.5", "12 V\t1\t-1"], 5);
  expect(columns).toEqual({ V: Float64Array.of(3.7, NaN, NaN, NaN), Ns: Uint8Array.of(1, 255, 255, 1), half: Int32Array.of(2, -1, -1, -1) }); // prettier-ignore
  expect(problems).toEqual([
    { where: "line 6", what: 'column "V" says "3.x", which is no number; read as NaN, which is to say missing (2 such from here on)', count: 2 },
    { where: "line 6", what: 'column "Ns" says "256" where a whole number from 0 to 255 should be; read as 255, which is to say missing (2 such from here on)', count: 2 },
    { where: "line 6", what: 'column "half" says nothing where a whole number from -2147483648 to 2147483647 should be; read as -1, which is to say missing (2 such from here on)', count: 2 },
  ]); // prettier-ignore
});

test("a column may read its cells itself", () => {
  const hours = (cell: string): number => (cell.endsWith("h") ? 3600 * Number(cell.slice(0, -1)) : NaN);
  const table = textTable({ separator: "\t", decimal: ".", columns: [{ name: "t", type: "f64", parse: hours }] }); // prettier-ignore
  const { columns, problems } = table.parse(["2h", "", " 0.5h", "3"], 1);
  expect(columns["t"]).toEqual(Float64Array.of(7200, 1800, NaN));
  expect(problems).toMatchObject([{ where: "line 4", count: 1 }]);
});

test("numbers are what Number() says, to the last bit", () => {
  const [point, comma] = [numberOf({ decimal: "." }), numberOf({ decimal: "," })];
  const same = (text: string): void => {
    expect(point(text)).toBe(Number(text));
    expect(comma(text.replace(".", ","))).toBe(Number(text));
  };
  for (const text of ["9007199254740992", "9007199254740993", "9.007199254740993", "-0", "0.000E-999", "1e22", "1e23", "123e-22", "8.5e-310", "1e999", "4.9e-324", "2.065059947832196E+001", "0.30000000000000004"])
    same(text);
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: 0, max: 20 }), (value, digits) => {
    same(String(value));
    same(value.toExponential(digits));
    same(value.toExponential(digits).replace(/e([-+])(\d+)$/, (_all, sign: string, power: string) => `E${sign}${power.padStart(3, "0")}`));
    if (Math.abs(value) < 1e20) same(value.toFixed(digits));
  }), { numRuns: 2000, seed: 3 });
}); // prettier-ignore

test("what is no number is NaN, whatever stands beside it", () => {
  const point = numberOf({ decimal: "." });
  for (const text of ["", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "1_000", "1,5", "1 2", "Infinit"]) expect(point(text), text).toBeNaN(); // prettier-ignore
});

test("where lines are cut between calls does not matter", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.double({ noNaN: true }), fc.integer({ min: -5, max: 70000 }), fc.string({ unit: "grapheme-ascii" })), { maxLength: 40 }),
      fc.nat(40),
      (rows, at) => {
        const table = textTable({ separator: "\t", decimal: ".", columns: [...f64("a"), { name: "b", type: "u16" }, { name: "c", type: "label" }] });
        const lines = rows.map(([a, b, c]) => `${a}\t${b}\t${c.replaceAll("\t", " ")}`);
        const whole = table.parse(lines, 1);
        const [one, two] = [table.parse(lines.slice(0, at), 1), table.parse(lines.slice(at), 1 + Math.min(at, lines.length))];
        for (const name of ["a", "b", "c"]) expect([...one.columns[name]!, ...two.columns[name]!]).toEqual([...whole.columns[name]!]);
        expect([...one.lines, ...two.lines]).toEqual([...whole.lines]);
      },
    ),
    { numRuns: 200, seed: 4 },
  );
}); // prettier-ignore

test("a long cell that is no number is told without going through it again and again", () => {
  const table = textTable({ separator: ",", decimal: ".", thousands: ",", columns: f64("a") });
  expect(table.parse([`${"1".repeat(1_000_000)}x`], 1).problems).toHaveLength(1);
});
