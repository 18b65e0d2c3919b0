/**
 * The slice kernel in WebAssembly SIMD: lays out the memory of back-projection.as.ts and ramp-filter.as.ts.
 *
 * An instance has a memory of its own, which grows with the views that are kept. Planes whose lines all lie at one
 * height share its rows: their views wait in a queue until it is full or a picture is asked for, and go into the
 * images in one pass, which spares memory traffic and changes no bit. Of other planes every line has a row of its
 * own: those go in at once, some lines at a time, so that a row is still in the cache when the planes take it.
 */
import { powerOfTwo } from "../../fft.ts";
import { fanPassing } from "../fan.ts";
import { isLevel, passing, rowAt, type Plane } from "../planes.ts";
import { rampGain } from "../ramp-filter.ts";
import { between, pixelWidth, type KernelOptions, type Line, type SliceKernel } from "../slice-kernel.ts";
import { KERNELS_BASE64 } from "./kernels.wasm.ts";

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly heap: { readonly value: number };
  backProject(
    image: number, width: number, firstLine: number, lastLine: number, centreCol: number, centreLine: number,
    radius: number, slopes: number, views: number, count: number,
  ): void; // prettier-ignore
  fanProject(
    image: number, width: number, firstLine: number, lastLine: number, centreCol: number, centreLine: number,
    radius: number, slopes: number, view: number,
  ): void; // prettier-ignore
  combine(terms: number, count: number, cols: number, row: number, slopes: number): void;
  minusLog(values: number, count: number): number;
  smooth(row: number, cols: number, width: number, sums: number, into: number, slopes: number): void;
  rampFilter(
    rows: number, apart: number, cols: number, n: number, turns: number, gain: number, work: number, edge: number,
  ): void; // prettier-ignore
  scaled(image: number, into: number, count: number, factor: number): void;
}

/** What we use of it; TypeScript has its types only with those of a browser. */
interface Engine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}
const engine = (globalThis as { WebAssembly?: Engine }).WebAssembly;

const bytes = (): Uint8Array => Uint8Array.from(atob(KERNELS_BASE64), (c) => c.charCodeAt(0));
let compiled: object | undefined;

/** Whether this JavaScript engine runs the kernels: WebAssembly with SIMD. */
export const runsWasm = (): boolean => compiled !== undefined || (engine?.validate(bytes()) ?? false);

const PAGE = 65_536;
/** A WebAssembly memory has addresses of 32 bits. */
const MOST_PAGES = 65_536;
/** Views in the queue of planes at one height. */
const QUEUE = 16;
/** Views, and lines of each, that go together into planes of many heights. */
const TOGETHER = 2;
const BLOCK = 16;
/** Floats before and after a row that a vector may reach into. */
const MARGIN = 8;
const VIEW_BYTES = 48;
const FAN_BYTES = 72;
const TERM_BYTES = 16;
/** Stored rows that one line may be made of: those of two views, each between two detector rows, many times over. */
const MOST_TERMS = 64;
/** Pairs of rows that the filter takes in one call. */
const LANES = 4;
/** Slots are made so many bytes at a time. */
const CHUNK_BYTES = 1 << 20;

const paddedRow = (cols: number): number => 4 * 4 * Math.ceil(cols / 4);
/** Rows of a slot: whole sets of eight where the filter works in place. */
const rowsKept = (count: number, alone: boolean): number =>
  worksInPlace(count, alone) ? 8 * Math.ceil(count / 8) : count;
const slotBytes = (rows: number, cols: number): number => 64 + rows * paddedRow(cols);

type Sizes = Pick<KernelOptions, "planes" | "detectorRows" | "cols" | "images">;

/** What a kernel needs beside the rows of its views, and of each view. */
export function wasmMemory({ planes, detectorRows, cols, images }: Sizes): { fixed_bytes: number; view_bytes: number } {
  const pixels = planes.reduce((n, { rows, cols }) => n + rows * cols, 0);
  const largest = Math.max(0, ...planes.map(({ rows, cols }) => rows * cols));
  const tables = 8 * (cols + 2 * MARGIN + 8) * (QUEUE * planes.length + TOGETHER * BLOCK);
  return {
    fixed_bytes: 2 * PAGE + 50 * powerOfTwo(2 * cols) + 8 * 4 * cols * LANES + tables + 4 * (images * pixels + largest),
    view_bytes: slotBytes(rowsKept(detectorRows.length, ridesAlone(planes)), cols),
  };
} // prettier-ignore

/** Views that fit beside everything else into the 4 GiB of a memory. */
export function viewsThatFit(sizes: Sizes): number {
  const { fixed_bytes, view_bytes } = wasmMemory(sizes);
  return Math.max(0, Math.floor((MOST_PAGES * PAGE - fixed_bytes - CHUNK_BYTES) / view_bytes));
}

/** Part of the lines of every plane that an instance makes: `index` of `count`. */
export interface Tile {
  readonly index: number;
  readonly count: number;
}

/** Lines of a plane that a tile makes. */
export const linesOf = (rows: number, { index, count }: Tile): [first: number, last: number] => [
  Math.floor((index * rows) / count),
  Math.floor(((index + 1) * rows) / count),
];

/**
 * From so many rows on the filter works on eight rows of a view at a time, where they lie, two of them as the parts of
 * one complex row. Rows of level planes ride alone: their bits do not depend on which other slices are made with them.
 */
const worksInPlace = (rows: number, alone: boolean): boolean => !alone && rows >= 2 * LANES;

const ridesAlone = (planes: readonly Plane[]): boolean => planes.every(isLevel);

/**
 * Which sets of eight detector rows a tile filters and keeps (sets, so that the same two rows ride together in every
 * tile): those that its lines see, and what a view's shift may add.
 */
export function setsHere({ planes, detectorRows }: KernelOptions, tile: Tile): number[] {
  const all = detectorRows.length;
  const sets = new Set<number>();
  const places = new Map(detectorRows.map((row, i) => [row, i]));
  for (const plane of planes) {
    const [first, last] = linesOf(plane.rows, tile);
    const ends = [first, Math.max(first, last - 1)].map((line) =>
      between(detectorRows, places, plane.z + (isLevel(plane) ? 0 : line) * plane.downZ),
    );
    const from = Math.max(0, Math.min(...ends.map(([lower]) => lower)) - MOST_SHIFT);
    const to = Math.min(all - 1, Math.max(...ends.map(([, upper]) => upper)) + MOST_SHIFT);
    for (let set = from >> 3; set <= to >> 3; set++) sets.add(set);
  }
  return [...sets].toSorted((a, b) => a - b);
}

interface Picture {
  readonly plane: Plane;
  readonly first: number;
  readonly last: number;
  /** Of line 0, by image; lines before `first` are not there. */
  readonly images: number[];
  /** Views of the queue, and how many of them are in the images. */
  readonly views: number;
  done: number;
}

/** Planes that see the same row with the same line. */
interface Group {
  readonly z: number;
  readonly downZ: number;
  readonly width: number;
  /** By line: the stored rows that it lies between in a view that was not shifted. */
  readonly between: (readonly [first: number, second: number, fraction: number])[];
  readonly pictures: Picture[];
  /** Address of the first of its rows with its slopes. */
  readonly tables: number;
}

export function wasmKernel(options: KernelOptions, tile: Tile = { index: 0, count: 1 }): SliceKernel {
  const { planes, detectorRows, cols, padding, middleRow, fan } = options;
  compiled ??= new engine!.Module(bytes());
  const wasm = new engine!.Instance(compiled).exports as Exports;
  let next = wasm.heap.value;
  let f32 = new Float32Array(wasm.memory.buffer);
  let u32 = new Uint32Array(wasm.memory.buffer);
  let f64 = new Float64Array(wasm.memory.buffer);

  /** Room of so many bytes, zero, at a multiple of 64. */
  function take(size: number): number {
    const at = Math.ceil(next / 64) * 64;
    next = at + size;
    const more = Math.ceil(next / PAGE) - wasm.memory.buffer.byteLength / PAGE;
    if (more > 0) {
      wasm.memory.grow(more);
      f32 = new Float32Array(wasm.memory.buffer);
      u32 = new Uint32Array(wasm.memory.buffer);
      f64 = new Float64Array(wasm.memory.buffer);
    }
    return at;
  }

  const n = powerOfTwo(2 * cols);
  const apart = paddedRow(cols);
  const table = 4 * (4 * Math.ceil(cols / 4) + 2 * MARGIN);
  const turns = take(8 * n);
  const gain = take(4 * n);
  const work = take(32 * Math.max(n, 4));
  const lanes = take(2 * LANES * apart);
  const terms = take(MOST_TERMS * TERM_BYTES);
  const sums = take(8 * cols);
  const sharp = take(2 * table);
  const logs = take(4 * cols + 16);
  const fanView = take(FAN_BYTES);
  for (let k = 0; k < n; k++) {
    f32[turns / 4 + 2 * k] = Math.cos((2 * Math.PI * k) / n);
    f32[turns / 4 + 2 * k + 1] = -Math.sin((2 * Math.PI * k) / n);
  }
  f32.set(rampGain(n, options.window), gain / 4);

  // Planes: images, and the groups that share their rows.
  const places = new Map(detectorRows.map((row, i) => [row, i]));
  const level = new Map<string, Group>();
  const upright = new Map<string, Group>();
  const pictures = planes.map((plane): Picture => {
    const [first, last] = linesOf(plane.rows, tile);
    // Four floats more than there are pixels: the kernel reads past the last line.
    const pixels = 4 * plane.cols * Math.max(0, last - first) + 16;
    const images = Array.from({ length: options.images }, () => take(pixels + 16) - 4 * first * plane.cols);
    const flat = isLevel(plane);
    const width = pixelWidth(plane, 1);
    const groups = flat ? level : upright;
    const key = `${plane.z} ${flat ? 0 : plane.downZ} ${width} ${flat ? 0 : plane.rows}`;
    let group = groups.get(key);
    if (!group) {
      const rows = flat ? QUEUE : TOGETHER * BLOCK;
      const downZ = flat ? 0 : plane.downZ;
      const lines = Array.from({ length: flat ? 1 : plane.rows }, (_, r) => between(detectorRows, places, plane.z + r * downZ));
      group = { z: plane.z, downZ, width, between: lines, pictures: [], tables: take(rows * 2 * table) };
      groups.set(key, group);
    }
    const picture = { plane, first, last, images, views: take((flat ? QUEUE : TOGETHER) * VIEW_BYTES), done: 0 };
    group.pictures.push(picture);
    return picture;
  }); // prettier-ignore
  const shown = take(Math.max(16, ...pictures.map(({ plane, first, last }) => 4 * plane.cols * (last - first) + 16)));

  // Rows: those that this tile's planes see, in the pairs that the filter takes them in.
  const alone = ridesAlone(planes);
  const inPlace = worksInPlace(detectorRows.length, alone);
  /** Where a row lies in its set of eight: the first rows of four pairs, then the second ones. */
  const lies = (place: number): number =>
    inPlace ? ((place & 1) << 2) + (place >> 1) : place;
  const sets = setsHere(options, tile);
  const setAt = new Map(sets.map((set, i) => [set, i]));
  /** Bytes from a slot's address to a row. */
  const rowAfter = (place: number): number => (8 * setAt.get(place >> 3)! + lies(place & 7)) * apart;
  const slots: number[] = [];
  const slotOf = (slot: number): number => {
    while (slots.length <= slot) {
      const size = slotBytes(inPlace ? 8 * sets.length : detectorRows.length, cols);
      const count = Math.max(1, Math.floor(CHUNK_BYTES / size));
      const from = take(count * size);
      for (let k = 0; k < count; k++) slots.push(from + k * size + 32);
    }
    return slots[slot]!;
  };

  let queued = 0;
  let waiting = 0;

  function settle(): void {
    if (waiting === 0) return;
    for (const { pictures } of level.values()) for (const picture of pictures) flush(picture, waiting);
    for (const { pictures } of level.values()) for (const picture of pictures) picture.done = 0;
    waiting = 0;
  }

  /** Brings views of the queue, up to that place, into a level plane. */
  function flush(picture: Picture, to: number): void {
    const { plane, first, last, views, done } = picture;
    if (done < to) {
      const { row, col, radius } = plane.circle;
      wasm.backProject(
        picture.images[queued]!, plane.cols, first, last, col, row, radius, table, views + done * VIEW_BYTES, to - done,
      ); // prettier-ignore
      picture.done = to;
    }
  }

  /** The row that a line of a group sees, terms summed up, and its slopes. */
  function combine(line: Line, { z, downZ, width, between: still }: Group, r: number, into: number): void {
    const moved = line.scale !== 1 || line.shift_y !== 0;
    const [first, second, fraction] = moved
      ? between(detectorRows, places, rowAt(z + r * downZ, middleRow, line))
      : still[r]!;
    let count = 0;
    for (const { slot, weight, mirrored } of line.terms) {
      const from = slotOf(slot);
      writeTerm(count++, from + rowAfter(first), weight * (1 - fraction), mirrored);
      if (fraction > 0) writeTerm(count++, from + rowAfter(second), weight * fraction, mirrored);
    }
    const at = into + 4 * MARGIN;
    if (width === 1) {
      wasm.combine(terms, count, cols, at, table);
      return;
    }
    wasm.combine(terms, count, cols, sharp + 4 * MARGIN, table);
    wasm.smooth(sharp + 4 * MARGIN, cols, width * line.scale, sums, at, table);
  }

  function writeTerm(place: number, address: number, weight: number, mirrored: boolean): void {
    if (place >= MOST_TERMS) throw new RangeError(`more than ${MOST_TERMS} stored rows along one line`);
    const at = (terms + TERM_BYTES * place) >>> 2;
    u32[at] = address;
    f32[at + 1] = weight;
    u32[at + 2] = mirrored ? 1 : 0;
  }

  /** Writes a view for `backProject`; or, where it is too steep for that or a fan's, gives false. */
  function writeView(at: number, plane: Plane, line: Line, row: number, rowsApart: number): boolean {
    if (fan) return false;
    const { start, along, down } = passing(plane, line);
    if (Math.abs(along) > 1 + 1e-9) return false;
    f64.set([start, along, down], at / 8);
    u32.set([row, rowsApart, cols], at / 4 + 6);
    return true;
  }

  /** One view, of a fan or where pixels are further apart than samples: pixel by pixel. */
  function addSteep(image: number, plane: Plane, line: Line, row: number, rowsApart: number, first: number, last: number): void {
    const seen = passing(plane, line);
    const { axis, a, u } = fan ? fanPassing(plane, line, fan) : { axis: 0, a: seen, u: { start: 1, along: 0, down: 0 } };
    f64.set([axis, a.start, a.along, a.down, u.start, u.along, u.down], fanView / 8);
    u32.set([row, rowsApart, cols], fanView / 4 + 14);
    const { circle } = plane;
    wasm.fanProject(image, plane.cols, first, last, circle.col, circle.row, circle.radius, table, fanView);
  } // prettier-ignore

  function addLevel(line: Line): void {
    for (const group of level.values()) {
      const { pictures, tables } = group;
      const into = tables + waiting * 2 * table;
      combine(line, group, 0, into);
      for (const picture of pictures) {
        const { plane, first, last, images, views } = picture;
        const row = into + 4 * MARGIN;
        if (writeView(views + waiting * VIEW_BYTES, plane, line, row, 0)) continue;
        flush(picture, waiting);
        addSteep(images[queued]!, plane, line, row, 0, first, last);
        picture.done = waiting + 1;
      }
    }
    if (++waiting === QUEUE) settle();
  }

  function addUpright(image: number, lines: readonly Line[]): void {
    for (const group of upright.values()) {
      const { first, last } = group.pictures[0]!;
      for (let from = first; from < last; from += BLOCK) {
        const to = Math.min(last, from + BLOCK);
        for (let k = 0; k < lines.length; k += TOGETHER) addBlock(image, group, lines.slice(k, k + TOGETHER), from, to);
      }
    }
  } // prettier-ignore

  function addBlock(image: number, group: Group, lines: readonly Line[], from: number, to: number): void {
    const { pictures, tables } = group;
    const rowsApart = 2 * table;
    const made = lines.map((line, k) => {
      const block = tables + k * BLOCK * rowsApart;
      for (let r = from; r < to; r++) combine(line, group, r, block + (r - from) * rowsApart);
      // The row of line 0: addresses wrap round, so one before the first block will do.
      return { line, row: (block + 4 * MARGIN - from * rowsApart) >>> 0 };
    });
    for (const { plane, views, images } of pictures) {
      const { row, col, radius } = plane.circle;
      let ready = 0;
      const add = (): void => {
        if (ready > 0) wasm.backProject(images[image]!, plane.cols, from, to, col, row, radius, table, views, ready);
        ready = 0;
      };
      for (const { line, row } of made) {
        if (writeView(views + ready * VIEW_BYTES, plane, line, row, rowsApart)) ready++;
        else {
          add();
          addSteep(images[image]!, plane, line, row, rowsApart, from, to);
        }
      }
      add();
    }
  } // prettier-ignore

  /** Filters eight rows in lanes of their own, copied in and out: for few rows, those of several views together. */
  function filterLanes(p: readonly Float32Array[], into: readonly number[]): void {
    const count = detectorRows.length;
    const rides = alone ? count : Math.ceil(count / 2);
    const wanted = rides * into.length;
    for (let first = 0; first < wanted; first += LANES) {
      const used = Math.min(LANES, wanted - first);
      const each = (of: (address: number, view: number, place: number) => void): void => {
        for (let lane = 0; lane < used; lane++) {
          const view = Math.floor((first + lane) / rides);
          const place = ((first + lane) % rides) * (alone ? 1 : 2);
          of(lanes + lane * apart, view, place);
          if (!alone && place + 1 < count) of(lanes + (LANES + lane) * apart, view, place + 1);
        }
      };
      // Nothing of earlier views may ride with an odd row, or be filtered again and again until it is denormal.
      if (alone || count % 2 === 1 || used < LANES) f32.fill(0, lanes / 4, (lanes + 2 * LANES * apart) / 4);
      each((address, view, place) => f32.set(p[view]!.subarray(place * cols, (place + 1) * cols), address / 4));
      wasm.rampFilter(lanes, apart, cols, n, turns, gain, work, padding === "edge" ? 1 : 0);
      each((address, view, place) => {
        f32.copyWithin((slotOf(into[view]!) + rowAfter(place)) / 4, address / 4, address / 4 + cols);
      });
    }
  } // prettier-ignore

  return {
    // Two rows of a view always ride together, and never with another view's: the lanes beside them take those.
    viewsAtOnce: Math.max(1, Math.floor(LANES / Math.ceil(detectorRows.length / (alone ? 1 : 2)))),
    minusLog(T, from, into) {
      f32.set(T.subarray(from, from + into.length), logs / 4);
      const unknown = wasm.minusLog(logs, into.length);
      into.set(f32.subarray(logs / 4, logs / 4 + into.length));
      return unknown;
    },
    filter(p, into) {
      for (const slot of into) slotOf(slot);
      if (!inPlace) return filterLanes(p, into);
      into.forEach((slot, view) => {
        fill(slot, p[view]!);
        for (let k = 0; k < sets.length; k++) {
          const at = slotOf(slot) + 8 * k * apart;
          wasm.rampFilter(at, apart, cols, n, turns, gain, work, padding === "edge" ? 1 : 0);
        }
      });
    },
    setWindow: (window) => f32.set(rampGain(n, window), gain / 4),
    put: fill,
    rows(slot) {
      const rows = new Float32Array(detectorRows.length * cols);
      for (const set of sets) {
        for (let place = 8 * set; place < Math.min(8 * set + 8, detectorRows.length); place++) {
          const at = (slotOf(slot) + rowAfter(place)) / 4;
          rows.set(f32.subarray(at, at + cols), place * cols);
        }
      }
      return rows;
    },
    add(image, lines) {
      if (image !== queued) settle();
      queued = image;
      if (level.size > 0) for (const line of lines) addLevel(line);
      if (upright.size > 0) addUpright(image, lines);
    },
    settle,
    scaled(image, plane, factor) {
      settle();
      const { first, last, images, plane: of } = pictures[plane]!;
      const count = (last - first) * of.cols;
      if (count > 0) wasm.scaled(images[image]! + 4 * first * of.cols, shown, 4 * Math.ceil(count / 4), factor);
      return f32.subarray(shown / 4, shown / 4 + count);
    },
    clear(image) {
      settle();
      for (const picture of pictures) pixelsOf(picture, image).fill(0);
    },
    save(image) {
      settle();
      return pictures.map((picture) => pixelsOf(picture, image).slice());
    },
    load(image, saved, first = 0) {
      settle();
      saved.forEach((plane, k) => pixelsOf(pictures[first + k]!, image).set(plane));
    },
    close: () => undefined,
  };

  function pixelsOf({ plane, first, last, images }: Picture, image: number): Float32Array {
    const from = images[image]! / 4;
    return f32.subarray(from + first * plane.cols, from + Math.max(first, last) * plane.cols);
  }

  /** Rows into a slot, as they are; what fills its sets of eight is zero. */
  function fill(slot: number, rows: Float32Array): void {
    const from = slotOf(slot);
    for (const set of sets) {
      for (let place = 8 * set; place < 8 * set + 8; place++) {
        const at = (from + rowAfter(place)) / 4;
        if (place < detectorRows.length) f32.set(rows.subarray(place * cols, (place + 1) * cols), at);
        else if (inPlace) f32.fill(0, at, at + apart / 4);
      }
    }
  }
} // prettier-ignore

/** Rows beyond its own that a tile filters, for views that were shifted up or down. */
const MOST_SHIFT = 16;
