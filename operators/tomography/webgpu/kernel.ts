import { startSideThread, WiringError } from "../../../runtime/index.ts";
import { RAMP_WINDOWS } from "../ramp-filter.ts";
import type { KernelOptions, Line, SliceKernel } from "../slice-kernel.ts";
import { wasmKernel } from "../wasm/slice-kernel.ts";
import { viewBytes } from "./slices.ts";

/**
 * The slice kernel on a graphics card: WebGpuSlices in a thread of its own, where Dawn (the npm package `webgpu`) waits
 * for the device, while the operator's step waits for the thread. What is to be done is written down in memory that both
 * share, and only what is read back is waited for.
 *
 * Where the package or a device is missing, or the only device is a processor that plays one, that is a WiringError:
 * another kernel never stands in for it. -ln T is taken in WebAssembly: WGSL's log may be wrong by 5e-7, and gaps
 * in a row are filled before it goes to the device.
 */
export function webgpuKernel(options: KernelOptions, { software = false, driver }: Driven = {}): SliceKernel {
  const { planes, detectorRows, cols } = options;
  const thread = startThread({ options, software, driver });
  const { rows, picture } = thread;
  thread.wait();
  // A kernel without planes: of it we take the logarithm alone.
  const { minusLog } = wasmKernel({ ...options, planes: [] });
  const filled = detectorRows.length * cols;

  return {
    viewsAtOnce: 1,
    minusLog,
    filter(p, slots) {
      slots.forEach((slot, k) => thread.post({ op: "filter", slot }, p[k]!.subarray(0, filled)));
    },
    setWindow: (window) => thread.post({ op: "setWindow", window: RAMP_WINDOWS.indexOf(window) }),
    put: (slot, from) => thread.post({ op: "put", slot }, from.subarray(0, filled)),
    rows(slot) {
      thread.post({ op: "rows", slot });
      thread.wait();
      return rows.slice(0, filled);
    },
    add(image, lines) {
      for (let k = 0; k < lines.length; k += LINES_AT_ONCE)
        thread.post({ op: "add", image, lines: lines.slice(k, k + LINES_AT_ONCE) });
    },
    settle() {
      thread.post({ op: "settle" });
      thread.wait();
    },
    scaled(image, plane, factor) {
      thread.post({ op: "scaled", image, plane, factor });
      thread.wait();
      return picture.subarray(0, planes[plane]!.rows * planes[plane]!.cols);
    },
    clear: (image) => thread.post({ op: "clear", image }),
    save(image) {
      return planes.map((_, plane) => this.scaled(image, plane, 1).slice());
    },
    load(image, saved, first = 0) {
      saved.forEach((values, k) => {
        thread.wait(); // one picture at a time
        picture.set(values);
        thread.post({ op: "load", image, plane: first + k });
      });
      thread.wait();
    },
    close() {
      thread.post({ op: "close" });
      thread.wait();
      thread.close();
    },
  };
} // prettier-ignore

/** What the device is and how many bytes of views it takes; WiringError where there is none. Asked once. */
export function webgpuDevice(): WebGpuDevice {
  if (!found) {
    const thread = startThread({ options: undefined, software: false, driver: undefined });
    const answer = thread.wait();
    thread.close();
    found = JSON.parse(answer) as WebGpuDevice;
  }
  return found;
}
let found: WebGpuDevice | undefined;

export interface WebGpuDevice {
  readonly name: string;
  /** The most that one buffer holds: all views, or one image. */
  readonly buffer_bytes: number;
}

/** Views that the device has room for. */
export const webgpuViewsThatFit = (options: Pick<KernelOptions, "detectorRows" | "cols">): number =>
  Math.floor(Math.min(webgpuDevice().buffer_bytes, MOST_VIEW_BYTES) / viewBytes(options));

/** As much on every device that has it, so that a run comes out the same on each. */
const MOST_VIEW_BYTES = 2 ** 31 - 2 ** 20;

/** For tests: a device in software is as good as another; a module that stands in for Dawn. */
interface Driven {
  readonly software?: boolean;
  readonly driver?: string | undefined;
}

export type Command =
  | { readonly op: "filter" | "put" | "rows"; readonly slot: number }
  | { readonly op: "setWindow"; readonly window: number }
  | { readonly op: "add"; readonly image: number; readonly lines: readonly Line[] }
  | { readonly op: "scaled"; readonly image: number; readonly plane: number; readonly factor: number }
  | { readonly op: "load"; readonly image: number; readonly plane: number }
  | { readonly op: "clear"; readonly image: number }
  | { readonly op: "settle" | "close" };

/** Memory of both threads, in it commands that may be waiting and rows of a view for each. */
export interface Shared {
  readonly commands: number;
  /** Int32: commands written, the opening being the first; done, or FAILED, REFUSED; bytes of the answer. */
  readonly progress: SharedArrayBuffer;
  /** Bytes of each command, and the command as JSON. */
  readonly sizes: SharedArrayBuffer;
  readonly text: SharedArrayBuffer;
  readonly rows: SharedArrayBuffer;
  /** A picture, as large as the largest plane. */
  readonly picture: SharedArrayBuffer;
  /** What the device is, or what went wrong. */
  readonly answer: SharedArrayBuffer;
}

export interface DeviceStart {
  readonly shared: Shared;
  /** Absent: says what the device is, and no more. */
  readonly options: KernelOptions | undefined;
  readonly software: boolean;
  readonly driver: string | undefined;
}

export const FAILED = -1, REFUSED = -2; // prettier-ignore
/** Bytes of a command. */
export const TEXT = 1 << 18;
const ANSWER = 1 << 12;
const LINES_AT_ONCE = 16;
const MOST_COMMANDS = 16;
const ROWS_BYTES = 32 << 20;
/** A thread that has not answered for so long is lost. */
const PATIENCE_ms = 120_000;

function startThread({ options, ...how }: Omit<DeviceStart, "shared">) {
  const rowNumbers = options ? options.detectorRows.length * options.cols : 0;
  const commands = Math.max(2, Math.min(MOST_COMMANDS, Math.floor(ROWS_BYTES / Math.max(4, 4 * rowNumbers))));
  const largest = Math.max(0, ...(options?.planes ?? []).map(({ rows, cols }) => rows * cols));
  const shared: Shared = {
    commands,
    progress: new SharedArrayBuffer(12),
    sizes: new SharedArrayBuffer(4 * commands),
    text: new SharedArrayBuffer(options ? TEXT * commands : 0),
    rows: new SharedArrayBuffer(4 * rowNumbers * commands),
    picture: new SharedArrayBuffer(4 * largest),
    answer: new SharedArrayBuffer(ANSWER),
  };
  const progress = new Int32Array(shared.progress);
  const sizes = new Int32Array(shared.sizes);
  const text = new Uint8Array(shared.text);
  const rows = new Float32Array(shared.rows);
  let written = 1;
  progress[0] = written;
  const { close } = startSideThread("operators/tomography/webgpu/device-thread.js", {
    shared, options, ...how,
  } satisfies DeviceStart);
  const answer = (): string =>
    new TextDecoder().decode(new Uint8Array(shared.answer).slice(0, Atomics.load(progress, 2)));

  /** Waits until so many commands are done, all of them by default; gives what was answered last. */
  function wait(wanted = written): string {
    for (;;) {
      const done = Atomics.load(progress, 1);
      if (done === REFUSED) throw new WiringError(answer());
      if (done < 0) throw new Error(answer());
      if (done >= wanted) return answer();
      if (Atomics.wait(progress, 1, done, PATIENCE_ms) === "timed-out")
        throw new Error(`kernel: webgpu: the device did not answer in ${PATIENCE_ms / 1000} s`);
    }
  }

  /** Writes a command down, once there is room for one more. */
  function post(command: Command, values?: Float32Array): void {
    wait(written + 1 - commands);
    const place = written % commands;
    const bytes = new TextEncoder().encode(JSON.stringify(command));
    if (bytes.length > TEXT) throw new RangeError(`${LINES_AT_ONCE} lines are made of more rows than a command holds`);
    text.set(bytes, place * TEXT);
    sizes[place] = bytes.length;
    if (values) rows.set(values, place * rowNumbers);
    Atomics.store(progress, 0, ++written);
    Atomics.notify(progress, 0);
  }

  return { wait, post, close, rows, picture: new Float32Array(shared.picture) };
} // prettier-ignore
