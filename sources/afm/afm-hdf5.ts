/** HDF5 of atomic force microscopes: all such files begin alike, so the one that it is shows when it is open. */
import { SourceError } from "../../runtime/index.ts";
import { hdf5At } from "../hdf5.ts";
import type { Format } from "./afm-file.ts";
import { isAfmformats, openAfmformats } from "./afmformats.ts";
import { checkHeaps, readCarefully } from "./hdf5-care.ts";
import { isJpkHdf5, openJpkHdf5 } from "./jpk-hdf5.ts";

const KINDS = [
  { is: isJpkHdf5, open: openJpkHdf5 },
  { is: isAfmformats, open: openAfmformats },
];

export const afmHdf5: Format = {
  name: "HDF5 of JPK (.h5-jpk) and of afmformats",
  looks: (head) => hdf5At(head) !== undefined,
  // Tomography is HDF5 too: without being told, only what says in its name or first bytes that it is this.
  claims: (head, path) =>
    hdf5At(head) !== undefined && (/\.h5-jpk$/i.test(path) || Buffer.from(head).includes("afmformats")),
  async open(path, zoned) {
    await checkHeaps(path);
    const { kind, groups } = await readCarefully(path, (file) => ({
      kind: KINDS.find(({ is }) => is(file)),
      groups: file.root.keys(),
    }));
    if (!kind)
      throw new SourceError(
        `${path}: is HDF5, but neither of JPK (file-format-info "JPK SCAN") nor of afmformats (software "afmformats"); it has the groups ${groups.slice(0, 8).join(", ") || "none"}`,
      );
    return kind.open(path, zoned);
  },
};
