/** Small Access (Jet 4) databases of our own making, as Arbin's software writes its results: tables of numbers and text. */

export type JetType = "byte" | "integer" | "long" | "float" | "double" | "text";
export interface JetTable {
  readonly columns: Readonly<Record<string, JetType>>;
  /** null: not there. */
  readonly rows: readonly (readonly (number | string | null)[])[];
  /** The order in which pages of rows lie in the file; as they come where it is left out. */
  readonly pages?: readonly number[];
}

const PAGE = 4096;
const TYPES: Record<JetType, { code: number; size: number }> = {
  byte: { code: 2, size: 1 }, integer: { code: 3, size: 2 }, long: { code: 4, size: 4 }, float: { code: 6, size: 4 },
  double: { code: 7, size: 8 }, text: { code: 10, size: 510 },
}; // prettier-ignore
const ROWS_A_PAGE = 20;

/** The bytes of a database with these tables. */
export function jetBytes(tables: Readonly<Record<string, JetTable>>): Uint8Array {
  const pages: Buffer[] = [header()];
  const page = (type: number): Buffer => {
    const made = Buffer.alloc(PAGE);
    made[0] = type;
    made[1] = 1;
    pages.push(made);
    return made;
  };
  page(1); // page 1 holds nothing here; the directory's definition is page 2
  const directory: (number | string)[][] = [];
  const system: JetTable = {
    columns: { Id: "long", Name: "text", Type: "integer", Flags: "long" },
    rows: directory,
  };
  const places: number[] = [];
  const definitions = [system, ...Object.values(tables)].map((table) => {
    places.push(pages.length);
    return { table, page: page(2) };
  });
  Object.keys(tables).forEach((name, i) => directory.push([places[i + 1]!, name, 1, 0]));
  definitions.forEach(({ table, page: definition }, i) => fill(definition, table, places[i]!, page, pages));
  return new Uint8Array(Buffer.concat(pages));
}

function fill(definition: Buffer, table: JetTable, at: number, page: (type: number) => Buffer, pages: Buffer[]): void {
  const names = Object.keys(table.columns);
  const types = Object.values(table.columns);
  const variable = types.filter((type) => type === "text").length;
  const cuts = Array.from({ length: Math.ceil(table.rows.length / ROWS_A_PAGE) }, (_, i) => table.rows.slice(i * ROWS_A_PAGE, (i + 1) * ROWS_A_PAGE));
  const numbers = cuts.map(() => 0);
  for (const i of table.pages ?? cuts.keys()) {
    numbers[i] = pages.length;
    rowsPage(page(1), at, types, cuts[i]!);
  }
  const map = pages.length;
  const usage = Buffer.alloc(5 + PAGE / 8 / 8);
  for (const number of numbers) usage[5 + (number >> 3)]! |= 1 << (number & 7);
  rows(page(1), 0, [usage]);

  definition.writeUInt32LE(table.rows.length, 16);
  definition.writeUInt16LE(variable, 43);
  definition.writeUInt16LE(names.length, 45);
  definition.writeUInt32LE((map << 8) >>> 0, 55);
  let [fixed, varied] = [0, 0];
  let name = 63 + 25 * names.length;
  names.forEach((text, i) => {
    const entry = 63 + 25 * i;
    const type = types[i]!;
    const isText = type === "text";
    definition[entry] = TYPES[type].code;
    definition.writeUInt16LE(i, entry + 5);
    definition.writeUInt16LE(isText ? varied++ : 0, entry + 7);
    definition[entry + 15] = isText ? 2 : 3;
    definition.writeUInt16LE(isText ? 0 : fixed, entry + 21);
    definition.writeUInt16LE(TYPES[type].size, entry + 23);
    if (!isText) fixed += TYPES[type].size;
    const encoded = Buffer.from(text, "utf16le");
    definition.writeUInt16LE(encoded.length, name);
    encoded.copy(definition, name + 2);
    name += 2 + encoded.length;
  });
} // prettier-ignore

function rowsPage(page: Buffer, table: number, types: readonly JetType[], values: JetTable["rows"]): void {
  rows(page, table, values.map((row) => rowBytes(types, row)));
} // prettier-ignore

/** Rows stand from the end of a page towards its begin. */
function rows(page: Buffer, table: number, all: readonly Buffer[]): void {
  page.writeUInt32LE(table, 4);
  page.writeUInt16LE(all.length, 12);
  let end = PAGE;
  all.forEach((row, i) => {
    end -= row.length;
    row.copy(page, end);
    page.writeUInt16LE(end, 14 + 2 * i);
  });
}

function rowBytes(types: readonly JetType[], row: readonly (number | string | null)[]): Buffer {
  const fixed: Buffer[] = [];
  const texts: Buffer[] = [];
  const mask = Buffer.alloc(Math.ceil(types.length / 8));
  types.forEach((type, i) => {
    const value = row[i]!;
    if (value !== null) mask[i >> 3]! |= 1 << (i & 7);
    if (type === "text") texts.push(Buffer.from(String(value ?? ""), "utf16le"));
    else fixed.push(numberBytes(type, Number(value ?? 0)));
  });
  const count = Buffer.alloc(2);
  count.writeUInt16LE(types.length);
  const parts = [count, ...fixed];
  if (texts.length > 0) {
    let at = Buffer.concat(parts).length;
    const places = texts.map((text) => (at += text.length) - text.length);
    const tail = Buffer.alloc(2 * (texts.length + 2));
    // Ends first, then each place from the last to the first, then how many.
    [at, ...places.toReversed()].forEach((place, i) => tail.writeUInt16LE(place, 2 * i));
    tail.writeUInt16LE(texts.length, 2 * (texts.length + 1));
    parts.push(...texts, tail);
  }
  return Buffer.concat([...parts, mask]);
}

function numberBytes(type: JetType, value: number): Buffer {
  const bytes = Buffer.alloc(TYPES[type].size);
  if (type === "byte") bytes.writeUInt8(value);
  else if (type === "integer") bytes.writeInt16LE(value);
  else if (type === "long") bytes.writeInt32LE(value);
  else if (type === "float") bytes.writeFloatLE(value);
  else bytes.writeDoubleLE(value);
  return bytes;
}

/** What stands from byte 24 on is scrambled by a key that all such files have; zeros there mean: no password, no further key. */
function header(): Buffer {
  const page = Buffer.alloc(PAGE);
  page.writeUInt32LE(0x00000100, 0);
  page.write("Standard Jet DB\0", 4, "latin1");
  page[0x14] = 1;
  const state = Uint8Array.from({ length: 256 }, (_, i) => i);
  const key = [0xc7, 0xda, 0x39, 0x6b];
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + state[i]! + key[i % 4]!) & 255;
    [state[i], state[j]] = [state[j]!, state[i]!];
  }
  for (let k = 0, i = 0, j = 0; k < 128; k++) {
    i = (i + 1) & 255;
    j = (j + state[i]!) & 255;
    [state[i], state[j]] = [state[j]!, state[i]!];
    page[0x18 + k] = state[(state[i]! + state[j]!) & 255]!;
  }
  return page;
}
