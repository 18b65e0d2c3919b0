/** A binary file read piece by piece: each piece is all there, or an error says what is missing and where. */
import { open, type FileHandle } from "node:fs/promises";
import { SourceError } from "../runtime/index.ts";

export interface Bytes {
  readonly path: string;
  readonly size: number;
  /** When it was last written, ns since 1970, UTC. */
  readonly modified: bigint;
  /** `what` names the piece for messages: "channel Height". The bytes are lent until the next read. */
  read(at: number, length: number, what: string): Promise<Buffer>;
  close(): Promise<void>;
}

const BLOCK = 1 << 18;
/** No piece of an instrument's file is larger: more is a damaged header. */
const MOST = 1 << 30;

/** Throws SourceError with the reason where it cannot be opened. */
export async function openToRead(path: string): Promise<FileHandle> {
  return open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    const { code = cause.message } = cause;
    const why = code === "ENOENT" ? "no such file" : /EBUSY|EACCES|EPERM/.test(code) ? `locked by another program, or not ours to read (${code})` : `cannot be opened (${code})`; // prettier-ignore
    throw new SourceError(`${path}: ${why}`, { cause });
  });
}

/** Fills `room` from byte `at` on; how many bytes came, fewer only where the file ends before. */
export async function fill(file: Pick<FileHandle, "read">, room: Uint8Array, at: number): Promise<number> {
  let filled = 0;
  while (filled < room.length) {
    const { bytesRead } = await file.read(room, filled, room.length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

export async function openBytes(path: string): Promise<Bytes> {
  const file = await openToRead(path);
  const { size, mtimeNs } = await file.stat({ bigint: true });
  const fileSize = Number(size);
  let held = Buffer.alloc(0);
  let heldAt = 0;
  return {
    path,
    size: fileSize,
    modified: mtimeNs,
    async read(at, length, what) {
      if (!(Number.isInteger(at) && Number.isInteger(length) && at >= 0 && length >= 0 && length <= MOST)) {
        throw new SourceError(`${path}: ${what} would lie at byte ${at} and have ${length} bytes; its header is damaged, copy the file again`); // prettier-ignore
      }
      if (at + length > fileSize) {
        throw new SourceError(`${path}: ${what} lies at byte ${at} and has ${length} bytes, but the file ends at byte ${fileSize}; it is cut short, copy it again`); // prettier-ignore
      }
      if (at < heldAt || at + length > heldAt + held.length) {
        const wanted = Math.min(Math.max(length, BLOCK), fileSize - at);
        const block = Buffer.allocUnsafe(wanted);
        const filled = await fill(file, block, at);
        held = block.subarray(0, filled);
        heldAt = at;
        if (filled < length)
          throw new SourceError(`${path}: is shorter than a moment ago, at ${what}; copy it again`);
      }
      return held.subarray(at - heldAt, at - heldAt + length);
    },
    close: () => file.close(),
  };
}
