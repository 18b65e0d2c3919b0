import { stat } from "node:fs/promises";
import { SourceError } from "../../runtime/index.ts";
import { isDataExchange, readDataExchange } from "./data-exchange.ts";
import { followHdf5Scan } from "./hdf5-growth.ts";
import type { Reading } from "./hdf5-values.ts";
import { checkFilters, readHdf5, type Hdf5 } from "../hdf5.ts";
import { nxtomoEntries, readNxtomo } from "./nxtomo.ts";
import type { Scan, ScanOptions } from "./scan.ts";

/** A tomography file in HDF5, as Data Exchange or NeXus NXtomo. */
export async function openHdf5Scan(path: string, options: ScanOptions): Promise<Scan> {
  const { follow, ...rest } = options;
  if (follow) return followHdf5Scan(path, hdf5Scan, { ...rest, follow });
  const written_ns = (await stat(path, { bigint: true }).catch(() => undefined))?.mtimeNs ?? 0n;
  const { scan, cut } = await readHdf5(path, (file) => ({
    scan: hdf5Scan(file, { ...rest, written_ns }),
    cut: file.state.stated,
  }));
  for (const { dataset } of scan.parts) await checkFilters(path, dataset);
  if (cut === undefined) return scan;
  return {
    ...scan,
    remarks: [...scan.remarks, `is cut short (${cut} bytes by its own account); what of it is whole is read`],
  };
}

/** What an open file holds. */
export function hdf5Scan(file: Hdf5, reading: Reading): Scan {
  if (isDataExchange(file)) return readDataExchange(file, reading);
  const entries = nxtomoEntries(file);
  if (entries.length > 0) return readNxtomo(file, entries, reading);
  throw new SourceError(
    `${file.path}: is HDF5, but neither Data Exchange (no /exchange/data) nor NeXus NXtomo (no NXentry with instrument/detector/data ` +
      `and image_key); at its top are ${file.root.keys().join(", ") || "no groups"}`,
  );
}
