/**
 * BioLogic `.mpr` (EC-Lab, BT-Lab): bytes to header and columns. All integers are little-endian.
 *
 * A file is 52 bytes of magic, then modules back to back: `VMP Set`, sometimes `VMP ExtDev`, `VMP data`, and once
 * the run has ended `VMP LOG`, for looped techniques `VMP loop`. The walk goes by the modules' lengths; the word
 * MODULE may also occur within data.
 *
 *     layout            module header   columns      ids from   first record
 *     version 2         57 bytes        u8 at 4      5          405
 *     version 3         57 bytes        u8 at 4      5          406
 *     version 11        65 bytes        u16 at 4     6          1007          (EC-Lab 11.50 and later)
 *
 * Records hold their columns in table order, without padding. Integrity: (length - first record) / records must be
 * the sum of the columns' widths.
 */
import { scalar, SourceError, type Field, type Fields } from "../../runtime/index.ts";
import {
  BYTES, END_OF_SEGMENT, FLAG_BYTE, FLAGS, isNameless, nameless, vendorColumn, type Storage, type VendorColumn,
} from "./mpr-columns.ts"; // prettier-ignore
import { looksLike } from "./looks-like.ts";
import { ucumOf } from "./vendor-units.ts";
import { TAKEN, type NumberArray } from "./echem-file.ts";

/** Bytes `at … at + length` of a file; fewer where it ends before. */
export type ReadAt = (at: number, length: number) => Promise<Uint8Array>;

/** Something that is not as it should be, and at which byte. */
export interface Problem {
  readonly at: number;
  readonly what: string;
  /** Something the file holds could not be read. */
  readonly unread?: boolean;
}

export interface Module {
  readonly name: string;
  /** Byte of the file at which its data begin. */
  readonly start: number;
  /** Bytes of data that it says it has. */
  readonly length: number;
  /** Bytes of data that are there. */
  readonly available: number;
  /** That of EC-Lab 11.50 and later where there is one. */
  readonly version: number;
  readonly isNew: boolean;
  /** mm/dd/yy, with any separator, local. */
  readonly date: string;
}

/** A column of the record: `offset` into it, and for a flag the bits of the byte there. */
export interface RecordColumn {
  readonly name: string;
  readonly offset: number;
  readonly type: Storage;
  readonly field: Field;
  readonly bits?: { readonly shift: number; readonly mask: number };
}

export interface Mpr {
  readonly modules: readonly Module[];
  readonly technique: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly log: Log | undefined;
  /** Number of the record at which each loop begins. */
  readonly loop: Uint32Array;
  /** Date of the `VMP Set` module: the local day on which acquisition began. */
  readonly day: string;
  readonly ids: Uint16Array;
  readonly columns: readonly RecordColumn[];
  /** Bytes of a record. */
  readonly recordLength: number;
  /** Byte of the file at which the first record begins. */
  readonly firstRecord: number;
  /** Records that can be read. */
  readonly records: number;
  readonly problems: readonly Problem[];
}

export interface Log {
  /** Clock face of the acquisition's start, ns, read as if it were UTC: local time without its zone. */
  readonly start: bigint;
  readonly metadata: Readonly<Record<string, string>>;
}

const MAGIC = "BIO-LOGIC MODULAR FILE\x1a";
const MAGIC_LENGTH = 52;

export function isMpr(head: Uint8Array): boolean {
  return latin(head.subarray(0, MAGIC.length)) === MAGIC;
}

// prettier-ignore
const TECHNIQUES: Readonly<Record<number, string>> = {
  0x04: "GCPL", 0x06: "CV", 0x0b: "OCV", 0x16: "MP", 0x18: "CA", 0x19: "CP", 0x1c: "WAIT", 0x1d: "PEIS", 0x1e: "GEIS",
  0x30: "CV", 0x32: "ZIR", 0x33: "CVA", 0x6c: "LSV", 0x75: "CoV", 0x76: "CoC", 0x77: "GCPL", 0x7f: "MB", 0x88: "BCD",
};
const BCD = 0x88;

/** Reads everything but the records. Throws SourceError where no record could be read either. */
export async function readMpr(read: ReadAt, size: number): Promise<Mpr> {
  const head = await read(0, MAGIC_LENGTH);
  if (!isMpr(head) || head.length < MAGIC_LENGTH)
    throw new SourceError(`is not a BioLogic .mpr file: ${looksLike(head)}`);
  const problems: Problem[] = [];
  const modules = await walk(read, size, problems);
  const data = modules.find(({ name }) => name === "VMP data");
  if (!data) {
    const found = modules.map(({ name }) => name).join(", ") || "no module at all";
    const cut = problems.length ? `; ${problems.map(say).join("; ")}` : "";
    throw new SourceError(`has no "VMP data" module among its ${size} bytes (found ${found})${cut}`);
  }
  const body = async (name: string): Promise<Body | undefined> => {
    const module = modules.find((one) => one.name === name);
    return module && new Body(await read(module.start, module.available));
  };
  const set = await body("VMP Set");
  const logBody = await body("VMP LOG");
  const loopBody = await body("VMP loop");
  const technique = set?.u8(0) ?? 0;
  const about = {
    technique,
    analogs: readAnalogs(await body("VMP ExtDev")),
    finished: logBody !== undefined,
    size,
    lengthHolds: modules.at(-1) !== data || data.start + data.length >= size,
  };
  const log = logBody && readLog(logBody);
  return {
    modules,
    technique,
    settings: { ...techniqueOf(technique, set !== undefined), ...(set && readSettings(set)) },
    log,
    loop: loopBody ? readLoop(loopBody) : new Uint32Array(0),
    day: modules.find(({ name }) => name === "VMP Set")?.date ?? "",
    ...(await readTable(read, data, about, problems)),
    problems,
  };
}

const say = ({ at, what }: Problem): string => `byte ${at}: ${what}`;

async function walk(read: ReadAt, size: number, problems: Problem[]): Promise<Module[]> {
  const modules: Module[] = [];
  for (let at = MAGIC_LENGTH; at < size;) {
    const head = new Body(await read(at, 65));
    if (head.text(0, 6) !== "MODULE".slice(0, Math.min(6, size - at))) {
      const found = `the ${size - at} bytes from here on are not a module`;
      problems.push({ at, what: `${found}: expected the word MODULE`, unread: true });
      break;
    }
    const isNew = head.u32(41) === 0xffffffff;
    const headLength = isNew ? 65 : 57;
    if (head.length < headLength) {
      problems.push({
        at: size,
        what: `file ends within a module's header, ${headLength} bytes from byte ${at}`,
        unread: true,
      });
      break;
    }
    const start = at + headLength;
    const length = head.u32(isNew ? 45 : 41)!;
    const available = Math.min(length, size - start);
    const name = head.text(6, 10).trim();
    modules.push({
      name, start, length, available, isNew,
      version: head.u32(isNew ? 53 : 45)!,
      date: head.text(headLength - 8, 8),
    }); // prettier-ignore
    if (available < length) {
      problems.push({
        at: size,
        what: `file ends ${length - available} bytes before its module "${name}" does, at byte ${start + length}`,
        unread: true,
      });
    }
    at = start + length;
  }
  return modules;
}

const LAYOUTS = {
  old2: { wide: false, ids: 5, first: 405, room: 200 },
  old3: { wide: false, ids: 5, first: 406, room: 200 },
  new11: { wide: true, ids: 6, first: 1007, room: 500 },
} as const;

interface About {
  readonly technique: number;
  readonly analogs: ReadonlyMap<number, VendorColumn>;
  /** It has a LOG module, so the run has ended and its count of records is no longer behind. */
  readonly finished: boolean;
  /** Bytes of the file. */
  readonly size: number;
  /** Where the module's length says it ends, another begins, or the file ends. */
  readonly lengthHolds: boolean;
}

type Table = Pick<Mpr, "ids" | "columns" | "recordLength" | "firstRecord" | "records">;

/** What a record is made of, and how many there are; checked against the module's length. */
async function readTable(read: ReadAt, data: Module, about: About, problems: Problem[]): Promise<Table> {
  const layout =
    data.isNew && data.version === 11 ? LAYOUTS.new11
    : !data.isNew && data.version === 2 ? LAYOUTS.old2
    : !data.isNew && data.version === 3 ? LAYOUTS.old3
    : undefined; // prettier-ignore
  if (!layout) {
    throw new SourceError(
      `its "VMP data" module (byte ${data.start}) has version ${data.version}${data.isNew ? " of EC-Lab 11.50 and later" : ""}; ` +
        "known are 2 and 3, and 11 from EC-Lab 11.50 on. Export the file as text, or send it to the project",
    );
  }
  const head = new Body(await read(data.start, Math.min(layout.first, data.available)));
  const count = layout.wide ? head.u16(4) : head.u8(4);
  const stored = head.u32(0);
  if (stored === undefined || count === undefined || head.length < layout.ids + 2 * count) {
    throw new SourceError(
      `ends at byte ${data.start + data.available}, within the column table of "VMP data" (byte ${data.start})`,
    );
  }
  if (count > layout.room) {
    throw new SourceError(
      `says at byte ${data.start + 4} that a record has ${count} columns; there is room for ${layout.room}`,
    );
  }
  const ids = Uint16Array.from({ length: count }, (_, i) => head.u16(layout.ids + 2 * i)!);
  const declared = data.length - layout.first;
  const { columns, recordLength } = layRecord(
    ids,
    stored,
    declared,
    { ...about, at: data.start + layout.ids },
    problems,
  );
  const firstRecord = data.start + layout.first;
  const recordsIn = (bytes: number): number => Math.max(0, Math.floor((bytes - layout.first) / recordLength));
  // A length that is behind, as in a file that is being written, ends in the middle of the records.
  const there = recordsIn(about.lengthHolds ? data.available : about.size - data.start);
  const records = Math.min(stored, there);
  if (declared !== stored * recordLength) {
    const holds = recordsIn(data.length);
    // Where only the length is behind, every record is there, and the walk went astray within them.
    const isBehind = !about.lengthHolds && records === stored;
    if (isBehind) problems.splice(0, problems.length, ...problems.filter(({ at }) => at < data.start));
    const read = about.lengthHolds ? `${records} that both have` : `${records} that are there`;
    problems.push({
      at: data.start,
      what: `"VMP data" says ${stored} records, its length holds ${holds}; read are the ${read}`,
      ...(!isBehind && { unread: true }),
    });
  }
  if (records < stored && data.available < data.length) {
    const at = firstRecord + records * recordLength;
    problems.push({
      at,
      what: `record ${records} of ${stored} is not whole; the ${stored - records} from here on are missing`,
      unread: true,
    });
  }
  return { ids, columns, recordLength, firstRecord, records };
}

/** Where each column lies within the record. Columns that an unknown width leaves in doubt are left out, and said. */
function layRecord(
  ids: Uint16Array,
  records: number,
  declared: number,
  about: About & { at: number },
  problems: Problem[],
): { columns: RecordColumn[]; recordLength: number } {
  const flagged = ids.findIndex((id) => FLAGS.has(id));
  const parts = [...ids].map((id, i) => {
    if (FLAGS.has(id)) return { id, bytes: i === flagged ? 1 : 0 };
    const column = about.analogs.get(id) ?? vendorColumn(id);
    return { id, column, bytes: column && BYTES[column.type] };
  });
  const unknown = parts.filter(({ bytes }) => bytes === undefined);
  const known = parts.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  const measured = records > 0 && declared > 0 && declared % records === 0 ? declared / records : undefined;
  // Ids that nobody knows are four-byte floats unless the length says otherwise.
  const widths = unknown.length === 1 && measured !== undefined ? measured - known : 4;
  const type = ({ 1: "u8", 2: "u16", 4: "f32", 8: "f64" } as Record<number, Storage>)[widths];
  const assumed = known + 4 * unknown.length;
  const recordLength = unknown.length && measured !== undefined && measured > known ? measured : assumed;
  const fits = recordLength === known + (type ? BYTES[type] : Infinity) * unknown.length;
  if (recordLength === 0) throw new SourceError(`has no columns in the table at byte ${about.at}`);
  // A count that is behind, as in a file that is being written, may also give a whole number of bytes.
  const surely = about.finished || declared % recordLength !== 0;
  if (unknown.length === 0 && measured !== undefined && measured !== recordLength && surely) {
    throw new SourceError(
      `its records take ${measured} bytes by the length of "VMP data", its ${ids.length} columns (table at byte ${about.at}) ` +
        `take ${recordLength}; one of them is stored otherwise than in the versions known. Send the file to the project`,
    );
  }

  const columns: RecordColumn[] = [];
  const left: number[] = [];
  const taken = new Map<string, number>();
  const add = (name: string, rest: Omit<RecordColumn, "name">): void => {
    const seen = (taken.get(name) ?? 0) + 1; // EC-Lab may write the same quantity under two ids
    taken.set(name, seen);
    columns.push({ name: seen === 1 ? name : `${name}_${seen}`, ...rest });
  };
  const last = parts.findLastIndex(({ bytes }) => bytes === undefined);
  const first = parts.findIndex(({ bytes }) => bytes === undefined);
  let offset = 0;
  parts.forEach(({ id, column, bytes }, i) => {
    // Past the last unknown width, offsets are known again from the record's end.
    if (!fits && i === last + 1)
      offset = recordLength - parts.slice(i).reduce((sum, { bytes = 0 }) => sum + bytes, 0);
    const doubtful = !fits && i >= first && i <= last;
    if (FLAGS.has(id)) {
      if (i !== flagged) return;
      if (doubtful) return void left.push(id);
      add("flags", { offset, type: "u8", field: FLAG_BYTE });
      const present = [...ids].flatMap((one) => FLAGS.get(one) ?? []);
      for (const { name, field, shift, mask } of [...present, END_OF_SEGMENT])
        add(name, { offset, type: "u8", field, bits: { shift, mask } });
    } else if (doubtful) left.push(id);
    else {
      const shape = column ?? nameless(id, type!);
      const field =
        id === 6 && about.technique === BCD ? { ...shape.field, vendor_name: "Ecell/V" } : shape.field;
      add(shape.name, { offset, type: shape.type, field });
    }
    offset += bytes ?? (type ? BYTES[type] : 0);
  });
  const strange = [...ids].filter((id) => isNameless(id) && !left.includes(id) && !about.analogs.has(id));
  if (strange.length) {
    problems.push({
      at: about.at,
      what: `nobody knows what column ${strange.join(", ")} is; kept as ${strange.map((id) => `column_${id}`).join(", ")}, read as ${[...new Set(strange.map((id) => columns.find(({ name }) => name === `column_${id}`)?.type))].join(", ")}`,
    });
  }
  if (left.length) {
    problems.push({
      at: about.at,
      what: `the widths of columns ${unknown.map(({ id }) => id).join(", ")} are not known, so column ${left.join(", ")} could not be found within the record and is left out`,
    });
  }
  return { columns, recordLength };
}

/** Columns of whole records: one pass per column. */
export function decodeRecords(mpr: Mpr, bytes: Uint8Array): Record<string, NumberArray> {
  const { columns, recordLength: step } = mpr;
  const rows = Math.floor(bytes.length / step);
  const view = new DataView(bytes.buffer, bytes.byteOffset, rows * step);
  return Object.fromEntries(columns.map((column) => [column.name, decodeColumn(view, column, step, rows)]));
}

function decodeColumn(
  view: DataView,
  { type, offset, bits }: RecordColumn,
  step: number,
  rows: number,
): NumberArray {
  switch (type) {
    case "f32": {
      const values = new Float32Array(rows);
      for (let i = 0, at = offset; i < rows; i++, at += step) values[i] = view.getFloat32(at, true);
      return values;
    }
    case "f64": {
      const values = new Float64Array(rows);
      for (let i = 0, at = offset; i < rows; i++, at += step) values[i] = view.getFloat64(at, true);
      return values;
    }
    case "u32": {
      const values = new Uint32Array(rows);
      for (let i = 0, at = offset; i < rows; i++, at += step) values[i] = view.getUint32(at, true);
      return values;
    }
    case "u16": {
      const values = new Uint16Array(rows);
      for (let i = 0, at = offset; i < rows; i++, at += step) values[i] = view.getUint16(at, true);
      return values;
    }
    case "u8": {
      const { shift, mask } = bits ?? { shift: 0, mask: 0xff };
      const values = new Uint8Array(rows);
      for (let i = 0, at = offset; i < rows; i++, at += step) values[i] = (view.getUint8(at) >> shift) & mask;
      return values;
    }
  }
}

export function fieldsOf(mpr: Mpr): Fields {
  return Object.fromEntries(mpr.columns.map(({ name, field }) => [name, field]));
}

// Settings, log and external devices

const techniqueOf = (technique: number, known: boolean): Record<string, string> =>
  known ? { technique: TECHNIQUES[technique] ?? `0x${technique.toString(16).padStart(2, "0")}` } : {};

/** EC-Lab fills what nobody entered with 0.001, 0 or "(unspecified)"; that is no measurement and left out. */
function readSettings(set: Body): Record<string, string> {
  const said: Record<string, string | undefined> = {
    comments: set.pascal(0x07),
    electrode_material: set.pascal(0x11e),
    electrolyte: set.pascal(0x1c0),
    reference_electrode: set.pascal(0x215),
    active_mass: entered(set.f32(0x107), "mg"),
    molecular_weight: entered(set.f32(0x10f), "g/mol"),
    ion_weight: entered(set.f32(0x113), "g/mol"),
    electrode_area: entered(set.f32(0x211), { 2: "cm2", 3: "mm2" }[set.u8(0x250) ?? 0]),
    characteristic_mass: entered(set.f32(0x24c), { 1: "g", 2: "mg" }[set.u8(0x251) ?? 0]),
    nominal_capacity: entered(set.f32(0x25c), { 1: "mA.h", 2: "mA.h" }[set.u8(0x260) ?? 0]),
  };
  return whereSaid(said);
}

const PLACEHOLDER = Math.fround(0.001);
function entered(value: number | undefined, unit: string | undefined): string | undefined {
  if (value === undefined || unit === undefined || !(value > 0) || value === PLACEHOLDER) return undefined;
  return `${Number(value.toPrecision(7))} ${unit}`;
}

function whereSaid(said: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(said).filter(
      (entry): entry is [string, string] => !!entry[1] && entry[1] !== "(unspecified)",
    ),
  );
}

const MS_PER_DAY = 86_400_000;
const OLE_EPOCH_MS = Date.UTC(1899, 11, 30);

function readLog(log: Body): Log | undefined {
  const days = log.f64(0x249);
  if (days === undefined) return undefined;
  const channel = log.u8(0x09);
  const start_ms = Math.round(OLE_EPOCH_MS + days * MS_PER_DAY); // EC-Lab's clock counts whole milliseconds
  // EC-Lab is from the nineties; what is far outside is no date.
  if (!(start_ms > Date.UTC(1990, 0, 1) && start_ms < Date.UTC(2200, 0, 1))) return undefined;
  return {
    start: BigInt(start_ms) * 1_000_000n,
    metadata: whereSaid({
      original_file: log.pascal(0x251),
      channel: channel === undefined ? undefined : String(channel + 1),
      channel_serial: log.u16(0xab)?.toString(),
      device_serial: log.pascal(0x3cf),
      software_version: log.pascal(0x3b7),
      firmware_version: log.pascal(0x3c5),
    }),
  };
}

function readLoop(loop: Body): Uint32Array {
  const count = Math.min(loop.u32(0) ?? 0, Math.floor((loop.length - 4) / 4));
  return Uint32Array.from({ length: Math.max(0, count) }, (_, i) => loop.u32(4 + 4 * i)!);
}

/** Names that people gave to the analog inputs, as "Force/N": the values are already in that unit. */
function readAnalogs(ext: Body | undefined): Map<number, VendorColumn> {
  const analogs = new Map<number, VendorColumn>();
  if (!ext) return analogs;
  for (const [id, at] of [
    [16, 0x36],
    [17, 0x63],
  ] as const) {
    const said = ext.pascal(at);
    if (!said) continue;
    const [, title = said, written = ""] = /^(.*?)\s*\/\s*([^/]+(?:\/[^/]+)?)$/.exec(said) ?? [];
    const plain = title.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, ""); // prettier-ignore
    const name = /^[a-z]/.test(plain) && !TAKEN.has(plain) ? plain : `analog_in_${id - 15}`;
    const about = { type: "f32", vendor_name: `Analog IN ${id - 15}`, long_name: said } as const;
    analogs.set(id, { name, type: "f32", field: scalar(ucumOf(written), about) });
  }
  return analogs;
}

const cp1252 = new TextDecoder("windows-1252");
const latin = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** Numbers and text within one module; undefined past its end. */
class Body {
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = bytes.length;
  }
  #has(at: number, bytes: number): boolean {
    return at + bytes <= this.length;
  }
  u8 = (at: number): number | undefined => (this.#has(at, 1) ? this.#view.getUint8(at) : undefined);
  u16 = (at: number): number | undefined => (this.#has(at, 2) ? this.#view.getUint16(at, true) : undefined);
  u32 = (at: number): number | undefined => (this.#has(at, 4) ? this.#view.getUint32(at, true) : undefined);
  f32 = (at: number): number | undefined => (this.#has(at, 4) ? this.#view.getFloat32(at, true) : undefined);
  f64 = (at: number): number | undefined => (this.#has(at, 8) ? this.#view.getFloat64(at, true) : undefined);
  text(at: number, length: number): string {
    return latin(this.#bytes.subarray(at, at + length));
  }
  /** One byte of length, then that many of cp1252; empty where it would reach past the end. */
  pascal(at: number): string {
    const length = this.u8(at) ?? 0;
    if (!this.#has(at + 1, length)) return "";
    return cp1252
      .decode(this.#bytes.subarray(at + 1, at + 1 + length))
      .replaceAll("\0", "")
      .trim();
  }
}
