/** The inside of the device's thread: does what kernel.ts writes down, in its order, and says how far it is. */
import { RAMP_WINDOWS } from "../ramp-filter.ts";
import type { KernelOptions, SliceKernel } from "../slice-kernel.ts";
import { openDevice, type Adapter, type Gpu } from "./gpu.ts";
import { FAILED, REFUSED, TEXT, type Command, type DeviceStart, type WebGpuDevice } from "./kernel.ts";
import { WebGpuSlices } from "./slices.ts";

/** A kernel whose answers may take their time. */
type Later<T> = T | Promise<T>;
export type DeviceKernel = {
  readonly [name in Exclude<keyof SliceKernel, "minusLog" | "viewsAtOnce">]: (
    ...given: Parameters<SliceKernel[name]>
  ) => Later<ReturnType<SliceKernel[name]>>;
};
interface Opened extends WebGpuDevice {
  open(options: KernelOptions): Later<DeviceKernel>;
}

const PACKAGE = "webgpu";
const VERSION = "0.6.2";

export async function run({ shared, options, software, driver }: DeviceStart): Promise<void> {
  const progress = new Int32Array(shared.progress);
  const sizes = new Int32Array(shared.sizes);
  const text = new Uint8Array(shared.text);
  const rows = new Float32Array(shared.rows);
  const picture = new Float32Array(shared.picture);
  const rowNumbers = rows.length / shared.commands;

  function say(done: number, answer?: string): void {
    if (answer !== undefined) {
      const bytes = new TextEncoder().encode(answer).subarray(0, shared.answer.byteLength);
      new Uint8Array(shared.answer).set(bytes);
      Atomics.store(progress, 2, bytes.length);
    }
    Atomics.store(progress, 1, done);
    Atomics.notify(progress, 1);
  }

  async function obey(kernel: DeviceKernel, place: number): Promise<void> {
    const command = JSON.parse(
      new TextDecoder().decode(text.slice(place * TEXT, place * TEXT + sizes[place]!)),
    ) as Command;
    const given = rows.subarray(place * rowNumbers, (place + 1) * rowNumbers);
    switch (command.op) {
      case "filter":
        return kernel.filter([given.slice()], [command.slot]);
      case "put":
        return kernel.put(command.slot, given.slice());
      case "rows":
        return rows.set(await kernel.rows(command.slot));
      case "setWindow":
        return kernel.setWindow(RAMP_WINDOWS[command.window]!);
      case "add":
        return kernel.add(command.image, command.lines);
      case "scaled":
        return picture.set(await kernel.scaled(command.image, command.plane, command.factor));
      case "load": {
        const { rows, cols } = options!.planes[command.plane]!;
        return kernel.load(command.image, [picture.slice(0, rows * cols)], command.plane);
      }
      case "clear":
        return kernel.clear(command.image);
      case "settle":
        return kernel.settle();
      case "close":
        return kernel.close();
    }
  }

  try {
    const { open, ...device } = driver ? ((await import(driver)) as Opened) : await dawn(software);
    const kernel = options && (await open(options));
    say(1, JSON.stringify(device));
    if (!kernel) return;
    for (let done = 1; ; done++) {
      while (Atomics.load(progress, 0) <= done) Atomics.wait(progress, 0, done);
      await obey(kernel, done % shared.commands);
      say(done + 1);
    }
  } catch (error) {
    if (error instanceof Refused) say(REFUSED, error.message);
    else say(FAILED, `kernel: webgpu: ${(error as Error).message}`);
  }
}

/** What whoever starts the run can put right. */
class Refused extends Error {}
const OR_WASM = "or set kernel: wasm, which needs neither";

/** Dawn goes on using it when the garbage collector has taken it: that would end the process. */
let kept: Gpu | undefined;

async function dawn(software: boolean): Promise<Opened> {
  // A name in a variable: the package is not there when this is compiled.
  const dawn = (await import(PACKAGE).catch((error: { code?: string; message: string }) => {
    throw new Refused(
      error.code === "ERR_MODULE_NOT_FOUND"
        ? `kernel: webgpu needs the package ${PACKAGE}, which is not installed; "npm install ${PACKAGE}@${VERSION}" (134 MB), ${OR_WASM}`
        : `kernel: webgpu: the package ${PACKAGE} does not load here (${error.message}); ${OR_WASM}`,
    );
  })) as { create(options: readonly string[]): Gpu };
  kept = dawn.create([]);
  const adapter = await kept.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new Refused(
      `kernel: webgpu: there is no WebGPU device here; install the driver of the graphics card (on Linux its Vulkan driver, and libvulkan1), ${OR_WASM}`,
    );
  }
  if (adapter.info.isFallbackAdapter && !software) {
    throw new Refused(
      `kernel: webgpu: the only device here is software (${nameOf(adapter)}), slower than kernel: wasm; install the driver of the graphics card, ${OR_WASM}`,
    );
  }
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return {
    name: nameOf(adapter),
    buffer_bytes: Math.min(maxBufferSize, maxStorageBufferBindingSize),
    open: async (options) => new WebGpuSlices(await openDevice(adapter), options),
  };
}

const nameOf = ({ info }: Adapter): string =>
  [info.vendor, info.architecture, info.description].filter(Boolean).join(" ");
