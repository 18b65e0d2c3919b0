/**
 * Rows of text as typed columns: what `.mpt`, `.DTA`, Maccor, Arbin and any CSV have in common. Lines come from GrowingLines; what
 * the columns are called and mean is their format's business.
 *
 *     const table = textTable({ separator: "\t", decimal: "either", columns: [
 *       { name: "time/s", type: "f64" }, { name: "Ns", type: "u16" }, { name: "Over", type: "label" }, { name: "", type: "skip" },
 *     ] });
 *     const { columns, rows, problems } = table.parse(lines.text, lines.first);
 *
 * Every line is a row: a blank one is passed over, one with another number of cells is left out and told. Separators at the end of a
 * line (empty cells past the last column) do not count. Spaces and tabs around a cell do not belong to it.
 *
 * An empty cell, and what programs write for "no number" (NaN, 1.#QNAN, …), is NaN and no problem. Other text where a number should be
 * is NaN and told, once a column and call, with the first of them. Whole numbers (codes) have no NaN: what is empty or unreadable there
 * is -1 (all bits set in unsigned types) and always told.
 *
 * Numbers are rounded as Number() does, to the last bit: up to 2^53 as digits and up to 22 powers of ten, one multiplication of two exact
 * doubles rounds rightly; what lies beyond goes to Number().
 */
import type { NumberArray, Problem } from "./echem-file.ts";

export type CellType = "f64" | "f32" | "i32" | "u32" | "u16" | "u8" | "label" | "skip";

export interface TextColumn {
  /** Key of the result, and what messages call it. One of its own for each column that is not skipped. */
  readonly name: string;
  readonly type: CellType;
  /** Of numbers that are written otherwise ("0d 01:02:03.5"): NaN where it cannot be read. Not called for empty cells. */
  readonly parse?: (cell: string) => number;
  /** Of numbers that may be written otherwise: called where a cell is no number as the dialect has it. */
  readonly otherwise?: (cell: string) => number;
}

export interface TextDialect {
  readonly separator: "\t" | "," | ";" | "|" | " ";
  /** "either": point or comma, for programs that never group thousands. Not with separator ",". */
  readonly decimal: "." | "," | "either";
  /** Groups of three digits in numbers may stand apart by this. */
  readonly thousands?: "," | "." | " " | "'";
  /** Cells may stand in double quotes, with separators in them and quotes doubled. A cell does not go on in the next line. */
  readonly quotes?: boolean;
  /** Lines may have fewer cells than there are columns (a number: not fewer than so many); what is missing at their end is empty. */
  readonly ragged?: boolean | number;
  readonly columns: readonly TextColumn[];
}

export interface TableRows {
  readonly columns: Record<string, NumberArray | string[]>;
  readonly rows: number;
  /** Number of each row's line in the file. */
  readonly lines: Int32Array;
  readonly problems: readonly Problem[];
}

export interface TextTable {
  /** `first`: number of the first line, from 1. */
  parse(lines: readonly string[], first: number): TableRows;
}

export function textTable(dialect: TextDialect): TextTable {
  const { separator, columns, ragged = false, quotes = false } = dialect;
  const toNumber = numberParser(dialect.decimal, dialect.thousands);
  const count = columns.length;
  const least = ragged === true ? 1 : ragged === false ? count : ragged;
  const ends = new Int32Array(2 * count);
  const line = new Codes();

  function parse(lines: readonly string[], first: number): TableRows {
    const made = columns.map(({ type }) => storage(type, lines.length));
    const lineOf = new Int32Array(lines.length);
    const told = new Troubles();
    let rows = 0;
    for (let i = 0; i < lines.length; i++) {
      let between = separator.charCodeAt(0);
      line.set(lines[i]!);
      if (isBlank(line, between)) continue;
      if (quotes && line.text.includes('"')) {
        between = 0; // stands in no text
        line.set(unquoted(line.text, separator).join("\0"));
      }
      const { text, codes } = line;
      const cells = cut(line, between, ends, count);
      if (cells > count || cells < least) {
        told.add("cells", first + i, true, () => `has ${cells} cells where the columns are ${count}; such lines are left out`);
        continue;
      }
      for (let k = 0; k < count; k++) {
        const { name, type, parse, otherwise } = columns[k]!;
        if (type === "skip") continue;
        let from = k < cells ? ends[2 * k]! : 0;
        let to = k < cells ? ends[2 * k + 1]! : 0;
        while (from < to && isSpace(codes[from]!)) from++;
        while (to > from && isSpace(codes[to - 1]!)) to--;
        if (type === "label") {
          (made[k] as string[])[rows] = text.slice(from, to);
          continue;
        }
        const into = made[k] as NumberArray;
        let value = parse && to > from ? parse(text.slice(from, to)) : toNumber(line, from, to);
        if (otherwise && value !== value && to > from) value = otherwise(text.slice(from, to));
        const whole = WHOLE[type];
        if (whole) {
          const fits = Number.isInteger(value) && value >= whole.least && value <= whole.most;
          into[rows] = fits ? value : -1;
          if (!fits) told.add(k, first + i, false, () => `column "${name}" says ${shown(text, from, to)} where a whole number from ${whole.least} to ${whole.most} should be; read as ${into[rows]}, which is to say missing`);
        } else {
          into[rows] = value;
          if (value !== value && to > from && !isNoNumber(text.slice(from, to)))
            told.add(k, first + i, false, () => `column "${name}" says ${shown(text, from, to)}, which is no number; read as NaN, which is to say missing`);
        }
      }
      lineOf[rows++] = first + i;
    }
    const named: Record<string, NumberArray | string[]> = {};
    columns.forEach(({ name, type }, k) => {
      const values = made[k]!;
      if (type !== "skip") named[name] = Array.isArray(values) ? values : values.subarray(0, rows);
    });
    return { columns: named, rows, lines: lineOf.subarray(0, rows), problems: told.all() };
  }
  return { parse };
} // prettier-ignore

/** A line as numbers: reading these is several times faster than reading characters of a piece of a longer text. */
class Codes {
  text = "";
  codes = new Uint16Array(1024);
  #bytes = Buffer.from(this.codes.buffer);

  set(text: string): void {
    if (text.length > this.codes.length) {
      this.codes = new Uint16Array(2 * text.length);
      this.#bytes = Buffer.from(this.codes.buffer);
    }
    this.#bytes.write(text, "utf16le"); // every machine that runs Node is little-endian
    this.text = text;
  }
}

/** Nothing but spaces and separators. */
function isBlank({ text, codes }: Codes, separator: number): boolean {
  for (let at = 0; at < text.length; at++) if (codes[at] !== separator && !isSpace(codes[at]!)) return false;
  return true;
}

const WHOLE: Partial<Record<CellType, { least: number; most: number }>> = {
  i32: { least: -(2 ** 31), most: 2 ** 31 - 1 },
  u32: { least: 0, most: 2 ** 32 - 1 },
  u16: { least: 0, most: 65535 },
  u8: { least: 0, most: 255 },
};

function storage(type: CellType, rows: number): NumberArray | string[] {
  switch (type) {
    case "f64": return new Float64Array(rows);
    case "f32": return new Float32Array(rows);
    case "i32": return new Int32Array(rows);
    case "u32": return new Uint32Array(rows);
    case "u16": return new Uint16Array(rows);
    case "u8": return new Uint8Array(rows);
    case "label": case "skip": return [];
  } // prettier-ignore
}

/** Trouble of one kind is told once a call: where first, and how often. */
class Troubles {
  readonly #found = new Map<
    string | number,
    { line: number; what: string; unread: boolean; count: number }
  >();

  add(kind: string | number, line: number, unread: boolean, what: () => string): void {
    const before = this.#found.get(kind);
    if (before) before.count++;
    else this.#found.set(kind, { line, what: what(), unread, count: 1 });
  }

  all(): Problem[] {
    return [...this.#found.values()].map(({ line, what, unread, count }) => ({
      where: `line ${line}`,
      what: count > 1 ? `${what} (${count} such from here on)` : what,
      ...(unread && { unread }),
      count,
    }));
  }
}

/**
 * Where the cells of a line begin and end, for as many as there are columns. How many there are, but for empty ones past
 * the last column.
 */
function cut({ text, codes }: Codes, separator: number, ends: Int32Array, most: number): number {
  const { length } = text;
  let cells = 0;
  let from = 0;
  for (let at = 0; at <= length; at++) {
    if (at < length && codes[at] !== separator) continue;
    if (cells < most) {
      ends[2 * cells] = from;
      ends[2 * cells + 1] = at;
    }
    from = at + 1;
    cells++;
  }
  for (let end = length; cells > most; cells--, end--) {
    while (end > 0 && codes[end - 1] !== separator && isSpace(codes[end - 1]!)) end--;
    if (end === 0 || codes[end - 1] !== separator) break;
  }
  return cells;
}

/** Cells of a line in which some stand in quotes. */
export function unquoted(line: string, separator: string): string[] {
  const cells: string[] = [];
  for (let at = 0; ; ) {
    let begin = at;
    while (line[begin] === " ") begin++;
    if (line[begin] === '"') {
      let cell = "";
      at = begin + 1;
      for (;;) {
        const end = line.indexOf('"', at);
        cell += line.slice(at, end < 0 ? undefined : end);
        at = end < 0 ? line.length : end + 1;
        if (end < 0 || line[at] !== '"') break;
        cell += '"';
        at++;
      }
      const next = line.indexOf(separator, at);
      cells.push(cell + line.slice(at, next < 0 ? undefined : next).trim());
      if (next < 0) return cells;
      at = next + 1;
    } else {
      const next = line.indexOf(separator, at);
      cells.push(line.slice(at, next < 0 ? undefined : next));
      if (next < 0) return cells;
      at = next + 1;
    }
  }
} // prettier-ignore

const isSpace = (code: number): boolean => code === 32 || code === 9 || code === 13 || code === 0xa0;

const LONGEST_SHOWN = 40;
function shown(line: string, from: number, to: number): string {
  const cell = line.slice(from, to);
  return cell === ""
    ? "nothing"
    : JSON.stringify(cell.length > LONGEST_SHOWN ? `${cell.slice(0, LONGEST_SHOWN)}…` : cell);
}

/** What programs write where they have no number; the last as the C library of Windows did. */
const isNoNumber = (cell: string): boolean =>
  /^[-+]?(nan|n\/a|na|null|none|-+|\*+|1[.,]#(qnan|snan|ind)\w*([-+]\d+)?|nan\((ind|snan)\))$/i.test(cell);
const INFINITE = /^([-+]?)(inf|infinity|1[.,]#inf\w*([-+]\d+)?)$/i;

/** Powers of ten that a double holds exactly. */
const TEN = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
const EXACT = 2 ** 53;
const MINUS = 45, PLUS = 43, POINT = 46, COMMA = 44, ZERO = 48, NINE = 57, E = 69, SMALL_E = 101; // prettier-ignore

/** The number that a text is, NaN where it is none; written as the dialect has it, and rounded as Number() does. */
export function numberOf({ decimal, thousands }: Pick<TextDialect, "decimal" | "thousands">): (text: string) => number {
  const [line, parse] = [new Codes(), numberParser(decimal, thousands)];
  return (text) => {
    line.set(text.trim());
    return parse(line, 0, line.text.length);
  };
} // prettier-ignore

type NumberParser = (line: Codes, from: number, to: number) => number;

/** The number that stands from `from` to `to`. */
function numberParser(decimal: TextDialect["decimal"], thousands?: string): NumberParser {
  const point = decimal === "," ? COMMA : POINT;
  const other = decimal === "either" ? COMMA : point;
  return ({ text, codes }, from, to) => {
    let at = from;
    let code = from < to ? codes[at]! : 0;
    const negative = code === MINUS;
    if (negative || code === PLUS) at++;
    let digits = 0;
    let exponent = 0;
    let any = false;
    for (; at < to; at++) {
      code = codes[at]!;
      if (code < ZERO || code > NINE) break;
      digits = digits * 10 + (code - ZERO);
      any = true;
    }
    if (at < to && (code === point || code === other)) {
      const behind = ++at;
      for (; at < to; at++) {
        code = codes[at]!;
        if (code < ZERO || code > NINE) break;
        digits = digits * 10 + (code - ZERO);
      }
      exponent = behind - at;
      any ||= at > behind;
    }
    if (any && at < to && (code === E || code === SMALL_E)) {
      code = codes[++at]!;
      const small = code === MINUS;
      if (small || code === PLUS) at++;
      let power = 0;
      const behind = at;
      for (; at < to && power < 10000; at++) {
        code = codes[at]!;
        if (code < ZERO || code > NINE) break;
        power = power * 10 + (code - ZERO);
      }
      any = at > behind;
      exponent += small ? -power : power;
    }
    if (at < to || !any) return unusual(text.slice(from, to), decimal, thousands);
    // Zero is zero whatever the power; past it, ten's power must be exact as well.
    if (digits === 0) return negative ? -0 : 0;
    if (digits >= EXACT || exponent < -22 || exponent > 22) {
      const plain = text.slice(from, to);
      return Number(decimal === "." ? plain : plain.replace(",", "."));
    }
    const value = exponent < 0 ? digits / TEN[-exponent]! : digits * TEN[exponent]!;
    return negative ? -value : value;
  };
}

const GROUPS: Readonly<Record<string, RegExp>> = {
  ",": /^[-+]?\d{1,3}(,\d{3})+(?![\d,])/,
  ".": /^[-+]?\d{1,3}(\.\d{3})+(?![\d.])/,
  " ": /^[-+]?\d{1,3}([ \u00a0\u202f]\d{3})+(?!\d)/,
  "'": /^[-+]?\d{1,3}(['\u2019]\d{3})+(?!\d)/,
};
const PLAIN = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/;

/** Groups of thousands, and what is infinite. */
function unusual(cell: string, decimal: TextDialect["decimal"], thousands: string | undefined): number {
  let plain = cell;
  const groups = thousands === undefined ? undefined : GROUPS[thousands];
  const grouped = groups?.exec(plain)?.[0];
  if (grouped) plain = grouped.replace(/[^-+\d]/g, "") + plain.slice(grouped.length);
  if (decimal === "," && plain.includes(".")) return NaN;
  if (decimal !== ".") plain = plain.replace(",", ".");
  if (PLAIN.test(plain)) return Number(plain);
  const infinite = INFINITE.exec(cell);
  return infinite ? (infinite[1] === "-" ? -Infinity : Infinity) : NaN;
}
