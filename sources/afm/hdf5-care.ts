/**
 * HDF5 files, with care for what damaged ones do to the library.
 *
 * In a damaged collection of texts a length may be 0, or come to it in 32 bit, and the library (2.0, as in h5wasm 0.10)
 * steps on by it for ever: so these are looked at first. Over other damages it breaks down; that is an error of the file.
 *
 * Layout: HDF5 File Format Specification 3.0, III.E: "GCOL", version, 3 bytes, size; then objects of index, references,
 * 4 bytes, size and data, which are filled up to 8 bytes. Index 0 is the free space, with its header.
 */
import { SourceError } from "../../runtime/index.ts";
import { readHdf5, type Hdf5 } from "../hdf5.ts";
import { openBytes, type Bytes } from "../bytes.ts";

export async function readCarefully<T>(path: string, use: (file: Hdf5) => T): Promise<T> {
  try {
    return await readHdf5(path, use);
  } catch (cause) {
    if ((cause as Error).name !== "RuntimeError") throw cause;
    throw new SourceError(
      `${path}: is damaged so that the HDF5 library breaks down over it (${(cause as Error).message}); copy it again`,
      { cause },
    );
  }
}

const SIGNATURE = Buffer.from("GCOL\x01\0\0\0", "latin1");
const HEADER_BYTES = 16;
const BLOCK_BYTES = 1 << 20;
/** Of larger files the begin, where their headers are. */
const MOST_BYTES = 1 << 28;

/** Throws SourceError where the library would not come to an end. */
export async function checkHeaps(path: string): Promise<void> {
  const bytes = await openBytes(path);
  try {
    const end = Math.min(bytes.size, MOST_BYTES);
    const found: number[] = [];
    for (let at = 0; at < end; at += BLOCK_BYTES) {
      const length = Math.min(BLOCK_BYTES + SIGNATURE.length - 1, bytes.size - at);
      const block = await bytes.read(at, length, "its headers");
      for (let i = block.indexOf(SIGNATURE); i >= 0; i = block.indexOf(SIGNATURE, i + 1)) found.push(at + i);
    }
    for (const at of found) await checkHeap(bytes, at);
  } finally {
    await bytes.close();
  }
}

async function checkHeap(bytes: Bytes, start: number): Promise<void> {
  const field = async (at: number, offset: number): Promise<number> =>
    Number((await bytes.read(at, HEADER_BYTES, "a text")).readBigUInt64LE(offset));
  if (start + HEADER_BYTES > bytes.size) return;
  const end = start + (await field(start, 8));
  for (let at = start + HEADER_BYTES; at + HEADER_BYTES <= Math.min(end, bytes.size);) {
    const free = (await bytes.read(at, HEADER_BYTES, "a text")).readUInt16LE(0) === 0;
    const size = await field(at, 8);
    const length = free ? size : HEADER_BYTES + 8 * Math.ceil(size / 8);
    if (length === 0 || at + length > end) {
      throw new SourceError(
        `${bytes.path}: is damaged: at byte ${at}, among its texts (bytes ${start} to ${end}), ${free ? "free space" : "a text"} has a length of ${length}; copy it again`,
      );
    }
    at += length;
  }
}
