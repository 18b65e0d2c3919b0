/**
 * Large columns in shared memory, so that several threads read one copy. The memory is used again once all of them
 * have answered: there is as much of it as steps are under way at once, and none is allocated in a steady state.
 */
import { isList, type Column, type Columns } from "./columns.ts";
import type { NumericArray } from "./wire/schema.ts";

/** Below this, a copy for each thread costs less than shared memory. */
const SHARED_BYTES = 64 * 1024;

export interface Lent {
  readonly columns: Readonly<Record<string, Columns>>;
  readonly lent: readonly SharedArrayBuffer[];
  /** Nobody reads these columns any more. */
  giveBack(): void;
}

export class SharedCopies {
  #free: SharedArrayBuffer[] = [];

  of(rows: Readonly<Record<string, Columns>>): Lent {
    const lent: SharedArrayBuffer[] = [];
    const shared = (column: Column): Column => {
      if (Array.isArray(column)) return column;
      if (isList(column)) return column;
      const array = column as NumericArray;
      if (array.buffer instanceof SharedArrayBuffer || array.byteLength < SHARED_BYTES) return array;
      const memory = this.#room(array.byteLength);
      lent.push(memory);
      const copy = new (array.constructor as Float64ArrayConstructor)(memory, 0, array.length);
      copy.set(array as Float64Array);
      return copy;
    };
    const columns = Object.fromEntries(
      Object.entries(rows).map(([port, given]) => [
        port,
        Object.fromEntries(Object.entries(given).map(([name, column]) => [name, shared(column)])) as Columns,
      ]),
    );
    return { columns, lent, giveBack: () => void this.#free.push(...lent) };
  }

  /** The smallest that is free and large enough; what is too small for a column so large makes room for one that is not. */
  #room(bytes: number): SharedArrayBuffer {
    let best: SharedArrayBuffer | undefined;
    for (const one of this.#free)
      if (one.byteLength >= bytes && (!best || one.byteLength < best.byteLength)) best = one;
    if (!best) {
      this.#free.shift();
      return new SharedArrayBuffer(bytes);
    }
    this.#free.splice(this.#free.indexOf(best), 1);
    return best;
  }
}
