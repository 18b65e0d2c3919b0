/** What we use of WebGPU: TypeScript has its types only with those of a browser. */
export interface Gpu {
  requestAdapter(options?: { powerPreference: "high-performance" }): Promise<Adapter | null>;
}

export interface Adapter {
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly description: string;
    readonly isFallbackAdapter?: boolean;
  };
  readonly limits: { readonly maxBufferSize: number; readonly maxStorageBufferBindingSize: number };
  requestDevice(descriptor: { requiredLimits: Record<string, number> }): Promise<Device>;
}

export interface Device {
  readonly limits: Adapter["limits"];
  readonly queue: {
    submit(commands: readonly object[]): void;
    writeBuffer(buffer: Buffer, offset: number, data: ArrayBufferView): void;
    onSubmittedWorkDone(): Promise<void>;
  };
  createBuffer(descriptor: { size: number; usage: number }): Buffer;
  createShaderModule(descriptor: { code: string }): object;
  createComputePipeline(descriptor: { layout: "auto"; compute: { module: object; entryPoint: string } }): Pipeline;
  createBindGroup(descriptor: {
    layout: object;
    entries: readonly { binding: number; resource: { buffer: Buffer } }[];
  }): object;
  createCommandEncoder(): Encoder;
  pushErrorScope(filter: "validation" | "out-of-memory"): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
  destroy(): void;
} // prettier-ignore

export interface Buffer {
  readonly size: number;
  mapAsync(mode: number, offset: number, size: number): Promise<void>;
  getMappedRange(offset: number, size: number): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface Pipeline {
  getBindGroupLayout(index: number): object;
}

export interface Encoder {
  beginComputePass(): Pass;
  copyBufferToBuffer(from: Buffer, at: number, to: Buffer, into: number, size: number): void;
  clearBuffer(buffer: Buffer): void;
  finish(): object;
}

export interface Pass {
  setPipeline(pipeline: Pipeline): void;
  setBindGroup(index: number, group: object): void;
  dispatchWorkgroups(x: number, y?: number): void;
  end(): void;
}

/** The numbers of the specification. */
export const MAP_READ = 1, COPY_SRC = 4, COPY_DST = 8, UNIFORM = 64, STORAGE = 128; // prettier-ignore
export const MODE_READ = 1;

/** A device with all the memory that the adapter lets a buffer have. */
export function openDevice(adapter: Adapter): Promise<Device> {
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return adapter.requestDevice({ requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } });
}
