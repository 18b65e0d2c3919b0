/**
 * Memory that the graph's thread fills and the recorder's thread reads, used again and again. Handing over a fresh
 * buffer each time left the freeing to the collector of a thread that sees no need to: 700 MB of garbage at full speed.
 */

/** Rows are packed one after the other into slabs of this size; what is larger has its own. */
const SLAB_BYTES = 4 * 1024 * 1024;
/** Kept for later, at most; the rest is left to the collector. */
const KEPT_BYTES = 64 * 1024 * 1024;

export interface Slab {
  readonly memory: SharedArrayBuffer;
  used: number;
  /** Pieces that have been taken and not given back. */
  taken: number;
}

export class Slabs {
  #current: Slab | undefined;
  #free: Slab[] = [];
  #freeBytes = 0;

  /** Room for so many bytes, from `offset` on, a multiple of 8. */
  take(bytes: number): { slab: Slab; offset: number } {
    let slab = this.#current;
    if (!slab || slab.used + bytes > slab.memory.byteLength) this.#current = slab = this.#next(bytes);
    const offset = slab.used;
    slab.used += (bytes + 7) & ~7;
    slab.taken++;
    return { slab, offset };
  }

  #next(bytes: number): Slab {
    const i = this.#free.findIndex(({ memory }) => memory.byteLength >= bytes);
    if (i < 0) return { memory: new SharedArrayBuffer(Math.max(SLAB_BYTES, (bytes + 7) & ~7)), used: 0, taken: 0 };
    const [slab] = this.#free.splice(i, 1);
    this.#freeBytes -= slab!.memory.byteLength;
    return slab!;
  }

  giveBack(slab: Slab): void {
    if (--slab.taken > 0) return;
    slab.used = 0;
    if (slab === this.#current || this.#freeBytes + slab.memory.byteLength > KEPT_BYTES) return;
    this.#free.push(slab);
    this.#freeBytes += slab.memory.byteLength;
  }
}
