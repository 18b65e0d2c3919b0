import { SourceError } from "../../runtime/index.ts";
import { arbinRes } from "./arbin-res.ts";
import { anyCsv, arbinCsv, basytec, bdfCsv, novonix, pec } from "./csv.ts";
import type { EchemFormat, EchemReader, Opening } from "./echem-file.ts";
import type { FileReader } from "./file-reader.ts";
import { gamryDta } from "./gamry.ts";
import { maccor } from "./maccor.ts";
import { biologicMpr } from "./mpr-reader.ts";
import { biologicMpt } from "./mpt.ts";
import { newareNda } from "./neware-nda.ts";
import { newareNdax } from "./neware-ndax.ts";
import { bdfParquet } from "./parquet.ts";
import { looksLike } from "./looks-like.ts";

/** In the order in which they are asked whether a file is theirs. */
export const FORMATS: readonly EchemFormat[] = [
  biologicMpr,
  biologicMpt,
  gamryDta,
  newareNda,
  newareNdax,
  arbinRes,
  bdfParquet,
  maccor,
  basytec,
  novonix,
  pec,
  bdfCsv,
  arbinCsv,
  anyCsv, // the last: it takes any text with a table in it
];

const HEAD_BYTES = 4096;

export interface OpenFile {
  readonly format: EchemFormat;
  readonly reader: EchemReader;
}

/** Opens a file by the first format that knows how it begins. */
export async function openEchem(file: FileReader, opening: Opening): Promise<OpenFile> {
  const head = await file.read(0, HEAD_BYTES);
  const format = FORMATS.find(({ looks }) => looks(head));
  if (!format)
    throw new SourceError(
      `is no cycler's file that is known: ${looksLike(head)}; known are ${FORMATS.map(({ name }) => name).join(", ")}`,
    );
  return { format, reader: await format.open(file, opening) };
}

/** True where echem/file is the source for a file that begins so. */
export const claimsEchem = (head: Uint8Array, path: string): boolean =>
  FORMATS.some(({ looks, claims = looks }) => claims(head, path));
