/**
 * Files that frames lie in, told apart by their first bytes. What a frame is and when it was taken is the business
 * of the scan that it belongs to; here it is only read, from `first` on, as it was recorded or as it is replayed.
 */
import { open } from "node:fs/promises";
import type { FrameReference } from "../../runtime/index.ts";
import { readFrames as readHdf5Frames, readHdf5, type Numbers } from "../hdf5.ts";
import { isTiff, readTiffFrames, type FrameShape } from "../tiff.ts";
import { isNpy, readNpyFrames } from "./npy.ts";
import { isOle } from "./ole.ts";
import { readTxrmFrames } from "./txrm.ts";

/** Where frames lie: `first` and those after it, in a dataset of a file. */
export type FramesAt = Pick<FrameReference, "file" | "dataset" | "first">;

/** Formats of files with frames, and "hdf5" for all else: its reader says what is wrong with a file. */
export type Format = "tiff" | "npy" | "ole" | "hdf5";

export function formatOf(head: Uint8Array): Format {
  return isTiff(head) ? "tiff" : isNpy(head) ? "npy" : isOle(head) ? "ole" : "hdf5";
}

export async function formatOfFile(path: string): Promise<Format> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return "hdf5"; // whose reader says why it cannot be opened
  try {
    const head = new Uint8Array(8);
    const { bytesRead } = await file.read(head, 0, head.length, 0).catch(() => ({ bytesRead: 0 }));
    return formatOf(head.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/**
 * Frames first … first + count, one after the other, in the type they are stored in; double precision becomes single.
 * Throws SourceError where they cannot be read, or are not as `wanted`.
 */
export async function readFrames(at: FramesAt, count: number, wanted?: FrameShape): Promise<Numbers> {
  const { file, dataset, first } = at;
  switch (await formatOfFile(file)) {
    case "tiff":
      return readTiffFrames(file, first, count, wanted);
    case "npy":
      return readNpyFrames(file, dataset, first, count);
    case "ole":
      return readTxrmFrames(file, dataset, first, count);
    case "hdf5":
      return readHdf5(file, (opened) => readHdf5Frames(opened, dataset, first, count));
  }
}

/** One frame that was recorded by reference, `reference.first` of its dataset, as the source gave it out. */
export function readFrame(reference: FrameReference): Promise<Numbers> {
  return readFrames(reference, 1);
}
