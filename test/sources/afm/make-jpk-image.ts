/** Small JPK images, a TIFF with JPK's private tags, as bytes. */

export interface MadeSlot {
  readonly name: string;
  readonly unit?: string;
  /** From the stored numbers; left out where the slot is not calibrated. */
  readonly scale?: readonly [multiplier: number, offset: number];
}

export interface MadeChannel {
  readonly name: string;
  readonly retrace?: boolean;
  readonly title?: string;
  readonly algorithm?: string;
  readonly slots: readonly MadeSlot[];
  readonly shown?: string;
  /** Line by line from the grid's corner. */
  readonly raw: readonly number[];
  /** In place of the scan's, where that is wrong. */
  readonly rows?: number;
}

export type Tag =
  string | { readonly double: number } | { readonly long: number } | { readonly short: number };

export interface MadeImage {
  readonly rows?: number;
  readonly columns?: number;
  readonly channels: readonly MadeChannel[];
  readonly began?: string;
  readonly ended?: string;
  readonly theta_rad?: number;
  readonly reflect?: boolean;
  readonly motion?: string;
  readonly lineRate_Hz?: number;
  readonly feedback?: string;
  /** Of the first page, in place of those that are written; undefined leaves a tag out. */
  readonly tags?: Readonly<Record<number, Tag | undefined>>;
}

export const U_m = 3e-7, V_m = 2e-7, CORNER_m = [2e-6, 1e-6] as const; // prettier-ignore

export function makeJpkImage(image: MadeImage): Buffer {
  const { rows = 2, columns = 3, channels } = image;
  const text = (value: string | undefined): Tag | undefined => value;
  const size = (height: number, width: number, bits: number, format: number): Record<number, Tag> => ({
    256: { long: width }, 257: { long: height }, 258: { short: bits }, 259: { short: 1 }, 262: { short: 1 },
    277: { short: 1 }, 278: { long: height }, 279: { long: (height * width * bits) / 8 }, 339: { short: format },
  }); // prettier-ignore
  const scan: Record<number, Tag | undefined> = {
    ...size(1, 1, 8, 1),
    0x8000: "6.0.41", 0x8001: { double: 2 }, 0x8003: text(image.began), 0x8006: text(image.ended),
    0x8030: image.feedback ?? "ac", 0x8040: { double: CORNER_m[0] }, 0x8041: { double: CORNER_m[1] },
    0x8042: { double: U_m }, 0x8043: { double: V_m }, 0x8044: { double: image.theta_rad ?? 0 },
    0x8045: { short: image.reflect ? 1 : 0 }, 0x8046: { long: columns }, 0x8047: { long: rows },
    0x8049: image.lineRate_Hz === undefined ? undefined : { double: image.lineRate_Hz }, 0x804b: text(image.motion),
    ...image.tags,
  }; // prettier-ignore
  const pages: { tags: Record<number, Tag | undefined>; pixels: Buffer }[] = [{ tags: scan, pixels: Buffer.alloc(1) }]; // prettier-ignore
  for (const { name, retrace, title, algorithm, slots, shown, raw, rows: ownRows } of channels) {
    const pixels = Buffer.alloc(raw.length * 4);
    raw.forEach((value, i) => pixels.writeInt32BE(value, 4 * i));
    const tags: Record<number, Tag | undefined> = {
      ...size(ownRows ?? rows, columns, 32, 2),
      0x8050: name, 0x8051: { short: retrace ? 1 : 0 }, 0x8052: title ?? name,
      0x8053: algorithm && `algorithm.object-name.fancy-name : ${algorithm}\n`,
      0x8080: { long: slots.length + 1 }, 0x8081: shown ?? slots.at(-1)!.name,
      0x8090: "raw", 0x80a3: "NullScaling",
    }; // prettier-ignore
    slots.forEach((slot, i) => {
      const at = 0x8090 + 0x30 * (i + 1);
      tags[at] = slot.name;
      tags[at + 2] = i === 0 ? "raw" : slots[i - 1]!.name;
      if (!slot.scale) return;
      tags[at + 0x12] = slot.unit ?? "";
      tags[at + 0x13] = "LinearScaling";
      tags[at + 0x14] = { double: slot.scale[0] };
      tags[at + 0x15] = { double: slot.scale[1] };
    });
    pages.push({ tags, pixels });
  }
  const parts: Buffer[] = [Buffer.from([0x4d, 0x4d, 0, 42, 0, 0, 0, 8])];
  let at = 8;
  for (const [i, { tags, pixels }] of pages.entries()) {
    const names = Object.keys({ ...tags, 273: 0 }).map(Number).filter((tag) => tag === 273 || tags[tag] !== undefined).sort((a, b) => a - b); // prettier-ignore
    const directory = Buffer.alloc(2 + 12 * names.length + 4);
    const behind: Buffer[] = [pixels];
    const pixelsAt = at + directory.length;
    let next = pixelsAt + pixels.length;
    directory.writeUInt16BE(names.length, 0);
    names.forEach((tag, k) => {
      const [kind, count, bytes] = encoded(tag === 273 ? { long: pixelsAt } : tags[tag]!);
      const entry = 2 + 12 * k;
      directory.writeUInt16BE(tag, entry);
      directory.writeUInt16BE(kind, entry + 2);
      directory.writeUInt32BE(count, entry + 4);
      if (bytes.length <= 4) bytes.copy(directory, entry + 8);
      else {
        directory.writeUInt32BE(next, entry + 8);
        behind.push(bytes);
        next += bytes.length;
      }
    });
    directory.writeUInt32BE(i === pages.length - 1 ? 0 : next, directory.length - 4);
    parts.push(directory, ...behind);
    at = next;
  }
  return Buffer.concat(parts);
}

function encoded(tag: Tag): [kind: number, count: number, bytes: Buffer] {
  if (typeof tag === "string") return [2, tag.length + 1, Buffer.from(`${tag}\0`, "latin1")];
  const bytes = Buffer.alloc("double" in tag ? 8 : "long" in tag ? 4 : 2);
  if ("double" in tag) return (bytes.writeDoubleBE(tag.double), [12, 1, bytes]);
  if ("long" in tag) return (bytes.writeInt32BE(tag.long), [4, 1, bytes]);
  return (bytes.writeInt16BE(tag.short), [3, 1, bytes]);
}
