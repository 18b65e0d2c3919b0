/** A writer of HDF5 files in a thread of its own, as a detector's program is: what it has not flushed nobody sees. */
import { Worker } from "node:worker_threads";

export interface Writer {
  /** "v110" with `swmr` for single writer, multiple readers; else version 2 of the superblock. */
  create(path: string, libver?: "v110"): Promise<void>;
  /** A dataset that can grow, or (`fixed`) one that is made at its full length; gzip where it has chunks of frames. */
  dataset(
    name: string,
    type: string,
    shape: number[],
    how?: { fixed?: boolean; chunks?: number[] },
  ): Promise<void>;
  text(name: string, value: string): Promise<void>;
  attribute(of: string, name: string, value: string): Promise<void>;
  /** Writes entries first … of a dataset, which grows where it has to. */
  write(name: string, first: number, values: number[]): Promise<void>;
  swmr(): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
  end(): Promise<void>;
}

const PROGRAM = `
const { parentPort } = require("node:worker_threads");
const TYPES = { "<H": Uint16Array, "<d": Float64Array, "<B": Uint8Array, "<f": Float32Array };
let file;
const split = (name) => [name.slice(0, name.lastIndexOf("/")), name.slice(name.lastIndexOf("/") + 1)];
const group = (at) => at.split("/").filter(Boolean).reduce((here, name) => here.get(name) ?? here.create_group(name), file);
const operations = {
  create: (path, libver) => void (file = libver ? new h5.File(path, "w", { libver }) : new h5.File(path, "w")),
  dataset(name, dtype, shape, { fixed = false, chunks } = {}) {
    const [at, leaf] = split(name);
    const [length, ...frame] = shape;
    // Made empty and lengthened, so that its chunks are not on the disk before they are written.
    const dataset = group(at).create_dataset({
      name: leaf, data: new TYPES[dtype](0), shape: [0, ...frame], dtype, maxshape: [fixed ? length : null, ...frame],
      chunks: chunks ?? [shape.length > 1 ? 1 : Math.min(64, length || 64), ...frame],
      ...(shape.length > 1 && { compression: 1, compression_opts: [4] }),
    });
    if (length > 0) dataset.resize(shape);
  },
  text(name, value) { const [at, leaf] = split(name); group(at).create_dataset({ name: leaf, data: value }); },
  attribute: (of, name, value) => group(of).create_attribute(name, value),
  write(name, first, values) {
    const dataset = file.get(name);
    const [length, ...frame] = dataset.shape;
    const count = values.length / frame.reduce((a, b) => a * b, 1);
    if (first + count > length) dataset.resize([first + count, ...frame]);
    const Type = TYPES[dataset.dtype];
    dataset.write_slice([[first, first + count], ...frame.map(() => [])], Type.from(values));
  },
  swmr: () => void file.start_swmr_write(),
  flush: () => void file.flush(),
  close: () => void file.close(),
};
let h5;
import("h5wasm/node").then(async (loaded) => {
  h5 = loaded;
  await h5.ready;
  parentPort.on("message", ([name, ...given]) => {
    try { operations[name](...given); parentPort.postMessage(undefined); }
    catch (error) { parentPort.postMessage(String(error)); }
  });
  parentPort.postMessage(undefined);
});
`;

export async function startWriter(): Promise<Writer> {
  const worker = new Worker(PROGRAM, { eval: true });
  const answered = (): Promise<void> =>
    new Promise((resolve, reject) => {
      worker.once("message", (error: string | undefined) => (error ? reject(new Error(error)) : resolve()));
    });
  await answered();
  const ask = (name: string) => async (...given: unknown[]) => {
    const answer = answered();
    worker.postMessage([name, ...given]);
    await answer;
  }; // prettier-ignore
  const names = ["create", "dataset", "text", "attribute", "write", "swmr", "flush", "close"];
  const asked = Object.fromEntries(names.map((name) => [name, ask(name)]));
  return { ...asked, end: async () => void (await worker.terminate()) } as unknown as Writer;
}
