/** One force curve with its fit and what the fit leaves over: the newest, or the last before the cursor. */
import { css, html } from "lit";
import type { CurvePanel } from "./panels.ts";
import { readableQuantity, readableScale, shortNumber } from "./readable-numbers.ts";
import type { Row } from "./row-feed.ts";
import { RowView, rowViewStyles } from "./row-view.ts";
import { roundMarks } from "./steady-range.ts";

interface List {
  readonly values: ArrayLike<number>;
  readonly offsets: ArrayLike<number>;
}

const FORCE = "#cbb95c";
const FIT = "#f2f4f6";

export class OpCurve extends RowView<CurvePanel> {
  static override styles = [
    ...rowViewStyles,
    css`
      :host {
        padding-bottom: 4px;
      }
      .picture {
        margin-top: 0;
      }
    `,
  ];

  override render() {
    const { title } = this.panel;
    return html`
      <header>
        <h2>${title}</h2>
        <span class="age"></span>
      </header>
      <div class="picture" role="img" aria-label="${title}">
        <canvas></canvas>
        <div class="empty">no curve yet</div>
      </div>
    `;
  }

  protected columns(): readonly string[] {
    const { x, y, fit } = this.panel;
    return [x, y, ...(fit === undefined ? [] : [fit])];
  }

  #list(row: Row, name: string | undefined): ArrayLike<number> | undefined {
    const list = name === undefined ? undefined : (row.frame.columns[name] as List | undefined);
    if (!list) return undefined;
    const [from, to] = [list.offsets[row.at]!, list.offsets[row.at + 1]!];
    return Array.prototype.slice.call(list.values, from, to) as number[];
  }

  protected paint(row: Row | undefined): void {
    const { c, width, height, ratio } = this.canvas();
    if (!row) return;
    const { panel } = this;
    const { fields } = row.frame.schema;
    const x = this.#list(row, panel.x);
    const y = this.#list(row, panel.y);
    const fit = this.#list(row, panel.fit);
    if (!x || !y || x.length === 0) return;
    const xs = span([x]);
    const ys = span(fit ? [y, fit] : [y]);
    if (!xs || !ys) return;
    const xScale = readableScale(fields[panel.x]?.unit ?? "", Math.max(Math.abs(xs[0]), Math.abs(xs[1])));
    const yScale = readableScale(fields[panel.y]?.unit ?? "", Math.max(Math.abs(ys[0]), Math.abs(ys[1])));

    const box = { left: 44 * ratio, right: width - 6 * ratio, top: 6 * ratio, bottom: height - 30 * ratio };
    const below = fit ? box.bottom - 0.24 * (box.bottom - box.top) : box.bottom;
    const main = frame(c, { ...box, bottom: below }, xs, ys, ratio);
    main.marks(yScale.factor);
    c.fillStyle = FORCE;
    const size = 1.9 * ratio;
    for (let i = 0; i < x.length; i++)
      c.fillRect(main.x(x[i]!) - size / 2, main.y(y[i]!) - size / 2, size, size);
    if (fit) {
      stroke(c, x, fit, main, FIT, 1.4 * ratio);
      const left = Array.from(y, (v, i) => v - fit[i]!);
      const most = Math.max(...left.filter(Number.isFinite).map(Math.abs), Number.MIN_VALUE * 2 ** 60);
      const rest = frame(c, { ...box, top: below + 8 * ratio }, xs, [-most, most], ratio);
      c.fillStyle = "#3a4048";
      c.fillRect(box.left, rest.y(0), box.right - box.left, ratio);
      c.fillStyle = FORCE;
      for (let i = 0; i < x.length; i++) {
        if (Number.isFinite(left[i]))
          c.fillRect(main.x(x[i]!) - size / 2, rest.y(left[i]!) - size / 2, size, size);
      }
      c.fillStyle = "#22252ad0";
      c.fillRect(box.left + 2 * ratio, below + 9 * ratio, 108 * ratio, 13 * ratio);
      write(
        c,
        `residual ±${readableQuantity(most, fields[panel.y]?.unit ?? "", 2)}`,
        box.left + 5 * ratio,
        below + 18 * ratio,
        "left",
        ratio,
      );
    }
    for (const mark of roundMarks(xs[0] * xScale.factor, xs[1] * xScale.factor, 5)) {
      write(c, shortNumber(mark), main.x(mark / xScale.factor), box.bottom + 13 * ratio, "center", ratio);
    }
    write(
      c,
      `${panel.x.replaceAll("_", " ")}, ${xScale.unit}`,
      (box.left + box.right) / 2,
      height - 3 * ratio,
      "center",
      ratio,
    );
    write(c, `force, ${yScale.unit}`, box.left + 5 * ratio, box.top + 11 * ratio, "left", ratio);
  }
}

function span(lists: readonly ArrayLike<number>[]): [number, number] | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (let i = 0; i < list.length; i++) {
      const value = list[i]!;
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!(low <= high)) return undefined;
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - room, high + room];
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

function frame(
  c: CanvasRenderingContext2D,
  box: Box,
  xs: readonly [number, number],
  ys: readonly [number, number],
  ratio: number,
) {
  const x = (v: number) => box.left + ((v - xs[0]) / (xs[1] - xs[0])) * (box.right - box.left);
  const y = (v: number) => box.bottom - ((v - ys[0]) / (ys[1] - ys[0])) * (box.bottom - box.top);
  c.strokeStyle = "#3a4048";
  c.lineWidth = ratio;
  c.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  return {
    x,
    y,
    marks(factor: number) {
      for (const mark of roundMarks(ys[0] * factor, ys[1] * factor, 4)) {
        c.fillStyle = "#2f343b";
        c.fillRect(box.left, y(mark / factor), box.right - box.left, ratio);
        write(c, shortNumber(mark), box.left - 5 * ratio, y(mark / factor) + 4 * ratio, "right", ratio);
      }
    },
  };
}

function write(
  c: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  align: CanvasTextAlign,
  ratio: number,
): void {
  c.font = `${11 * ratio}px Inter, 'Noto Sans', 'Liberation Sans', Arial, sans-serif`;
  c.fillStyle = "#a3abb5";
  c.textAlign = align;
  c.fillText(text, x, y);
}

function stroke(
  c: CanvasRenderingContext2D,
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  { x, y }: { x: (v: number) => number; y: (v: number) => number },
  hue: string,
  width: number,
): void {
  c.strokeStyle = hue;
  c.lineWidth = width;
  c.beginPath();
  let pen = false;
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(ys[i]) || !Number.isFinite(xs[i])) {
      pen = false;
      continue;
    }
    if (pen) c.lineTo(x(xs[i]!), y(ys[i]!));
    else c.moveTo(x(xs[i]!), y(ys[i]!));
    pen = true;
  }
  c.stroke();
}

customElements.define("op-curve", OpCurve);

declare global {
  interface HTMLElementTagNameMap {
    "op-curve": OpCurve;
  }
}
