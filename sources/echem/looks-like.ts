const BIOLOGIC = "BIO-LOGIC MODULAR FILE\x1a";
const latin = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** What a file that is not a known one seems to be, for the message. */
export function looksLike(head: Uint8Array): string {
  if (head.length === 0) return "it is empty (0 bytes)";
  const start = latin(head.subarray(0, 24));
  if (BIOLOGIC.startsWith(start.slice(0, 23)) && head.length < 52)
    return `it ends after ${head.length} bytes, within the first 52 of a BioLogic file`;
  if (start.startsWith("PK\x03\x04"))
    return "it is a zip archive, as .xlsx and JPK files are; a table in Excel must be saved as CSV";
  if (start.startsWith("\xd0\xcf\x11\xe0"))
    return "it is an OLE file, as .xls is; a table in Excel must be saved as CSV";
  if (/^(\xff\xfe|\xfe\xff)/.test(start)) return 'it is text in UTF-16 ("Unicode text"); save it as UTF-8';
  if (start.startsWith("\x89HDF\r\n")) return "it is an HDF5 file";
  if (/^(II\*\0|MM\0\*|II\+\0)/.test(start)) return "it is a TIFF image";
  if (head.every((byte) => byte === 0))
    return "its first bytes are all zero, as after a copy that did not finish";
  if (/^[\t\n\r -~\u00a0-\u00ff]*$/.test(start)) return `it is text and begins with "${start.trim()}"`;
  return `it begins with the bytes ${[...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
}
