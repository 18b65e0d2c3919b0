/** The inside of a tile's thread: does what tiled-kernel.ts writes down, in its order, and says how far it is. */
import { RAMP_WINDOWS } from "./ramp-filter.ts";
import { HEAD, LINE_NUMBERS, OP, readLines, type TileStart } from "./tiled-kernel.ts";
import { linesOf, setsHere, wasmKernel } from "./wasm/slice-kernel.ts";

export function run({ options, index, count, shared }: TileStart): void {
  const { planes, detectorRows, cols } = options;
  const progress = new Int32Array(shared.progress);
  const heads = new Int32Array(shared.heads);
  const lines = new Float64Array(shared.lines);
  const rows = new Float32Array(shared.rows);
  const picture = new Float32Array(shared.picture);
  const rowNumbers = detectorRows.length * cols;

  const kernel = wasmKernel(options, { index, count });
  const sets = setsHere(options, { index, count });

  function obey(place: number): boolean {
    const [op, a, b] = heads.subarray(place * HEAD, (place + 1) * HEAD) as unknown as [
      number,
      number,
      number,
    ];
    const given = rows.subarray(place * rowNumbers, (place + 1) * rowNumbers);
    switch (op) {
      case OP.filter:
        kernel.filter([given], [a]);
        break;
      case OP.put:
        kernel.put(a, given);
        break;
      case OP.add:
        kernel.add(a, readLines(lines, place * LINE_NUMBERS, b));
        break;
      case OP.setWindow:
        kernel.setWindow(RAMP_WINDOWS[a]!);
        break;
      case OP.clear:
        kernel.clear(a);
        break;
      case OP.scaled: {
        const [from] = linesOf(planes[b]!.rows, { index, count });
        picture.set(kernel.scaled(a, b, lines[place * LINE_NUMBERS]!), from * planes[b]!.cols);
        break;
      }
      case OP.load: {
        const { rows, cols } = planes[b]!;
        const [from, to] = linesOf(rows, { index, count });
        kernel.load(a, [picture.slice(from * cols, to * cols)], b);
        break;
      }
      case OP.rows: {
        const held = kernel.rows(a);
        for (const set of sets)
          given.set(held.subarray(8 * set * cols, 8 * (set + 1) * cols), 8 * set * cols);
        break;
      }
      case OP.settle:
        kernel.settle();
        break;
      case OP.close:
        return false;
    }
    return true;
  }

  try {
    for (let done = 0, more = true; more;) {
      while (Atomics.load(progress, 0) <= done) Atomics.wait(progress, 0, done);
      more = obey(done % shared.commands);
      Atomics.store(progress, index, ++done);
      Atomics.notify(progress, index);
    }
  } catch (error) {
    Atomics.store(progress, index, -1);
    Atomics.notify(progress, index);
    throw error;
  }
}
