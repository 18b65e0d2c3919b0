/**
 * Gwyddion's own files (`.gwy`): images of any microscope, as somebody saved them.
 *
 * `GWYP`, then one object: its name up to a NUL, an uint32 of its size, and components of name, type and value, all
 * little-endian. Types: b, c one byte, i int32, q int64, d float64, s text up to a NUL, o object; in capitals an array
 * behind an uint32 of its length. An image N (numbers may have gaps) is `/N/data`, a GwyDataField of xres × yres values,
 * with `/N/data/title` and `/N/meta`, a container of texts.
 *
 * Rows are stored from the top down and Gwyddion's y grows downwards, so rows are turned round, and a place is
 * (xoff + xreal / 2, -(yoff + yreal / 2)). What an image shows is told by its title, else by a unit that only one stream
 * has; a title that says backward, retrace or right-to-left is a retrace, which Gwyddion keeps by place, as the trace.
 *
 * Of several images for one stream and direction the first is given. When they were recorded only `/N/meta` may tell.
 *
 * Format: Gwyddion user guide, appendix "Gwyddion file format".
 */
import { SourceError } from "../../runtime/index.ts";
import {
  IMAGE_PORTS, RETRACE, TRACE, UNKNOWN_SCAN,
  type AfmFile, type Format, type ImageChannel, type ImagePort, type ImageSet, type Zoned,
} from "./afm-file.ts"; // prettier-ignore
import { openBytes, type Bytes } from "../bytes.ts";
import { clockOf, whenOf } from "./wall-clock.ts";

const MAGIC = "GWYP";

export const gwyddion: Format = {
  name: "Gwyddion .gwy",
  looks: (head) => Buffer.from(head.buffer, head.byteOffset, Math.min(4, head.length)).toString("latin1") === MAGIC, // prettier-ignore
  async open(path, zoned) {
    const bytes = await openBytes(path);
    try {
      return await readFile(bytes, zoned);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  },
};

/** More than any image or file has; a damaged header might claim them. */
const MOST_PIXELS = 1 << 25, MOST_NAME = 1 << 10, MOST_TEXT = 1 << 16, MOST_DEPTH = 16, MOST_COMPONENTS = 1 << 20, MOST_IMAGES = 1 << 10; // prettier-ignore

interface Component {
  readonly name: string;
  readonly type: string;
  /** Of the value; behind the length of an array. */
  readonly at: number;
  readonly end: number;
  /** Elements of an array. */
  readonly count: number;
}

interface GwyObject {
  readonly type: string;
  readonly at: number;
  readonly end: number;
  /** Bytes that its size says beyond `end`. */
  readonly missing: number;
}

/** Walks through the components of objects without holding their values. */
class Walker {
  readonly bytes: Bytes;
  #seen = 0;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
  }

  wrong(what: string, at: number): SourceError {
    return new SourceError(`${this.bytes.path}: ${what}, at byte ${at}; it is damaged or cut short, copy it again`); // prettier-ignore
  }

  /** The object that begins at `at` and must end by `limit`; with `cut` it may end there early. */
  async object(at: number, limit: number, { depth = 0, cut = false } = {}): Promise<GwyObject> {
    if (depth > MOST_DEPTH) throw this.wrong(`objects lie more than ${MOST_DEPTH} deep in each other`, at);
    const type = await this.#textEnd(at, limit, MOST_NAME, "the name of an object");
    const size = await this.uint32(type + 1, limit, "the size of an object");
    const name = await this.string(at, type);
    if (type + 5 + size > limit && !cut) throw this.wrong(`object ${name} says ${size} bytes, but only ${limit - type - 5} are left`, at); // prettier-ignore
    const end = Math.min(type + 5 + size, limit);
    return { type: name, at: type + 5, end, missing: type + 5 + size - end };
  }

  async *components(object: GwyObject, depth = 0): AsyncGenerator<Component> {
    let at = object.at;
    while (at < object.end) {
      if (++this.#seen > MOST_COMPONENTS) throw this.wrong(`has more than ${MOST_COMPONENTS} components`, at);
      const end = await this.#textEnd(at, object.end, MOST_NAME, `the name of a component of ${object.type}`);
      const name = await this.string(at, end);
      const type = end + 1 < object.end ? String.fromCharCode((await this.bytes.read(end + 1, 1, name))[0]!) : ""; // prettier-ignore
      const component = await this.#value(name, type, end + 2, object.end, depth);
      yield component;
      at = component.end;
    }
  }

  async #value(name: string, type: string, at: number, limit: number, depth: number): Promise<Component> {
    const one = type.toLowerCase();
    const width = one === "b" || one === "c" ? 1 : one === "i" ? 4 : one === "q" || one === "d" ? 8 : 0;
    if (type === "" || (width === 0 && one !== "s" && one !== "o"))
      throw this.wrong(`component ${name} is of type "${type}"; known are b, c, i, q, d, s, o and their capitals`, at - 1); // prettier-ignore
    const isArray = type !== one;
    const count = isArray ? await this.uint32(at, limit, `the length of ${name}`) : 1;
    const begin = at + (isArray ? 4 : 0);
    let end = begin;
    if (width > 0) end += width * count;
    else {
      for (let i = 0; i < count; i++) {
        if (++this.#seen > MOST_COMPONENTS) throw this.wrong(`has more than ${MOST_COMPONENTS} components`, end); // prettier-ignore
        end = one === "s"
          ? (await this.#textEnd(end, limit, Infinity, name)) + 1
          : (await this.object(end, limit, { depth: depth + 1 })).end; // prettier-ignore
      }
    }
    if (end > limit) throw this.wrong(`component ${name} has ${count} values of type "${type}", which end ${end - limit} bytes behind its object`, at); // prettier-ignore
    return { name, type, at: begin, end, count };
  }

  /** Where the NUL of a text is. */
  async #textEnd(at: number, limit: number, most: number, what: string): Promise<number> {
    for (let from = at; from < limit; from += BLOCK) {
      const block = await this.bytes.read(from, Math.min(BLOCK, limit - from), what);
      const nul = block.indexOf(0);
      if (nul >= 0 && from + nul - at <= most) return from + nul;
      if (from + BLOCK - at > most) throw this.wrong(`${what} is longer than ${most} bytes`, at);
    }
    throw this.wrong(`${what} does not end`, at);
  }

  async string(at: number, end: number): Promise<string> {
    return (await this.bytes.read(at, Math.min(end - at, MOST_TEXT), "a text")).toString("utf8");
  }

  async uint32(at: number, limit: number, what: string): Promise<number> {
    if (at + 4 > limit) throw this.wrong(`${what} is missing`, at);
    return (await this.bytes.read(at, 4, what)).readUInt32LE(0);
  }

  async text({ at, end }: Component): Promise<string> {
    return this.string(at, end - 1);
  }

  async number({ type, at }: Component): Promise<number> {
    if (type === "i") return (await this.bytes.read(at, 4, "a number")).readInt32LE(0);
    if (type === "d") return (await this.bytes.read(at, 8, "a number")).readDoubleLE(0);
    if (type === "q") return Number((await this.bytes.read(at, 8, "a number")).readBigInt64LE(0));
    return NaN;
  }
}

/** Read at once when a text's end is looked for. */
const BLOCK = 512;

interface Field {
  readonly id: number;
  title: string;
  columns: number;
  rows: number;
  sizeX_m: number;
  sizeY_m: number;
  left_m: number;
  top_m: number;
  unit: string;
  /** First byte of the values; NaN where they cannot be read. */
  at: number;
  /** Why it cannot be read. */
  problem: string;
}

async function readFile(bytes: Bytes, zoned: Zoned): Promise<AfmFile> {
  const { path } = bytes;
  const walker = new Walker(bytes);
  const magic = (await bytes.read(0, Math.min(4, bytes.size), "its first bytes")).toString("latin1");
  if (magic !== MAGIC) throw new SourceError(`${path}: is no Gwyddion file: it begins with ${JSON.stringify(magic)}, not ${MAGIC}`); // prettier-ignore
  const container = await walker.object(4, bytes.size, { cut: true });
  if (container.type !== "GwyContainer") throw new SourceError(`${path}: holds a ${container.type}, not a GwyContainer; save it as .gwy again`); // prettier-ignore

  const warnings: string[] = [];
  const fields = new Map<number, Field>();
  const titles = new Map<number, string>();
  if (container.missing > 0) warnings.push(`is cut short: ${container.missing} bytes are missing at its end; what is there is read`); // prettier-ignore
  let recorded: readonly [date: string, time: string] | undefined;
  try {
    for await (const component of walker.components(container)) {
      const [, id = "", what = ""] = /^\/(\d{1,9})\/(data|data\/title|meta)$/.exec(component.name) ?? [];
      if (what === "data" && component.type === "o") {
        if (fields.size >= MOST_IMAGES)
          throw walker.wrong(`has more than ${MOST_IMAGES} images`, component.at);
        fields.set(Number(id), await readField(walker, component, Number(id), warnings));
      } else if (what === "data/title" && component.type === "s")
        titles.set(Number(id), await walker.text(component));
      else if (what === "meta" && component.type === "o") recorded ??= await whenRecorded(walker, component);
    }
  } catch (error) {
    // What stands before the damage is read.
    if (!(error instanceof SourceError) || fields.size === 0) throw error;
    warnings.push(
      error.message.replace(`${path}: `, "") + `; what stands before it is read (images: ${fields.size})`,
    );
  }
  if (fields.size === 0) throw new SourceError(`${path}: is a Gwyddion file without images`);
  const images = imagesOf(bytes, [...fields.values()].sort((a, b) => a.id - b.id), titles, warnings); // prettier-ignore
  return {
    path,
    format: "Gwyddion .gwy",
    instrument: "",
    software: "Gwyddion",
    start: recorded && whenOf(...recorded, zoned),
    warnings,
    images,
    close: () => bytes.close(),
  };
}

async function readField(
  walker: Walker,
  { at, end }: Component,
  id: number,
  warnings: string[],
): Promise<Field> {
  const field: Field = { id, title: "", columns: 0, rows: 0, sizeX_m: NaN, sizeY_m: NaN, left_m: 0, top_m: 0, unit: "", at: NaN, problem: "" }; // prettier-ignore
  let count = -1;
  let xy = "";
  try {
    const object = await walker.object(at, end);
    if (object.type !== "GwyDataField") throw walker.wrong(`is a ${object.type}, not a GwyDataField`, at);
    for await (const component of walker.components(object)) {
      const { name, type } = component;
      if (name === "xres") field.columns = await walker.number(component);
      else if (name === "yres") field.rows = await walker.number(component);
      else if (name === "xreal") field.sizeX_m = await walker.number(component);
      else if (name === "yreal") field.sizeY_m = await walker.number(component);
      else if (name === "xoff") field.left_m = await walker.number(component);
      else if (name === "yoff") field.top_m = await walker.number(component);
      else if (name === "si_unit_z" && type === "o") field.unit = await unitOf(walker, component);
      else if (name === "si_unit_xy" && type === "o") xy = await unitOf(walker, component);
      else if (name === "data" && type === "D") [field.at, count] = [component.at, component.count];
    }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    field.problem = error.message.replace(`${walker.bytes.path}: `, "");
  }
  const { columns, rows } = field;
  const whole = Number.isInteger(columns) && columns > 0 && Number.isInteger(rows) && rows > 0;
  if (!whole || columns * rows > MOST_PIXELS) field.problem ||= `says ${rows} × ${columns} pixels; 1 to ${MOST_PIXELS} can be read`; // prettier-ignore
  else if (columns * rows !== count) field.problem ||= `says ${rows} × ${columns} pixels, but has ${Math.max(0, count)} values`; // prettier-ignore
  if (field.problem) warnings.push(`image /${id}/data ${field.problem}; it is left out`);
  const metres = scaleOf(xy, "m");
  for (const key of ["sizeX_m", "sizeY_m", "left_m", "top_m"] as const) field[key] *= metres;
  return field;
}

async function unitOf(walker: Walker, { at, end }: Component): Promise<string> {
  for await (const component of walker.components(await walker.object(at, end)))
    if (component.name === "unitstr" && component.type === "s") return (await walker.text(component)).trim();
  return "";
}

const PREFIXES = new Map([["", 1], ["f", 1e-15], ["p", 1e-12], ["n", 1e-9], ["µ", 1e-6], ["μ", 1e-6], ["u", 1e-6], ["m", 1e-3], ["k", 1e3], ["M", 1e6], ["G", 1e9]]); // prettier-ignore

/** What makes the unit of one of a text such as "nm"; NaN where that is of another kind. */
function scaleOf(text: string, unit: string): number {
  if (unit === "deg") return /^(deg|°)$/.test(text) ? 1 : text === "rad" ? 180 / Math.PI : NaN;
  if (!text.endsWith(unit)) return NaN;
  return PREFIXES.get(text.slice(0, text.length - unit.length)) ?? NaN;
}

/** Streams by title, where the unit fits one of them; the first that does is taken. */
const TITLES: readonly (readonly [title: RegExp, ports: readonly ImagePort[], rank: number])[] = [
  [/modulus|young/i, ["modulus"], 0],
  [/adhesion/i, ["adhesion"], 0],
  [/deformation|indentation/i, ["deformation"], 0],
  [/dissipation/i, ["dissipation"], 0],
  [/stiffness/i, ["stiffness"], 0],
  [/potential|kpfm|\bcpd\b/i, ["potential"], 0],
  [/current/i, ["current"], 0],
  [/phase/i, ["phase"], 0],
  [/frequency|\bdf\b/i, ["frequency"], 0],
  [/amplitude/i, ["amplitude", "amplitude_volt"], 0],
  [/friction|lateral/i, ["friction"], 0],
  [/deflection|error/i, ["deflection", "deflection_volt"], 0],
  [/(height|z).*sensor|z[ -]?sensor|measured ?height/i, ["topography"], 1],
  [/height|topo|z[ -]?axis|^z\b/i, ["topography"], 0],
];
/** Streams that a unit alone tells; of volts, newtons and joules there are several. */
const BY_UNIT: readonly ImagePort[] = ["topography", "current", "phase", "frequency", "modulus", "stiffness"];

function portOf(title: string, unit: string): { port: ImagePort; rank: number; scale: number } | undefined {
  const named = TITLES.find(([pattern]) => pattern.test(title));
  const rank = named ? named[2] : -1; // one that is named goes before one that is guessed
  for (const port of named ? named[1] : BY_UNIT) {
    const scale = scaleOf(unit, IMAGE_PORTS[port][0]);
    if (!Number.isNaN(scale)) return { port, rank, scale };
  }
  return undefined;
}

function imagesOf(
  bytes: Bytes,
  fields: readonly Field[],
  titles: ReadonlyMap<number, string>,
  warnings: string[],
): ImageSet {
  const { path } = bytes;
  const nameOf = ({ id }: Field): string => titles.get(id) || `image ${id}`;
  const readable = fields.filter(({ problem }) => problem === "");
  const known = readable.map((field) => portOf(nameOf(field), field.unit));
  const first = readable[known.findIndex((found) => found?.port === "topography")] ?? readable[known.findIndex((found) => found !== undefined)] ?? readable[0]; // prettier-ignore
  if (!first) throw new SourceError(`${path}: none of its ${fields.length} images can be read; the first ${fields[0]!.problem}`); // prettier-ignore
  const taken = new Set<string>();
  const scales: number[] = [];
  const channels = readable.map((field, i): ImageChannel => {
    const name = nameOf(field);
    let found = known[i];
    const direction = /retrace|backward|\bbwd\b|right[ -]?to[ -]?left/i.test(name) ? RETRACE : TRACE;
    const sameField = (["columns", "rows", "sizeX_m", "sizeY_m"] as const).every((key) => Object.is(field[key], first[key])); // prettier-ignore
    if (found && !sameField) {
      warnings.push(`image /${field.id}/data "${name}" is of another size than "${nameOf(first)}"; it is left out`); // prettier-ignore
      found = undefined;
    }
    const key = found && `${found.port} ${direction} ${found.rank}`;
    if (key !== undefined && taken.has(key)) {
      warnings.push(`image /${field.id}/data "${name}" is one more ${found!.port}; only the first is given`);
      found = undefined;
    }
    if (key !== undefined) taken.add(key);
    scales.push(found?.scale ?? 1);
    return { name, port: found?.port, unit: found ? IMAGE_PORTS[found.port][0] : field.unit, direction, rank: found?.rank ?? 0, rows: field.rows, columns: field.columns }; // prettier-ignore
  });
  const placed = first.left_m !== 0 || first.top_m !== 0; // 0, 0 is what a program writes that does not know
  const frame = {
    end: undefined,
    duration_s: NaN,
    slowScan: UNKNOWN_SCAN,
    centerX_m: placed ? first.left_m + first.sizeX_m / 2 : NaN,
    centerY_m: placed ? -(first.top_m + first.sizeY_m / 2) : NaN,
    angle_deg: NaN,
  } as const;
  return {
    frames: 1,
    timeFrom: "date in the channel's metadata",
    sizeX_m: first.sizeX_m > 0 ? first.sizeX_m : NaN,
    sizeY_m: first.sizeY_m > 0 ? first.sizeY_m : NaN,
    channels,
    frame: async () => frame,
    async read(channel) {
      const { at, rows, columns, id } = readable[channel]!;
      const scale = scales[channel]!;
      const values = new Float32Array(rows * columns);
      for (let row = 0; row < rows; row++) {
        const line = await bytes.read(at + row * columns * 8, columns * 8, `image /${id}/data`);
        const to = (rows - 1 - row) * columns;
        for (let i = 0; i < columns; i++) values[to + i] = line.readDoubleLE(8 * i) * scale;
      }
      return values;
    },
  };
}

/** `/N/meta` has what the file that was imported had, in its own words: only what is beyond doubt is taken. */
async function whenRecorded(
  walker: Walker,
  { at, end }: Component,
): Promise<readonly [date: string, time: string] | undefined> {
  const texts = new Map<string, string>();
  for await (const component of walker.components(await walker.object(at, end))) {
    if (component.type === "s" && /^(scan ?)?(date|time|date and time|date\/time)$/i.test(component.name))
      texts.set(component.name.toLowerCase().replace(/^scan ?/, ""), await walker.text(component));
  }
  const said = texts.get("date and time") ?? texts.get("date/time") ?? texts.get("date") ?? "";
  const iso = /(\d{4}-\d\d-\d\d)(?:[ T]+(\d{1,2}:\d\d:\d\d(?:\.\d{1,9})?))?/.exec(said);
  // "04:33:12 PM Thu Jun 23 2016"
  const named = /^(\d{1,2}:\d\d:\d\d(?: [AP]M)?) \w{3} (\w{3}) (\d{1,2}) (\d{4})$/i.exec(said.trim());
  const time = clockOf(iso?.[2] ?? named?.[1] ?? texts.get("time") ?? "");
  if (time === undefined) return undefined;
  if (iso) return [iso[1]!, time];
  const month = named ? MONTHS.indexOf(named[2]!.toLowerCase()) + 1 : 0;
  if (!named || month === 0) return undefined;
  return [`${named[4]}-${String(month).padStart(2, "0")}-${named[3]!.padStart(2, "0")}`, time];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
