/**
 * The curve behind a pixel of a map, asked of the server: first which row it was (times and indices alone, backwards
 * from the map's time), then that row, its fit, and, where it has none, the curve as it was measured. One question at
 * a time; a pixel that is wanted meanwhile waits, the newest alone.
 */
import type { Client, Ms, Request, RowsFrame, StreamEntry, Subscription } from "./client/types.ts";
import type { CurvePanel } from "./curve-panels.ts";
import type { ImagePanel } from "./image-panels.ts";
import { rowOf } from "./picked-rows.ts";
import { readableScale, readableWithError } from "./readable-numbers.ts";
import { timeOfDay } from "./readable-times.ts";
import type { Row } from "./row-feed.ts";
import { textAt, valueAt } from "./slice-state.ts";
import type { Behind } from "./wiring.ts";

export interface PixelPick {
  readonly panel: ImagePanel;
  readonly behind: Behind;
  readonly column: number;
  readonly row: number;
  /** Columns and rows of the map. */
  readonly columns: number;
  readonly rows: number;
  /** Of the map that it was picked in. */
  readonly time: Ms;
  /** What the map shows there; NaN where nothing. */
  readonly value: number;
}

export interface PixelAnswer {
  readonly pick: PixelPick;
  /** The curve and how it is drawn; undefined where there is none, or while it is looked for. */
  readonly curve: { readonly panel: CurvePanel; readonly row: Row } | undefined;
  /** "2.31 ± 0.04 GPa", and why there is none; either may be empty. */
  readonly value: string;
  readonly why: string;
  readonly searching: boolean;
}

/** A row may bear a time that a double in ms cannot hold; a µs to either side finds it. */
const NEAR: Ms = 1e-3;
/** Rows that are looked through before the search is given up, in maps; and spans, each twice as long. */
const PATIENCE_maps = 8, ROUNDS = 8; // prettier-ignore

type Asking = Pick<Client, "subscribe" | "catalogue">;

export class PixelCurve {
  readonly #client: Asking;
  readonly #onChange: () => void;
  #wanted: PixelPick | undefined;
  #asking: PixelPick | undefined;
  #question: Subscription | undefined;
  answer: PixelAnswer | undefined;

  constructor(client: Asking, onChange: () => void) {
    this.#client = client;
    this.#onChange = onChange;
  }

  want(pick: PixelPick): void {
    this.#wanted = pick;
    if (this.#asking && isSamePixel(this.#asking, pick)) return; // the same of a newer map: in its turn
    this.#begin();
  }

  close(): void {
    this.#question?.close();
    this.#question = this.#wanted = this.#asking = this.answer = undefined;
  }

  #begin(): void {
    this.#question?.close();
    this.#question = this.#asking = undefined;
    const pick = this.#wanted;
    if (!pick) return;
    this.#wanted = undefined;
    this.#asking = pick;
    // The curve of an older map stands until there is that of the newer.
    if (!this.answer || !isSamePixel(this.answer.pick, pick)) {
      this.answer = { pick, curve: undefined, value: "", why: "", searching: true };
      this.#onChange();
    }
    void this.#find(pick).then((answer) => {
      if (!answer || this.#asking !== pick) return;
      this.answer = answer;
      this.#asking = undefined;
      this.#onChange();
      if (this.#wanted) this.#begin();
    });
  }

  /** Undefined where another pixel has been asked for meanwhile. */
  async #find(pick: PixelPick): Promise<PixelAnswer | undefined> {
    const { behind } = pick;
    const none = (why: string): PixelAnswer => ({ pick, curve: undefined, value: "", why, searching: false });
    const found = await this.#timeOf(pick);
    if (this.#asking !== pick) return undefined;
    if (found === undefined) return none("no curve was taken there");
    const columns = [behind.value, behind.error, behind.reason].filter((name) => name !== undefined);
    const row = await this.#row(behind.stream, ["index", ...columns], found, pick);
    if (this.#asking !== pick) return undefined;
    if (!row) return none("the run does not have its row any more");
    const value = behind.value === undefined ? NaN : valueAt(row, behind.value);
    // A pixel that this map has not reached yet shows its last curve, and says so.
    const whose = Number.isNaN(pick.value) && Number.isFinite(value) ? `of an earlier map, ${timeOfDay(found)}` : ""; // prettier-ignore
    const reason =
      Number.isFinite(value) || behind.reason === undefined ? "" : (textAt(row, behind.reason) ?? "");
    const said = {
      pick,
      value: valueText(row, behind, value),
      why: [reason, whose].filter((text) => text !== "").join(", "),
      searching: false,
    };
    for (const panel of [behind.fits, behind.curves]) {
      if (!panel || (panel === behind.fits && !Number.isFinite(value))) continue;
      const curve = await this.#curve(panel, found, pick);
      if (this.#asking !== pick) return undefined;
      if (curve) return { ...said, curve: { panel, row: curve } };
    }
    const why = said.why || "its curve was not recorded, and has left memory";
    return { ...said, why, curve: undefined };
  }

  /** Time of the last row with this index up to the map's time; undefined where there is none near it. */
  async #timeOf({ behind: { stream }, time, ...pick }: PixelPick): Promise<Ms | undefined> {
    const index = pick.row * pick.columns + pick.column;
    const size = pick.columns * pick.rows;
    // A map and a half first; a map that was interrupted may lie further back.
    let span = Math.max(1.5 * size * intervalOf(this.#client.catalogue.get(stream)), 1000);
    let to = time + NEAR;
    let looked = 0;
    for (let round = 0; round < ROUNDS && looked < PATIENCE_maps * size && to > 0; round++) {
      const from = Math.max(0, to - span);
      let last: Ms | undefined;
      await this.#ask({ stream, columns: ["index"], from, to, lossless: true }, (frame) => {
        const values = frame.columns["index"] as Int32Array;
        looked += values.length;
        const at = values.lastIndexOf(index);
        if (at >= 0) last = frame.time[at]!;
        // The map's own time is that of its last curve: after it the stream may be silent for long.
        return frame.time.at(-1)! >= time - NEAR;
      });
      if (last !== undefined) return last;
      to = from;
      span *= 2;
    }
    return undefined;
  }

  async #row(
    stream: string,
    columns: readonly string[],
    time: Ms,
    pick: PixelPick,
  ): Promise<Row | undefined> {
    const index = pick.row * pick.columns + pick.column;
    let found: Row | undefined;
    await this.#ask({ stream, columns, from: time - NEAR, to: time + 2 * NEAR, lossless: true }, (frame) => {
      const at = columns.includes("index")
        ? Array.from(frame.columns["index"] as ArrayLike<number>).lastIndexOf(index)
        : frame.time.length - 1;
      if (at >= 0) found = { time: frame.time[at]!, frame: rowOf(frame, at), at: 0, bytes: 0 };
      return at >= 0;
    });
    return found;
  }

  #curve({ stream, x, y, fit }: CurvePanel, time: Ms, pick: PixelPick): Promise<Row | undefined> {
    const fields = this.#client.catalogue.get(stream)?.schema.fields ?? {};
    const wanted = [x, y, fit, "index" in fields ? "index" : undefined].filter((name) => name !== undefined);
    return this.#row(stream, wanted, time, pick);
  }

  /** Rows of an answer, up to its end, or until `take` says that it is enough. */
  #ask(request: Request, take: (frame: RowsFrame) => boolean): Promise<void> {
    return new Promise((resolve) => {
      let over = false;
      const question = this.#client.subscribe(request, (frame) => {
        // After a mistake, or rows that are gone, comes what else there is, and in the end `done`.
        if (over || frame.kind === "trace" || frame.kind === "gap") return;
        over = frame.kind === "done" || take(frame);
        if (!over) return;
        this.#question?.close();
        resolve();
      });
      this.#question = question;
    });
  }
}

export const isSamePixel = (a: PixelPick, b: PixelPick): boolean =>
  a.panel.id === b.panel.id && a.column === b.column && a.row === b.row && a.columns === b.columns;

/** How far apart the rows of a stream lie on the average, ms. */
function intervalOf(entry: StreamEntry | undefined): Ms {
  if (!entry || entry.rows < 2 || !(entry.lastTime > entry.firstTime)) return 1000;
  return (entry.lastTime - entry.firstTime) / (entry.rows - 1);
}

function valueText(row: Row, { value, error }: Behind, number: number): string {
  if (value === undefined || !Number.isFinite(number)) return "";
  const scale = readableScale(row.frame.schema.fields[value]?.unit ?? "", Math.abs(number));
  const se = error === undefined ? NaN : valueAt(row, error);
  return readableWithError(number, se, scale);
}
