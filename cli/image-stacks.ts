/**
 * Image streams as TIFF stacks, which ImageJ and its kin open: of each slice its pictures over time, or the newest of
 * all slices as a volume. Beside each stack stands a table with what the stream says of each of its pages.
 */
import { appendFile, open, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  imageSize, parseQuantity, slice, unknownName, type Columns, type Field, type Fields, type NumericArray,
  type Schema,
} from "../runtime/index.ts"; // prettier-ignore
import type { RecordedRun } from "../runtime/journal/index.ts";
import { CommandError, couldNotWrite, FAILED, MISTAKE } from "./command-error.ts";
import { csvHeader, csvRows } from "./csv.ts";
import { makeDirectory } from "./make-directory.ts";
import { counted, tell } from "./print.ts";
import { readPart, type Between, type Part } from "./recorded-part.ts";
import { frameOf, PAGES_BEGIN } from "./tiff.ts";
import { operandoVersion } from "./version.ts";

export interface StackOptions {
  readonly stream?: string;
  readonly columns?: string;
  readonly out?: string;
  readonly volume?: boolean;
  readonly between: Between;
}

/** One image column of a part: what becomes a stack, or one for each slice. */
interface ImageColumn {
  readonly part: Part;
  readonly column: string;
  readonly field: Field;
  readonly name: string;
  /** Of the run, ns: from it the table's seconds count. */
  readonly origin: bigint;
}

export async function exportStacks(
  run: RecordedRun,
  parts: readonly Part[],
  options: StackOptions,
): Promise<void> {
  if (options.out === undefined) {
    throw new CommandError("a TIFF file cannot be written to stdout; name a folder with --out", MISTAKE);
  }
  const columns = imagesOf(parts, options, BigInt(run.manifest.origin));
  const file = /\.tiff?$/i.test(options.out);
  if (file && columns.length > 1) {
    const names = columns.map(({ name }) => name).join(", ");
    throw new CommandError(`--out ${options.out} is one file, but there is more than one image: ${names}; name a folder, or one with --stream and --columns`, MISTAKE); // prettier-ignore
  }
  let pages = 0;
  for (const image of columns) {
    const files = file ? new OneFile(image, options.out) : new FilesInFolder(image, options.out);
    try {
      await (options.volume ? addVolume : addOverTime)(run, image, options.between, files);
      for (const stack of files.stacks) {
        await stack.finish(options.volume ? "slices" : "frames");
        pages += stack.pages;
        await tell(`${basename(stack.path)}: ${counted(stack.pages, "page")} of ${stack.size}`);
      }
      if (files.stacks.length === 0) await tell(`${image.name}: no rows${within(options.between)}`);
    } catch (error) {
      for (const stack of files.stacks) await stack.discard();
      throw error;
    }
  }
  if (pages === 0) {
    throw new CommandError(`nothing was written: ${columns.map(({ name }) => name).join(", ")} ${columns.length === 1 ? "has" : "have"} no rows${within(options.between)}`, FAILED); // prettier-ignore
  }
}

const within = ({ fromTime, toTime }: Between): string =>
  fromTime === undefined && toTime === undefined ? "" : " between these times";

function imagesOf(parts: readonly Part[], { columns, stream }: StackOptions, origin: bigint): ImageColumn[] {
  const wanted = columns?.split(",").map((name) => name.trim());
  const found = parts.flatMap((part) => {
    const images = Object.entries(part.schema.fields).filter(([, { kind }]) => kind === "image");
    for (const name of wanted ?? []) {
      const known = images.map(([image]) => image);
      if (!known.includes(name) && (stream !== undefined || images.length > 0))
        throw new CommandError(
          `--columns, of images in ${part.stream}: ${unknownName(name, known)}`,
          MISTAKE,
        );
    }
    const name = (column: string): string => (images.length > 1 ? `${part.name}-${column}` : part.name);
    return images
      .filter(([column]) => wanted?.includes(column) ?? true)
      .map(([column, field]): ImageColumn => ({ part, column, field, name: name(column), origin }));
  });
  if (found.length > 0) return found;
  const where = stream === undefined ? "no stream of the run has" : `${stream} has no`;
  throw new CommandError(
    stream === undefined
      ? `${where} an image column, so there is nothing for a TIFF stack; csv and arrow take all columns`
      : `${where} image column, so there is nothing for a TIFF stack: it has ${Object.keys(parts[0]?.schema.fields ?? {}).join(", ")}; csv and arrow take all columns`,
    MISTAKE,
  );
}

/** Each row behind those of its slice. */
async function addOverTime(
  run: RecordedRun,
  image: ImageColumn,
  between: Between,
  files: Files,
): Promise<void> {
  for await (const { columns } of readPart(run, image.part, between)) {
    const slices = columns["slice"] as NumericArray | undefined;
    for (let i = 0; i < columns.time.length; i++) {
      const stack = await files.of(slices ? Number(slices[i]) : undefined);
      await stack.add(columns, i);
    }
  }
}

/** The newest row of each slice, in the order of the slices; the first pass finds them, the second reads them. */
async function addVolume(
  run: RecordedRun,
  image: ImageColumn,
  between: Between,
  files: Files,
): Promise<void> {
  const { part } = image;
  if (!part.schema.fields["slice"]) {
    throw new CommandError(`--volume: ${part.stream} has no column slice; without --volume its images become one stack over time`, MISTAKE); // prettier-ignore
  }
  const newest = new Map<number, { epoch: number; row: number }>();
  for await (const { epoch, row, columns } of readPart(run, part, between)) {
    (columns["slice"] as NumericArray).forEach((which, i) =>
      newest.set(Number(which), { epoch, row: row + i }),
    );
  }
  for (const [, { epoch, row }] of [...newest].sort(([a], [b]) => a - b)) {
    for await (const { columns } of run.read(part.stream, { epoch, fromRow: row, toRow: row + 1 })) {
      await (await files.of(undefined)).add(columns, 0);
    }
  }
}

/** Where the pages of a slice go. */
interface Files {
  readonly stacks: readonly StackFile[];
  of(slice: number | undefined): Promise<StackFile>;
}

class FilesInFolder implements Files {
  readonly #image: ImageColumn;
  readonly #folder: string;
  readonly #bySlice = new Map<number | undefined, StackFile>();

  constructor(image: ImageColumn, folder: string) {
    this.#image = image;
    this.#folder = folder;
  }

  get stacks(): StackFile[] {
    return [...this.#bySlice.values()];
  }

  async of(which: number | undefined): Promise<StackFile> {
    const known = this.#bySlice.get(which);
    if (known) return known;
    const end = which === undefined ? "" : `-slice${String(which).padStart(4, "0")}`;
    const stack = new StackFile(this.#image, join(this.#folder, `${this.#image.name}${end}.tif`));
    this.#bySlice.set(which, stack);
    await stack.begin();
    return stack;
  }
}

class OneFile implements Files {
  readonly #stack: StackFile;
  #slice: number | undefined;
  stacks: StackFile[] = [];

  constructor(image: ImageColumn, path: string) {
    this.#stack = new StackFile(image, path);
  }

  async of(which: number | undefined): Promise<StackFile> {
    if (this.stacks.length === 0) {
      this.#slice = which;
      this.stacks = [this.#stack];
      await this.#stack.begin();
    } else if (which !== this.#slice) {
      throw new CommandError(
        `--out ${this.#stack.path} is one file, but there are several slices (${this.#slice}, ${which}); name a folder, or give --volume`,
        MISTAKE,
      );
    }
    return this.#stack;
  }
}

/** One stack while it is written, and the table beside it; both get their names once they are whole. */
class StackFile {
  readonly path: string;
  readonly #table: string;
  readonly #image: ImageColumn;
  readonly #fields: Fields;
  readonly #shape: readonly [planes: number, rows: number, columns: number];
  readonly #times: bigint[] = [];
  readonly #slices: number[] = [];
  #least = Infinity;
  #greatest = -Infinity;

  constructor(image: ImageColumn, path: string) {
    this.path = path;
    this.#table = path.replace(/\.tiff?$/i, ".csv");
    this.#image = image;
    const { fields } = image.part.schema;
    const single = ({ kind }: Field): boolean => kind !== "image" && kind !== "curve";
    this.#fields = Object.fromEntries(Object.entries(fields).filter(([, field]) => single(field)));
    const shape = (image.field.shape ?? []).map(Number);
    const [rows = 1, columns = 1] = shape.length > 1 ? shape.slice(-2) : [1, ...shape];
    this.#shape = [imageSize(image.column, image.field) / (rows * columns), rows, columns];
  }

  get pages(): number {
    return this.#times.length * this.#shape[0];
  }

  get size(): string {
    const [, rows, columns] = this.#shape;
    return `${rows} × ${columns}`;
  }

  async begin(): Promise<void> {
    await this.#write(async () => {
      await makeDirectory(dirname(this.path));
      await writeFile(`${this.path}.partial`, new Uint8Array(PAGES_BEGIN));
      await writeFile(`${this.#table}.partial`, csvHeader({ fields: this.#fields, metadata: {} }));
    });
  }

  async add(columns: Columns, row: number): Promise<void> {
    const { column, field, part } = this.#image;
    const size = imageSize(column, field);
    const values = (columns[column] as Float32Array).subarray(row * size, (row + 1) * size);
    for (let i = 0; i < size; i++) {
      const value = Number(values[i]);
      if (value < this.#least && value > -Infinity) this.#least = value;
      if (value > this.#greatest && value < Infinity) this.#greatest = value;
    }
    this.#times.push(columns.time[row]!);
    const slices = columns["slice"] as NumericArray | undefined;
    if (slices) this.#slices.push(Number(slices[row]));
    const one = slice(columns, part.schema.fields, row, row + 1);
    const said = csvRows(one, { fields: this.#fields, metadata: {} }, this.#image.origin);
    await this.#write(async () => {
      await appendFile(
        `${this.path}.partial`,
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      );
      await appendFile(`${this.#table}.partial`, said);
    });
  }

  /** `over`: what lies behind one another in it, frames in time or slices in space. */
  async finish(over: "frames" | "slices"): Promise<void> {
    const { type } = this.#image.field;
    const [planes, rows, columns] = this.#shape;
    const pixel = pixelSize_um(this.#image.part.schema);
    const times =
      planes === 1 ? this.#times : this.#times.flatMap((time) => Array<bigint>(planes).fill(time));
    const { before, after } = frameOf({
      rows, columns, type, times,
      description: this.#description(over, pixel),
      software: `Operando ${operandoVersion()}`,
      ...(pixel && { pixel }),
    }); // prettier-ignore
    await this.#write(async () => {
      await appendFile(`${this.path}.partial`, after);
      const file = await open(`${this.path}.partial`, "r+");
      await file.write(before, 0, before.length, 0).finally(() => file.close());
      await rename(`${this.path}.partial`, this.path);
      await rename(`${this.#table}.partial`, this.#table);
    });
  }

  /** In ImageJ's words, which other programs read too. */
  #description(over: "frames" | "slices", pixel: { apart: number } | undefined): string {
    const [planes] = this.#shape;
    const n = this.#times.length;
    const lines = ["ImageJ=1.54f", `images=${n * planes}`];
    if (over === "slices") lines.push(`slices=${n}`);
    else lines.push(...(planes > 1 ? [`slices=${planes}`] : []), `frames=${n}`);
    if (planes > 1 && n > 1) lines.push("hyperstack=true");
    if (pixel) lines.push("unit=um");
    const step = evenStep(this.#slices);
    if (over === "slices" && pixel && step !== undefined) lines.push(`spacing=${step * pixel.apart}`);
    if (over === "frames" && n > 1)
      lines.push(`finterval=${Number(this.#times.at(-1)! - this.#times[0]!) / 1e9 / (n - 1)}`, "tunit=s");
    lines.push("loop=false");
    if (this.#least <= this.#greatest) lines.push(`min=${this.#least}`, `max=${this.#greatest}`);
    return `${lines.join("\n")}\n`;
  }

  async discard(): Promise<void> {
    await rm(`${this.path}.partial`, { force: true });
    await rm(`${this.#table}.partial`, { force: true });
  }

  async #write(make: () => Promise<void>): Promise<void> {
    try {
      await make();
    } catch (error) {
      throw couldNotWrite(this.path, error);
    }
  }
}

/** Of numbers that go up by one step each; undefined of others. */
function evenStep(slices: readonly number[]): number | undefined {
  const step = slices.length > 1 ? slices[1]! - slices[0]! : undefined;
  return slices.every((which, i) => i === 0 || which - slices[i - 1]! === step) ? step : undefined;
}

/**
 * Size of a pixel at the sample, by the names in use, which give m or a quantity; undefined where nobody says. A slice
 * across the rotation axis has the width of a pixel on both sides; how far slices lie apart is the height of one.
 */
function pixelSize_um({ fields, metadata }: Schema): { x: number; y: number; apart: number } | undefined {
  const number = (text: string | undefined): number => {
    if (text === undefined || !Number.isNaN(Number(text))) return Number(text);
    try {
      return parseQuantity(text, "m");
    } catch {
      return NaN; // a unit that nobody knows gives no scale rather than a wrong one
    }
  };
  const of = (axis: "x" | "y"): number => {
    const own = metadata[`sample_pixel_size_${axis}`];
    if (own !== undefined) return 1e6 * number(own);
    const names = [`pixel_size_${axis}`, `${axis}_pixel_size`, "pixel_size"];
    const detector = names.map((name) => metadata[name]).find((text) => text !== undefined);
    return 1e6 * number(detector) * Number(metadata["pitch"] ?? 1);
  };
  const [x, height] = [of("x"), of("y")];
  if (!(x > 0)) return undefined;
  const y = height > 0 ? height : x;
  // Slices lie rows of the detector apart, not pixels of theirs.
  return {
    x,
    y: "slice" in fields || /^\s*z/.test(metadata["plane"] ?? "") ? x : y,
    apart: y / Number(metadata["pitch"] ?? 1),
  };
}
