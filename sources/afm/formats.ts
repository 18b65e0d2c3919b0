import { SourceError } from "../../runtime/index.ts";
import type { AfmFile, Format, Zoned } from "./afm-file.ts";
import { afmHdf5 } from "./afm-hdf5.ts";
import { openToRead } from "../bytes.ts";
import { gwyddion } from "./gwyddion.ts";
import { hsAfm } from "./hs-afm.ts";
import { igorWave } from "./igor.ts";
import { jpkImage } from "./jpk-image.ts";
import { jpkThermal } from "./jpk-thermal.ts";
import { jpkForce } from "./jpk.ts";
import { nanoscope } from "./nanoscope.ts";
import { nanosurfNid } from "./nanosurf.ts";

/** In the order in which they are asked whether a file is theirs. */
export const FORMATS: readonly Format[] = [
  jpkForce,
  igorWave,
  nanosurfNid,
  gwyddion,
  nanoscope,
  hsAfm,
  jpkImage,
  jpkThermal,
  afmHdf5,
];

const HEAD_BYTES = 4096;

/** Opens a file by the first format that knows how it begins. */
export async function openAfm(path: string, zoned: Zoned): Promise<AfmFile> {
  const head = await headOf(path);
  const format = FORMATS.find(({ looks }) => looks(head));
  if (format) return format.open(path, zoned);
  if (head.length === 0) throw new SourceError(`${path}: is empty (0 bytes); copy it again`);
  const begins = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  throw new SourceError(
    `${path}: is no AFM file that is known; it begins with ${begins}, known are ${FORMATS.map(({ name }) => name).join(", ")}`,
  );
}

/** True where afm/file is the source for a file that begins so. */
export const claimsAfm = (head: Uint8Array, path: string): boolean =>
  FORMATS.some(({ looks, claims = looks }) => claims(head, path));

async function headOf(path: string): Promise<Uint8Array> {
  const file = await openToRead(path);
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0).catch((cause: NodeJS.ErrnoException) => {
      throw new SourceError(`${path}: cannot be read (${cause.code ?? cause.message})`, { cause });
    });
    return head.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
