/** Small tomography files, written as instruments write them. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { File, ready, type Group } from "h5wasm/node";

type Values = Uint8Array | Uint16Array | Uint32Array | Int16Array | Int32Array | Float32Array | Float64Array;

export interface Member {
  readonly values: Values | number[] | string;
  readonly shape?: number[];
  readonly chunks?: number[];
  /** An HDF5 filter and its options; gzip by default where there are chunks. */
  readonly filter?: [id: number | "gzip", ...options: number[]];
  readonly attributes?: Record<string, string>;
}

/** A folder with a space and an umlaut in its name, as users have them. */
export const folder = (): string => mkdtempSync(join(tmpdir(), "röntgen daten "));

interface Layout {
  /** NX_class of groups. */
  readonly groups?: Record<string, string>;
  /** Soft links to a path of the file. */
  readonly links?: Record<string, string>;
  /** Links into another file. */
  readonly elsewhere?: Record<string, [file: string, path: string]>;
}

/** Writes datasets by path, making groups on the way. */
export async function writeHdf5(
  path: string, members: Record<string, Member>,
  { groups = {}, links = {}, elsewhere = {} }: Layout = {},
): Promise<string> {
  await ready;
  const file = new File(path, "w");
  const group = (at: string): Group => {
    let here: Group = file;
    for (const name of at.split("/").filter(Boolean)) here = (here.get(name) as Group | null) ?? here.create_group(name);
    return here;
  };
  for (const [at, kind] of Object.entries(groups)) group(at).create_attribute("NX_class", kind);
  for (const [at, { values, shape, chunks, filter, attributes }] of Object.entries(members)) {
    const cut = at.lastIndexOf("/");
    const [id, ...options] = filter ?? ["gzip", 4];
    const dataset = group(at.slice(0, cut)).create_dataset({
      name: at.slice(cut + 1), data: values as never,
      ...(shape && { shape }),
      ...(chunks && { chunks, compression: id, compression_opts: options }),
    });
    for (const [name, value] of Object.entries(attributes ?? {})) dataset.create_attribute(name, value);
  }
  for (const [at, target] of Object.entries(links)) {
    const cut = at.lastIndexOf("/");
    group(at.slice(0, cut)).create_soft_link(target, at.slice(cut + 1));
  }
  for (const [at, [other, target]] of Object.entries(elsewhere)) {
    const cut = at.lastIndexOf("/");
    group(at.slice(0, cut)).create_external_link(other, target, at.slice(cut + 1));
  }
  file.flush();
  file.close();
  return path;
} // prettier-ignore

/** Counts of frame i, 2 rows × 3 columns: 100 i + 10 row + col. */
export const frames = (first: number, count: number): Uint16Array =>
  Uint16Array.from({ length: count * 6 }, (_, k) => 100 * (first + Math.floor(k / 6)) + 10 * Math.floor((k % 6) / 3) + (k % 3)); // prettier-ignore

/** Data Exchange: 2 darks (frames 0, 1), 3 flats (10 … 12), 5 projections (20 … 24) at 0, 36, … deg. */
export const dataExchange = (): Record<string, Member> => ({
  "/exchange/data": { values: frames(20, 5), shape: [5, 2, 3], chunks: [2, 2, 3], attributes: { axes: "theta:y:x" } },
  "/exchange/data_dark": { values: frames(0, 2), shape: [2, 2, 3] },
  "/exchange/data_white": { values: frames(10, 3), shape: [3, 2, 3] },
  "/exchange/theta": { values: Float64Array.of(0, 36, 72, 108, 144), attributes: { units: "degrees" } },
}); // prettier-ignore

/** NXtomo: dark, flat, 3 projections, flat, invalid, in groups of unusual names. */
export const NXTOMO_KEYS = [2, 1, 0, 0, 0, 1, 3];
export const nxtomo = (): Record<string, Member> => ({
  "/scan1/tomo/definition": { values: "NXtomo" },
  "/scan1/tomo/start_time": { values: "2026-03-01T12:00:00+01:00" },
  "/scan1/tomo/hutch/camera/data": { values: frames(0, 7), shape: [7, 2, 3], chunks: [1, 2, 3] },
  "/scan1/tomo/hutch/camera/image_key": { values: Uint8Array.from(NXTOMO_KEYS) },
  "/scan1/tomo/hutch/camera/x_pixel_size": { values: Float64Array.of(6.5), attributes: { units: "um" } },
  "/scan1/tomo/hutch/camera/count_time": { values: Float64Array.of(50), attributes: { units: "ms" } },
  "/scan1/tomo/thing/rotation_angle": { values: Float64Array.of(0, 0, 0, Math.PI / 2, Math.PI, 0, 0), attributes: { units: "rad" } },
  "/scan1/tomo/thing/name": { values: "cell 7" },
}); // prettier-ignore
export const NXTOMO_GROUPS = {
  "/scan1": "NXentry",
  "/scan1/tomo": "NXsubentry",
  "/scan1/tomo/hutch": "NXinstrument",
  "/scan1/tomo/hutch/camera": "NXdetector",
  "/scan1/tomo/thing": "NXsample",
};

/**
 * The same file with its datasets' filter `id` called `other`. The object header that names it ends with a checksum,
 * Jenkins' lookup3 of all before, which is made anew.
 */
export function renameFilter(file: Uint8Array, id: number, other: number): Uint8Array {
  const bytes = Uint8Array.from(file);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 16 < bytes.length; at++) {
    if (String.fromCharCode(...bytes.subarray(at, at + 4)) !== "OHDR") continue;
    const flags = bytes[at + 5]!;
    const sizeBytes = 1 << (flags & 3);
    const sizeAt = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    const size = sizeBytes === 1 ? bytes[sizeAt]! : sizeBytes === 2 ? view.getUint16(sizeAt, true) : view.getUint32(sizeAt, true); // prettier-ignore
    const end = sizeAt + sizeBytes + size;
    for (let i = sizeAt + sizeBytes; i + 2 <= end; i++) {
      if (view.getUint16(i, true) === id) view.setUint16(i, other, true);
    }
    view.setUint32(end, lookup3(bytes.subarray(at, end)), true);
  }
  return bytes;
}

function lookup3(bytes: Uint8Array): number {
  const word = (at: number): number =>
    [0, 1, 2, 3].reduce((w, k) => w | ((bytes[at + k] ?? 0) << (8 * k)), 0); // prettier-ignore
  const turn = (x: number, k: number): number => (x << k) | (x >>> (32 - k));
  let a = (0xdeadbeef + bytes.length) | 0;
  let [b, c] = [a, a];
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    a = (a + word(at)) | 0;
    b = (b + word(at + 4)) | 0;
    c = (c + word(at + 8)) | 0;
    a = (a - c) ^ turn(c, 4); c = (c + b) | 0;
    b = (b - a) ^ turn(a, 6); a = (a + c) | 0;
    c = (c - b) ^ turn(b, 8); b = (b + a) | 0;
    a = (a - c) ^ turn(c, 16); c = (c + b) | 0;
    b = (b - a) ^ turn(a, 19); a = (a + c) | 0;
    c = (c - b) ^ turn(b, 4); b = (b + a) | 0;
  } // prettier-ignore
  a = (a + word(at)) | 0;
  b = (b + word(at + 4)) | 0;
  c = (c + word(at + 8)) | 0;
  c = ((c ^ b) - turn(b, 14)) | 0;
  a = ((a ^ c) - turn(c, 11)) | 0;
  b = ((b ^ a) - turn(a, 25)) | 0;
  c = ((c ^ b) - turn(b, 16)) | 0;
  a = ((a ^ c) - turn(c, 4)) | 0;
  b = ((b ^ a) - turn(a, 14)) | 0;
  c = ((c ^ b) - turn(b, 24)) | 0;
  return c >>> 0;
}
