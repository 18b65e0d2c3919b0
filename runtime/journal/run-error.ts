/** A run's directory that cannot be read or written as asked: says which file, where in it, and what to do. */
export class RunError extends Error {
  override readonly name = "RunError";
}

const SAID: Record<string, string> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file is larger than the disk allows",
  EACCES: "it may not be written",
  EPERM: "it may not be written",
  EROFS: "the disk is read-only",
  ENOENT: "the directory is gone",
  ENOTDIR: "part of its path is a file, not a directory",
  EEXIST: "it holds a recording already",
  EMFILE: "too many files are open",
  EIO: "the disk reports an error",
};

/** What a file system's error means, in words. */
export function inWords(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return SAID[code ?? ""] ?? message;
}

/** 12345 as "12,345". */
export const grouped = (n: number): string => n.toLocaleString("en-US");
