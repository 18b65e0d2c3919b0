/** The part of yauzl that archive.ts uses; the package brings no types. */
declare module "yauzl" {
  export interface Entry {
    readonly fileName: string;
    readonly generalPurposeBitFlag: number;
    readonly compressionMethod: number;
    readonly compressedSize: number;
    readonly uncompressedSize: number;
    readonly crc32: number;
    readonly relativeOffsetOfLocalHeader: number;
  }

  export interface ZipFile {
    eachEntry(): AsyncIterable<Entry>;
    close(): void;
  }

  export class RandomAccessReader {
    read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null, bytes?: number) => void,
    ): void;
    close(callback: (error?: Error | null) => void): void;
  }

  export function fromRandomAccessReaderPromise(
    reader: RandomAccessReader,
    size: number,
    options?: { autoClose?: boolean; validateEntrySizes?: boolean },
  ): Promise<ZipFile>;
}
