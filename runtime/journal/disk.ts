/**
 * The few things that the recorder asks of a file system. Writing is synchronous, in a thread of its own: when `write`
 * has returned the operating system has the bytes, and they outlive the process.
 */
import { closeSync, fdatasync, ftruncateSync, mkdirSync, openSync, writevSync } from "node:fs";
import { dirname } from "node:path";

export interface Disk {
  /** Creates a file that is not there yet, with the folders above it. */
  create(path: string): number;
  /** Writes all of it, or throws. */
  write(file: number, parts: readonly Uint8Array[], position: number): void;
  truncate(file: number, size: number): void;
  /** Until the bytes written so far are on the disk. */
  flush(file: number): Promise<void>;
  close(file: number): void;
}

/** Buffers that one system call takes. */
const MAX_PARTS = 1024;

export const realDisk: Disk = {
  create(path) {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, "wx");
  },
  write(file, parts, position) {
    for (let i = 0; i < parts.length; i += MAX_PARTS) {
      let rest = parts.slice(i, i + MAX_PARTS);
      while (rest.length > 0) {
        // A disk that is nearly full takes a part of it, and says so only at the next call.
        let written = writevSync(file, rest, position);
        position += written;
        while (rest.length > 0 && written >= rest[0]!.length) written -= rest.shift()!.length;
        if (rest.length > 0) rest = [rest[0]!.subarray(written), ...rest.slice(1)];
      }
    }
  },
  truncate: ftruncateSync,
  flush: (file) =>
    new Promise((resolve, reject) => fdatasync(file, (error) => (error ? reject(error) : resolve()))),
  close: closeSync,
};
