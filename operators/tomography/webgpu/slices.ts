import { fft, powerOfTwo } from "../../fft.ts";
import { fanPassing } from "../fan.ts";
import { passing, rowAt, type Plane } from "../planes.ts";
import { rampGain, type Padding, type RampWindow } from "../ramp-filter.ts";
import { between, pixelWidth, type KernelOptions, type Line } from "../slice-kernel.ts";
import {
  COPY_DST, COPY_SRC, MAP_READ, MODE_READ, STORAGE, UNIFORM, type Buffer, type Device, type Encoder, type Pipeline,
} from "./gpu.ts"; // prettier-ignore
import { COMBINE, FAN, FILTER, LINES, PARALLEL, SCALED, TILE } from "./shaders.ts";

/** Stored rows that one line may be made of. */
const MOST_TERMS = 64;
/** Rows that lines see, before they are back-projected. */
const ROWS_BYTES = 64 << 20;
const FIRST_SLOTS_BYTES = 1 << 20;
/** Submissions after which the device's are waited for: what waits for it takes memory. */
const BEHIND = 32;
const VIEW_NUMBERS = 10;
const FAN_VIEW_NUMBERS = 3;
const MIDDLE_NUMBERS = 5;
const PLACE_NUMBERS = 6;

/** Planes that see the same row with the same line of theirs: as in the WebAssembly kernel. */
interface Group {
  readonly z: number;
  readonly downZ: number;
  readonly rows: number;
  readonly pitched: Plane;
  /** Number of its first row among those of a line. */
  readonly first: number;
}

/** Planes whose pixels lie over one another. */
interface Footprint {
  readonly plane: Plane;
  readonly tiles: readonly [across: number, down: number];
  /** What is uploaded with the lines: number of lines, views; tiles of a fan. */
  readonly views: ArrayBuffer;
  readonly viewsBuffer: Buffer;
  readonly middles: ArrayBuffer;
  readonly middlesBuffer: Buffer;
}

interface Picture {
  readonly plane: Plane;
  readonly footprint: Footprint;
  readonly images: readonly Buffer[];
  /** By set of images. */
  readonly back: readonly object[];
  readonly scaled: readonly object[];
}

type Pipelines = Record<"filter" | "combine" | "back" | "fan" | "scaled", () => Pipeline>;
const compiled = new WeakMap<Device, Pipelines>();

/**
 * The slice kernel on a WebGPU device, in a browser or in Node: SliceKernel, but what is read back comes as a promise, and
 * each call must have come to its end before the next is made. `webgpuKernel` makes a SliceKernel of it.
 *
 * Single precision; the place of a pixel is exact to 2^-23 samples (shaders.ts). A pixel takes its lines in their order,
 * one addition after another, so one device gives the same bits wherever its input was cut; another device may
 * round differently. Correctness is tested on SwiftShader, a device in software; on a real one no time was taken.
 */
export class WebGpuSlices {
  readonly #device: Device;
  readonly #options: KernelOptions;
  readonly #pipelines: Pipelines;
  readonly #pictures: readonly Picture[];
  readonly #groups: readonly Group[];
  readonly #footprints: readonly Footprint[];
  readonly #buffers: Buffer[] = [];
  readonly #p: Buffer;
  readonly #taps: Buffer;
  readonly #filterGiven: Buffer;
  readonly #combineGiven: Buffer;
  readonly #terms: Buffer;
  readonly #places: Buffer;
  readonly #rows: Buffer;
  readonly #scaledGiven: Buffer;
  readonly #shown: Buffer;
  #slots: Buffer;
  #filterGroup: object | undefined;
  #combineGroup: object | undefined;
  #read: Buffer;
  /** Places of rows as no view was moved; whether the device has them. */
  readonly #still: Float32Array;
  #hasStill = false;
  readonly #placeOf: ReadonlyMap<number, number>;
  readonly #rowsOfLine: number;
  readonly #together: number;
  #waiting = 0;
  #image = 0;
  #submitted = 0;

  constructor(device: Device, options: KernelOptions) {
    const { planes, detectorRows, cols, images } = options;
    this.#device = device;
    this.#options = options;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    let pipelines = compiled.get(device);
    if (!pipelines) compiled.set(device, (pipelines = compile(device)));
    this.#pipelines = pipelines;
    this.#placeOf = new Map(detectorRows.map((row, i) => [row, i]));

    const groups = new Map<string, Group>();
    let lineRows = 0;
    const groupOf = (plane: Plane): Group => {
      const rows = isLevel(plane) ? 1 : plane.rows;
      const key = `${plane.z} ${isLevel(plane) ? 0 : plane.downZ} ${rows} ${pixelWidth(plane, 1)}`;
      let group = groups.get(key);
      if (!group) {
        group = {
          z: plane.z,
          downZ: isLevel(plane) ? 0 : plane.downZ,
          rows,
          pitched: plane,
          first: lineRows,
        };
        groups.set(key, group);
        lineRows += rows;
      }
      return group;
    };
    const groupsOf = planes.map(groupOf);
    this.#groups = [...groups.values()];
    this.#rowsOfLine = lineRows;
    const lineBytes = 4 * (cols + 1) * lineRows;
    this.#together = Math.max(1, Math.min(LINES, Math.floor(ROWS_BYTES / lineBytes)));

    const largest = 4 * Math.max(...planes.map(({ rows, cols }) => rows * cols));
    this.#p = this.#buffer(4 * detectorRows.length * cols, STORAGE | COPY_DST);
    this.#taps = this.#buffer(4 * 3 * cols, STORAGE | COPY_DST);
    this.#filterGiven = this.#buffer(16, UNIFORM | COPY_DST);
    this.#combineGiven = this.#buffer(16, UNIFORM | COPY_DST);
    this.#terms = this.#buffer(12 * MOST_TERMS, STORAGE | COPY_DST);
    this.#places = this.#buffer(4 * PLACE_NUMBERS * lineRows, STORAGE | COPY_DST);
    this.#rows = this.#buffer(lineBytes * this.#together, STORAGE);
    this.#scaledGiven = this.#buffer(16, UNIFORM | COPY_DST);
    this.#shown = this.#buffer(largest, STORAGE | COPY_SRC);
    this.#read = this.#buffer(largest, MAP_READ | COPY_DST);
    this.#slots = this.#buffer(this.#slotBytes * Math.max(1, Math.floor(FIRST_SLOTS_BYTES / this.#slotBytes)), SLOTS); // prettier-ignore
    this.#still = this.#placesOf({ theta_rad: 0, axis: 0, shift_y: 0, scale: 1 });

    const footprints = new Map<string, Footprint>();
    this.#pictures = planes.map((plane, k): Picture => {
      const { x, y, alongX, alongY, downX, downY, rows } = plane;
      const key = [x, y, alongX, alongY, downX, downY, rows, plane.cols].join(" ");
      let footprint = footprints.get(key);
      if (!footprint) footprints.set(key, (footprint = this.#footprint(plane)));
      const group = groupsOf[k]!;
      const apart = group.rows === 1 ? 0 : cols + 1;
      const about = this.#buffer(32, UNIFORM | COPY_DST);
      this.#write(about, Uint32Array.of(rows, plane.cols, cols, group.first * (cols + 1), apart, lineBytes / 4, 0, 0)); // prettier-ignore
      const spans = this.#buffer(8 * rows, STORAGE | COPY_DST);
      this.#write(spans, spansOf(plane));
      const sets = Array.from({ length: images }, () => this.#buffer(4 * rows * plane.cols, IMAGE));
      const back = this.#pipelines[options.fan ? "fan" : "back"]();
      const common = [about, footprint.viewsBuffer, spans, this.#rows];
      return {
        plane, footprint, images: sets,
        back: sets.map((image) => this.#bind(back, [...common, image, ...(options.fan ? [footprint!.middlesBuffer] : [])])),
        scaled: sets.map((image) => this.#bind(this.#pipelines.scaled(), [this.#scaledGiven, image, this.#shown])),
      }; // prettier-ignore
    });
    this.#footprints = [...footprints.values()];
    this.setWindow(options.window);
  }

  /** Filters the line integrals of views, (detector row, col) each, into a slot for each. */
  async filter(p: readonly Float32Array[], slots: readonly number[]): Promise<void> {
    const { detectorRows, cols } = this.#options;
    const rows = detectorRows.length;
    for (const [k, slot] of slots.entries()) {
      this.#grow(slot);
      this.#filterGroup ??= this.#bind(this.#pipelines.filter(), [this.#filterGiven, this.#p, this.#taps, this.#slots]); // prettier-ignore
      this.#write(this.#filterGiven, Uint32Array.of(cols, rows, (slot * this.#slotBytes) / 4, 0));
      this.#write(this.#p, p[k]!.subarray(0, rows * cols));
      await this.#compute((pass) => {
        pass.setPipeline(this.#pipelines.filter());
        pass.setBindGroup(0, this.#filterGroup!);
        pass.dispatchWorkgroups(Math.ceil(cols / 256), Math.ceil(rows / 4));
      });
    }
  }

  /** Changes the window of the ramp filter, for rows that are filtered from here on. */
  setWindow(window: RampWindow): void {
    this.#write(this.#taps, rampTaps(this.#options.cols, window, this.#options.padding));
  }

  /** Rows that are not to be filtered, (detector row, col), into a slot. */
  put(slot: number, rows: Float32Array): void {
    this.#grow(slot);
    this.#device.queue.writeBuffer(
      this.#slots, slot * this.#slotBytes, rows.subarray(0, this.#options.detectorRows.length * this.#options.cols),
    ); // prettier-ignore
  }

  /** A copy of a slot's rows. */
  rows(slot: number): Promise<Float32Array> {
    return this.#readBack(this.#slots, slot * this.#slotBytes, this.#slotBytes);
  }

  /** Adds to the images of that number, line after line. */
  async add(image: number, lines: readonly Line[]): Promise<void> {
    if (image !== this.#image) await this.#flush();
    this.#image = image;
    for (const line of lines) {
      await this.#combine(line);
      for (const footprint of this.#footprints) this.#see(footprint, line);
      if (++this.#waiting === this.#together) await this.#flush();
    }
  }

  /** Does at once what `add` may put off until a picture is asked for. */
  async settle(): Promise<void> {
    await this.#flush();
    await this.#device.queue.onSubmittedWorkDone();
    await this.#check();
  }

  /** An image of a plane times a factor, (row, col). */
  async scaled(image: number, plane: number, factor: number): Promise<Float32Array> {
    await this.#flush();
    const picture = this.#pictures[plane]!;
    const { rows, cols } = picture.plane;
    const given = new ArrayBuffer(16);
    new Uint32Array(given)[0] = cols;
    new Float32Array(given)[1] = factor;
    this.#write(this.#scaledGiven, new Uint8Array(given));
    await this.#compute((pass) => {
      pass.setPipeline(this.#pipelines.scaled());
      pass.setBindGroup(0, picture.scaled[image]!);
      pass.dispatchWorkgroups(Math.ceil(cols / 64), rows);
    });
    return this.#readBack(this.#shown, 0, 4 * rows * cols);
  }

  async clear(image: number): Promise<void> {
    await this.#flush();
    const encoder = this.#device.createCommandEncoder();
    for (const { images } of this.#pictures) encoder.clearBuffer(images[image]!);
    await this.#submit(encoder);
  }

  /** Copies of the images of that number, of all planes. */
  async save(image: number): Promise<Float32Array[]> {
    await this.#flush();
    const saved: Float32Array[] = [];
    for (const { images, plane } of this.#pictures)
      saved.push(await this.#readBack(images[image]!, 0, 4 * plane.rows * plane.cols));
    return saved;
  }

  /** Of all planes, or from plane `first` on. */
  async load(image: number, planes: readonly Float32Array[], first = 0): Promise<void> {
    await this.#flush();
    planes.forEach((plane, k) => this.#write(this.#pictures[first + k]!.images[image]!, plane));
  }

  /** Gives back its memory; the device stays as it is. */
  async close(): Promise<void> {
    await this.#device.queue.onSubmittedWorkDone();
    await Promise.all([this.#device.popErrorScope(), this.#device.popErrorScope()]);
    for (const buffer of this.#buffers) buffer.destroy();
  }

  get #slotBytes(): number {
    return 4 * this.#options.detectorRows.length * this.#options.cols;
  }

  #buffer(size: number, usage: number): Buffer {
    const buffer = this.#device.createBuffer({ size: Math.max(16, size), usage });
    this.#buffers.push(buffer);
    return buffer;
  }

  #write(buffer: Buffer, data: ArrayBufferView): void {
    this.#device.queue.writeBuffer(buffer, 0, data);
  }

  #bind(pipeline: Pipeline, buffers: readonly Buffer[]): object {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    return this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  }

  /** Room for a slot: twice as many as there were, in one buffer, as far as the device lets one grow. */
  #grow(slot: number): void {
    const wanted = (slot + 1) * this.#slotBytes;
    if (wanted <= this.#slots.size) return;
    const { limits } = this.#device;
    const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    if (wanted > most)
      throw new RangeError(`${slot + 1} views of ${this.#slotBytes} bytes are more than the ${most} that the WebGPU device puts into one buffer; lower max_views, name fewer planes, or bin the frames`); // prettier-ignore
    const [old, slots] = [this.#slots, Math.min(2 * Math.ceil(wanted / this.#slotBytes), Math.floor(most / this.#slotBytes))]; // prettier-ignore
    this.#slots = this.#buffer(slots * this.#slotBytes, SLOTS);
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, this.#slots, 0, old.size);
    this.#device.queue.submit([encoder.finish()]);
    this.#buffers.splice(this.#buffers.indexOf(old), 1);
    old.destroy();
    this.#filterGroup = this.#combineGroup = undefined;
  }

  /** The rows that a line's pixels see, at the next place among those that wait. */
  async #combine(line: Line): Promise<void> {
    const { cols } = this.#options;
    const { terms } = line;
    if (terms.length > MOST_TERMS) throw new RangeError(`more than ${MOST_TERMS} stored rows along one line`);
    const moved = line.scale !== 1 || line.shift_y !== 0;
    if (moved || !this.#hasStill) this.#write(this.#places, moved ? this.#placesOf(line) : this.#still);
    this.#hasStill = !moved;
    const written = new ArrayBuffer(12 * terms.length);
    const [u32, f32] = [new Uint32Array(written), new Float32Array(written)];
    terms.forEach(({ slot, weight, mirrored }, k) => {
      this.#grow(slot);
      u32[3 * k] = (slot * this.#slotBytes) / 4;
      f32[3 * k + 1] = weight;
      u32[3 * k + 2] = mirrored ? 1 : 0;
    });
    this.#write(this.#terms, u32);
    this.#write(this.#combineGiven, Uint32Array.of(cols, terms.length, this.#waiting * this.#rowsOfLine * (cols + 1), 0)); // prettier-ignore
    this.#combineGroup ??= this.#bind(this.#pipelines.combine(), [this.#combineGiven, this.#terms, this.#places, this.#slots, this.#rows]); // prettier-ignore
    await this.#compute((pass) => {
      pass.setPipeline(this.#pipelines.combine());
      pass.setBindGroup(0, this.#combineGroup!);
      pass.dispatchWorkgroups(Math.ceil(cols / 64), this.#rowsOfLine);
    });
  }

  /** By row of a line: between which stored rows it lies, and over how many samples its mean goes. */
  #placesOf(view: Omit<Line, "terms">): Float32Array {
    const { detectorRows, middleRow } = this.#options;
    const f32 = new Float32Array(PLACE_NUMBERS * this.#rowsOfLine);
    const i32 = new Int32Array(f32.buffer);
    let at = 0;
    for (const { z, downZ, rows, pitched } of this.#groups) {
      const width = pixelWidth(pitched, view.scale);
      const whole = Math.floor(width / 2);
      for (let r = 0; r < rows; r++, at += PLACE_NUMBERS) {
        const [first, second, fraction] = between(detectorRows, this.#placeOf, rowAt(z + r * downZ, middleRow, view)); // prettier-ignore
        i32[at] = first;
        i32[at + 1] = second;
        f32[at + 2] = fraction;
        f32[at + 3] = width > 1 ? width : 0;
        i32[at + 4] = whole;
        f32[at + 5] = width / 2 - whole;
      }
    }
    return f32;
  }

  #footprint(plane: Plane): Footprint {
    const tiles = [Math.ceil(plane.cols / TILE), Math.ceil(plane.rows / TILE)] as const;
    const fan = this.#options.fan !== undefined;
    const views = new ArrayBuffer(8 + 4 * LINES * (fan ? FAN_VIEW_NUMBERS : VIEW_NUMBERS));
    const middles = new ArrayBuffer(fan ? 4 * MIDDLE_NUMBERS * tiles[0] * tiles[1] * this.#together : 0);
    return {
      plane, tiles, views, middles,
      viewsBuffer: this.#buffer(views.byteLength, STORAGE | COPY_DST),
      middlesBuffer: this.#buffer(middles.byteLength, STORAGE | COPY_DST),
    }; // prettier-ignore
  }

  /** Where a line sees the pixels, at the next place among those that wait. */
  #see(footprint: Footprint, line: Line): void {
    if (this.#options.fan) this.#seeFan(footprint, line);
    else this.#seeParallel(footprint, line);
  }

  #seeParallel({ plane, views }: Footprint, line: Line): void {
    const { start, along, down } = passing(plane, line);
    const bits = bitsFor(Math.abs(along) + Math.abs(down));
    const u32 = new Uint32Array(views);
    const at = 2 + VIEW_NUMBERS * this.#waiting;
    fixed(start + (TILE / 2) * (along + down), u32, at);
    fixed(TILE * along, u32, at + 2);
    fixed(TILE * down, u32, at + 4);
    u32[at + 6] = Math.round(along * 2 ** bits);
    u32[at + 7] = Math.round(down * 2 ** bits);
    u32[at + 8] = bits;
  }

  #seeFan({ plane, views, tiles, middles }: Footprint, line: Line): void {
    const { cols, fan } = this.#options;
    const { axis, a, u } = fanPassing(plane, line, fan!);
    const corners = [0, plane.cols].flatMap((c) => [0, plane.rows].map((r) => u.start + c * u.along + r * u.down));
    const nearest = Math.max(0.01, Math.min(...corners));
    const growth = (Math.abs(a.along) + Math.abs(a.down)) / nearest;
    // Tiles whose middle is further than this from the axis have no pixel on the detector.
    const most = 2 * (cols + (TILE / 2) * growth);
    const bits = bitsFor(growth + (most * (Math.abs(u.along) + Math.abs(u.down))) / nearest);
    const unit = 2 ** bits;
    const at = 1 + FAN_VIEW_NUMBERS * this.#waiting;
    const [seen, seenBits] = [new Float32Array(views), new Uint32Array(views)];
    seen[at] = u.along;
    seen[at + 1] = u.down;
    seenBits[at + 2] = bits;
    const [i32, f32] = [new Int32Array(middles), new Float32Array(middles)];
    let o = MIDDLE_NUMBERS * tiles[0] * tiles[1] * this.#waiting;
    for (let down = 0; down < tiles[1]; down++) {
      for (let across = 0; across < tiles[0]; across++, o += MIDDLE_NUMBERS) {
        const [c, r] = [TILE * (across + 0.5), TILE * (down + 0.5)];
        const nearness = u.start + c * u.along + r * u.down;
        const s = Math.max(-most, Math.min(most, (a.start + c * a.along + r * a.down) / nearness));
        const whole = Math.floor(axis + s);
        i32[o] = whole;
        i32[o + 1] = Math.round((axis + s - whole) * unit);
        i32[o + 2] = Math.round((a.along - s * u.along) * unit);
        i32[o + 3] = Math.round((a.down - s * u.down) * unit);
        f32[o + 4] = nearness - 1;
      }
    }
  } // prettier-ignore

  /** Brings the lines that wait into the images. */
  async #flush(): Promise<void> {
    const count = this.#waiting;
    if (count === 0) return;
    this.#waiting = 0;
    for (const { views, viewsBuffer, middles, middlesBuffer } of this.#footprints) {
      new Uint32Array(views)[0] = count;
      this.#write(viewsBuffer, new Uint8Array(views));
      if (middles.byteLength > 0) this.#write(middlesBuffer, new Uint8Array(middles));
    }
    await this.#compute((pass) => {
      pass.setPipeline(this.#pipelines[this.#options.fan ? "fan" : "back"]());
      for (const { footprint, back } of this.#pictures) {
        pass.setBindGroup(0, back[this.#image]!);
        pass.dispatchWorkgroups(...footprint.tiles);
      }
    });
  }

  async #compute(fill: (pass: ReturnType<Encoder["beginComputePass"]>) => void): Promise<void> {
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    fill(pass);
    pass.end();
    await this.#submit(encoder);
  }

  async #submit(encoder: Encoder): Promise<void> {
    this.#device.queue.submit([encoder.finish()]);
    // No promise stays open between two calls: Dawn aborts the process where its thread ends before one is kept.
    if (++this.#submitted % BEHIND === 0) await this.#device.queue.onSubmittedWorkDone();
  }

  async #readBack(from: Buffer, at: number, size: number): Promise<Float32Array> {
    if (this.#read.size < size) {
      this.#buffers.splice(this.#buffers.indexOf(this.#read), 1);
      this.#read.destroy();
      this.#read = this.#buffer(size, MAP_READ | COPY_DST);
    }
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, at, this.#read, 0, size);
    this.#device.queue.submit([encoder.finish()]);
    await this.#check();
    await this.#read.mapAsync(MODE_READ, 0, size);
    const values = new Float32Array(this.#read.getMappedRange(0, size)).slice();
    this.#read.unmap();
    return values;
  }

  /** Throws what the device had to say since it was asked last. */
  async #check(): Promise<void> {
    const scopes = [this.#device.popErrorScope(), this.#device.popErrorScope()];
    this.#device.pushErrorScope("validation");
    this.#device.pushErrorScope("out-of-memory");
    const [memory, other] = await Promise.all(scopes);
    if (memory)
      throw new RangeError(`the WebGPU device has not the memory: ${memory.message}; lower max_views, or name fewer planes`); // prettier-ignore
    if (other) throw new Error(`WebGPU: ${other.message}`);
  }
}

const IMAGE = STORAGE | COPY_DST | COPY_SRC;
const SLOTS = STORAGE | COPY_DST | COPY_SRC;

/** Bytes on the device of a view, which lie all in one buffer. */
export const viewBytes = ({ detectorRows, cols }: Pick<KernelOptions, "detectorRows" | "cols">): number =>
  4 * detectorRows.length * cols;

const isLevel = ({ downZ, rows }: Plane): boolean => downZ === 0 || rows === 1;

function compile(device: Device): Pipelines {
  const lazily = (code: string, entryPoint: string): (() => Pipeline) => {
    let made: Pipeline | undefined;
    return () =>
      (made ??= device.createComputePipeline({
        layout: "auto",
        compute: { module: device.createShaderModule({ code }), entryPoint },
      }));
  };
  return {
    filter: lazily(FILTER, "ramp"),
    combine: lazily(COMBINE, "combine"),
    back: lazily(PARALLEL, "back"),
    fan: lazily(FAN, "back"),
    scaled: lazily(SCALED, "scaled"),
  };
}

/** Bits after the point of an offset within a tile, where t grows by so much from pixel to pixel. */
const bitsFor = (growth: number): number => Math.min(26, 30 - Math.ceil(Math.log2((TILE / 2) * growth + 2)));

/** A number with 32 bits after the point, low word first. */
function fixed(x: number, into: Uint32Array, at: number): void {
  const whole = Math.floor(x);
  const part = Math.round((x - whole) * 2 ** 32);
  into[at] = part;
  into[at + 1] = whole + (part === 2 ** 32 ? 1 : 0);
}

/** Pixels from … to of each line of a plane, within its circle. */
function spansOf({ rows, cols, circle }: Plane): Int32Array {
  const spans = new Int32Array(2 * rows);
  for (let r = 0; r < rows; r++) {
    const half = Math.sqrt(circle.radius ** 2 - (circle.row - r) ** 2);
    if (Number.isNaN(half)) continue;
    spans[2 * r] = Math.max(0, Math.ceil(circle.col - half));
    spans[2 * r + 1] = Math.min(cols, Math.floor(circle.col + half) + 1);
  }
  return spans;
}

/** The ramp filter as taps by distance; then what goes to each column with the row's first value, and with its last. */
export function rampTaps(cols: number, window: RampWindow, padding: Padding): Float32Array {
  const n = powerOfTwo(2 * cols);
  const tap = rampGain(n, window);
  fft(n).inverse(tap, new Float64Array(n));
  const taps = new Float32Array(3 * cols);
  taps.set(tap.subarray(0, cols));
  if (padding === "zero") return taps;
  // The row goes on to the right up to `half`, then comes the left side: as rampFilter() lengthens it.
  const half = cols + ((n - cols) >> 1);
  const sums = new Float64Array(n + 1);
  for (let k = 0; k < n; k++) sums[k + 1] = sums[k]! + tap[k]!;
  for (let i = 0; i < cols; i++) {
    taps[cols + i] = sums[i - half + n + 1]! - sums[i + 1]!;
    taps[2 * cols + i] = sums[i - cols + n + 1]! - sums[i - half + n + 1]!;
  }
  return taps;
}
