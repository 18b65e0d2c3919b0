/**
 * What the plots of curves that come again and again have in common (half cycles, spectra): the newest bright, earlier
 * ones as ghosts that fade, one of them picked by pointer or by key and named. Marks at the axes stand where there is room
 * for them; opened, the numbers of each point.
 */
import { css, html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from "lit";
import { againstStyles } from "./against-view.ts";
import type { Ms } from "./client/types.ts";
import { DrawnView } from "./drawn-view.ts";
import { largerButton } from "./larger-button.ts";
import { equalSpans, hasRoom, marksBelow, marksLeft, plane, spanOf, stroke, write, type Box, type Plane, type Span } from "./plot-frame.ts"; // prettier-ignore
import { decadeName, readableScale, shortNumber, type Scale } from "./readable-numbers.ts";
import { whenOf, momentOf } from "./row-feed.ts";
import { cleared } from "./row-view.ts";
import { roundMarks } from "./steady-range.ts";

export interface Member {
  /** Half cycle, spectrum: the same in all plots of one view. */
  readonly key: number;
  /** "cycle 3, charge: 1.234 mAh" */
  readonly name: string;
  /** Beside the numbers of one point; default `name`. */
  readonly short?: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  /** Standard error of y. */
  readonly error?: ArrayLike<number>;
  readonly hue: string;
  /** 0 of the newest, 1 of the one before … */
  readonly age: number;
  /** Points beside the line, and no line through them, where a fit is the line. */
  readonly dots?: boolean;
  readonly line?: boolean;
  /** Kept in view by a person. */
  readonly pinned?: boolean;
}

export interface Quantity {
  readonly name: string;
  readonly unit: string;
  /** Other than by the unit's own prefixes. */
  readonly scale?: Scale;
  /** The values are decimal logarithms of what the marks say. */
  readonly log?: boolean;
  readonly span?: Span;
}

/** One of the plots of a view, above one another. */
export interface Family {
  readonly members: readonly Member[];
  readonly x: Quantity;
  readonly y: Quantity;
  /** A unit of x is as long as one of y. */
  readonly equal?: boolean;
  /** A line at y = 0. */
  readonly zero?: boolean;
  /** On top of the curves. */
  readonly decorate?: (c: CanvasRenderingContext2D, on: Plane, picked: Member | undefined) => void;
}

/** A pointer further than this from any point is at none, CSS pixels. */
const NEAR_px = 24;

export const familyStyles = [
  ...againstStyles,
  css`
    h2 {
      flex: none;
    }
    .said {
      text-align: right;
      font-size: 12px;
    }
    .age {
      color: var(--amber);
    }
    .age:empty {
      display: none;
    }
    select {
      font: inherit;
      font-size: 12px;
      color: var(--text);
      background: var(--ground);
      border: 1px solid var(--line);
      border-radius: 3px;
    }
  `,
];

export abstract class FamilyView extends DrawnView {
  static override properties: PropertyDeclarations = {
    ...DrawnView.properties,
    large: { type: Boolean, reflect: true },
    pinned: { state: true },
  };
  /** Opened: as large as the page has room for. */
  declare large: boolean;
  /** The first stay in view. */
  declare pinned: boolean;

  static override styles = familyStyles;

  readonly heavy = true;
  #plots: { family: Family; on: Plane }[] = [];
  /** Picked by pointer or by key. */
  #picked: number | undefined;
  /** Which point of it the pointer is at. */
  #at: { plot: number; point: number } | undefined;

  constructor() {
    super();
    this.large = false;
    this.pinned = false;
  }

  protected abstract readonly heading: string;
  /** Of this stream the age is shown. */
  protected abstract readonly stream: string;
  /** What is drawn of a moment; undefined stands for now. */
  protected abstract families(moment: Ms | undefined): readonly Family[];
  /** What is said where nothing is picked. */
  protected abstract said(families: readonly Family[]): string;
  /** Buttons and lists of the opened view. */
  protected tools(): TemplateResult | typeof nothing {
    return this.pinButton("first");
  }
  protected get nothingYet(): string {
    return "none yet";
  }
  /** There are rows that have been asked for and are not here yet. */
  protected get asking(): boolean {
    return false;
  }
  /** Begins and ends the feeds. */
  protected abstract feed(): () => void;

  protected pinButton(label: string): TemplateResult {
    return html`<button
      aria-pressed=${this.pinned}
      aria-label="Keep the first in view"
      title="Keep the first in view"
      @click=${() => (this.pinned = !this.pinned)}
    >
      ${label}
    </button>`;
  }

  override render() {
    const { heading, large } = this;
    return html`
      <header>
        <h2>${heading}</h2>
        <span class="said"></span>
        <span class="age"></span>
        ${large ? this.tools() : nothing} ${largerButton(this, heading)}
      </header>
      <div
        class="picture"
        role="img"
        tabindex=${large ? 0 : -1}
        @click=${() => large || this.dispatchEvent(new CustomEvent("open"))}
        @keydown=${(event: KeyboardEvent) => this.#key(event)}
      >
        <canvas></canvas>
      </div>
    `;
  }

  protected override get drawn(): Element {
    return this.renderRoot.querySelector(".picture")!;
  }

  protected open(): (() => void)[] {
    const { page } = this;
    const picture = this.renderRoot.querySelector<HTMLElement>(".picture")!;
    const move = (event: PointerEvent): void => this.#pointed(event);
    const leave = (): void => this.#pick(undefined, undefined);
    picture.addEventListener("pointermove", move);
    picture.addEventListener("pointerleave", leave);
    return [
      this.feed(),
      () => picture.removeEventListener("pointermove", move),
      () => picture.removeEventListener("pointerleave", leave),
      page.axis.onChange((change) => void (change !== "time" && this.invalidate())),
      page.onTick(() => this.#tellAge()),
    ];
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!this.hasUpdated) return;
    this.invalidate();
    if (changed.has("large")) void this.updateComplete.then(() => this.scrollIntoView({ block: "nearest" }));
  }

  /** Something has come from a feed. */
  protected readonly received = (newest: Ms): void => {
    this.page.received(newest);
    this.invalidate();
  };

  draw(): void {
    const { c, width, height, ratio } = cleared(this.renderRoot.querySelector("canvas")!);
    const families = this.families(momentOf(this.page.axis));
    this.#plots = [];
    const filled = families.filter(({ members }) => members.some(({ x }) => x.length > 0));
    if (filled.length === 0) {
      const entry = this.page.client.catalogue.get(this.stream);
      write(
        c,
        (entry?.rows ?? 0) > 0 && this.asking ? "asking for its history" : this.nothingYet,
        width / 2,
        height / 2,
        "center",
        ratio,
      );
      return this.#tell(families);
    }
    const marked = hasRoom(width, height / filled.length, ratio);
    const gap = (marked ? 8 : 3) * ratio;
    const below = marked ? 30 * ratio : ratio;
    const each = (height - below - ratio - gap * (filled.length - 1)) / filled.length;
    filled.forEach((family, i) => {
      const top = (marked ? 4 : 1) * ratio + i * (each + gap);
      const box: Box = marked
        ? { left: 52 * ratio, right: width - 8 * ratio, top, bottom: top + each - 4 * ratio }
        : { left: ratio, right: width - ratio, top, bottom: top + each };
      this.#drawPlot(c, family, box, { ratio, marked, last: i === filled.length - 1 });
    });
    this.#tell(families);
  }

  #drawPlot(
    c: CanvasRenderingContext2D,
    family: Family,
    box: Box,
    { ratio, marked, last }: { ratio: number; marked: boolean; last: boolean },
  ): void {
    const { members } = family;
    const xs =
      family.x.span ??
      spanOf(
        members.map(({ x }) => x),
        0.04,
      );
    const ys =
      family.y.span ??
      spanOf(
        members.map(({ y }) => y),
        0.08,
      );
    if (!xs || !ys) return write(c, this.nothingYet, (box.left + box.right) / 2, (box.top + box.bottom) / 2, "center", ratio); // prettier-ignore
    const [xsDrawn, ysDrawn] = family.equal ? equalSpans(box, xs, ys) : [xs, ys];
    const on = plane(c, box, xsDrawn, ysDrawn, ratio);
    this.#plots.push({ family, on });
    const [xScale, yScale] = [scaleOf(family.x, xsDrawn), family.equal ? scaleOf(family.x, xsDrawn) : scaleOf(family.y, ysDrawn)]; // prettier-ignore
    if (marked) {
      const rows = Math.max(2, Math.floor((box.bottom - box.top) / (30 * ratio)));
      if (family.y.log) decadesLeft(c, on, family.y.unit);
      else marksLeft(c, on, yScale.factor, rows);
      if (family.x.log) decadesBelow(c, on, family.x.unit, last);
      else if (last) marksBelow(c, on, xScale.factor, { wanted: Math.max(3, Math.floor((box.right - box.left) / (70 * ratio))), lines: true }); // prettier-ignore
    }
    c.save();
    c.beginPath();
    c.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    c.clip();
    if (family.zero) {
      c.fillStyle = "#4a515a";
      c.fillRect(box.left, on.y(0), box.right - box.left, ratio);
    }
    const picked = members.find(({ key }) => key === this.#picked);
    for (const member of members) if (member !== picked) this.#drawMember(c, on, member, false);
    if (picked) for (const member of members) if (member.key === picked.key) this.#drawMember(c, on, member, true); // prettier-ignore
    family.decorate?.(c, on, picked);
    c.restore();
    if (!marked) return;
    const name = ({ name: of, unit, log }: Quantity, scale: Scale) =>
      log || (scale.unit === "" && unit === "") ? of : `${of}${scale.unit && `, ${scale.unit}`}`;
    if (last) write(c, name(family.x, xScale), (box.left + box.right) / 2, box.bottom + 27 * ratio, "center", ratio); // prettier-ignore
    const text = name(family.y, yScale);
    c.font = `${11 * ratio}px sans-serif`;
    c.fillStyle = "#22252ad0";
    c.fillRect(box.left + 2 * ratio, box.top + ratio, c.measureText(text).width + 10 * ratio, 14 * ratio);
    write(c, text, box.left + 5 * ratio, box.top + 11 * ratio, "left", ratio);
  }

  #drawMember(c: CanvasRenderingContext2D, on: Plane, member: Member, picked: boolean): void {
    const { x, y, error, age, hue, dots, line = true, pinned } = member;
    const { ratio } = on;
    const newest = age === 0;
    c.globalAlpha = picked || newest ? 1 : pinned ? 0.75 : Math.max(0.16, 0.62 * 0.78 ** (age - 1));
    const shown = picked ? "#ffffff" : pinned && !newest ? "#e4e6e9" : hue;
    // One standard error to either side, of the one that is looked at.
    if (error && (newest || picked)) {
      c.fillStyle = `${hue}40`;
      for (const [from, to] of runs(x, y, error)) {
        c.beginPath();
        for (let i = from; i <= to; i++) c.lineTo(on.x(x[i]!), on.y(y[i]! + error[i]!));
        for (let i = to; i >= from; i--) c.lineTo(on.x(x[i]!), on.y(y[i]! - error[i]!));
        c.fill();
      }
    }
    if (line) stroke(c, x, y, on, shown, (picked || newest ? 1.8 : 1.1) * ratio);
    if (dots) {
      const size = (picked || newest ? 4 : 2.6) * ratio * (this.large ? 1 : 0.7);
      c.fillStyle = shown;
      for (let i = 0; i < x.length; i++)
        c.fillRect(on.x(x[i]!) - size / 2, on.y(y[i]!) - size / 2, size, size);
    }
    c.globalAlpha = 1;
  }

  #tell(families: readonly Family[]): void {
    const all = families.flatMap(({ members }) => members);
    const picked = all.find(({ key }) => key === this.#picked);
    const plot = this.#at && this.#plots[this.#at.plot];
    const at = plot?.family.members.find(({ key }) => key === this.#picked);
    let text = picked ? picked.name : all.length > 0 ? this.said(families) : "";
    if (picked && at && plot && this.#at && this.large)
      text = `${at.short ?? at.name}; ${this.readPoint(plot.family, at, this.#at.point)}`;
    const said = this.renderRoot.querySelector<HTMLElement>(".said")!;
    if (said.textContent !== text) said.textContent = said.title = text;
    const label = text === "" ? this.heading : `${this.heading}, ${text}`;
    const picture = this.renderRoot.querySelector(".picture")!;
    if (picture.getAttribute("aria-label") !== label) picture.setAttribute("aria-label", label);
    this.#tellAge();
  }

  /** The numbers of one point. */
  protected readPoint({ x, y }: Family, { x: xs, y: ys }: Member, at: number): string {
    const one = (of: Quantity, value: number): string => {
      const plain = of.log ? 10 ** value : value;
      const { factor, unit } = of.scale ?? readableScale(of.unit, Math.abs(plain));
      return `${shortNumber(plain * factor, 4)}${unit && ` ${unit}`}`;
    };
    return `${one(y, ys[at]!)} at ${one(x, xs[at]!)}`;
  }

  #tellAge(): void {
    const entry = this.page.client.catalogue.get(this.stream);
    const { state } = entry ? whenOf(this.page, this.stream, entry.lastTime) : { state: "waiting" as const };
    this.toggleAttribute("stale", state === "stale");
    const place = this.renderRoot.querySelector<HTMLElement>(".age")!;
    const text = state === "late" || state === "stale" ? state : "";
    if (place.textContent !== text) place.textContent = text;
  }

  #pick(key: number | undefined, at: { plot: number; point: number } | undefined): void {
    if (key === this.#picked && at?.point === this.#at?.point && at?.plot === this.#at?.plot) return;
    this.#picked = key;
    this.#at = at;
    this.invalidate();
  }

  #pointed({ clientX, clientY }: PointerEvent): void {
    const { left, top } = this.renderRoot.querySelector(".picture")!.getBoundingClientRect();
    let best = NEAR_px;
    let found: { key: number; plot: number; point: number } | undefined;
    this.#plots.forEach(({ family, on }, plot) => {
      const [px, py] = [(clientX - left) * on.ratio, (clientY - top) * on.ratio];
      for (const { key, x, y } of family.members) {
        for (let i = 0; i < x.length; i++) {
          const distance = Math.hypot(on.x(x[i]!) - px, on.y(y[i]!) - py) / on.ratio;
          if (distance >= best) continue;
          best = distance;
          found = { key, plot, point: i };
        }
      }
    });
    this.#pick(found?.key, found);
  }

  /** From curve to curve, the newest first. */
  #key(event: KeyboardEvent): void {
    if (!this.large || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = [...new Set(this.#plots.flatMap(({ family }) => family.members.map(({ key }) => key)))].sort((a, b) => a - b); // prettier-ignore
    const at = this.#picked === undefined ? keys.length : keys.indexOf(this.#picked);
    const next = { ArrowUp: at - 1, ArrowLeft: at - 1, ArrowDown: at + 1, ArrowRight: at + 1, Home: 0, End: keys.length - 1 }[event.key]; // prettier-ignore
    if (event.key === "Escape" && this.#picked !== undefined) this.#pick(undefined, undefined);
    else if (next !== undefined && keys.length > 0)
      this.#pick(keys[Math.min(keys.length - 1, Math.max(0, next))], undefined); // prettier-ignore
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const scaleOf = ({ unit, scale, log }: Quantity, [low, high]: Span): Scale =>
  log ? { factor: 1, unit: "" } : (scale ?? readableScale(unit, Math.max(Math.abs(low), Math.abs(high))));

/** Where both the value and its error are known. */
function runs(x: ArrayLike<number>, y: ArrayLike<number>, error: ArrayLike<number>): [number, number][] {
  const found: [number, number][] = [];
  let from = -1;
  for (let i = 0; i <= x.length; i++) {
    const known = i < x.length && Number.isFinite(y[i]! + error[i]!);
    if (known && from < 0) from = i;
    if (!known && from >= 0) {
      found.push([from, i - 1]);
      from = -1;
    }
  }
  return found;
}

function decadesBelow(c: CanvasRenderingContext2D, { box, x, xs, ratio }: Plane, unit: string, named: boolean): void {
  const every = Math.ceil(((xs[1] - xs[0]) * 60 * ratio) / (box.right - box.left));
  for (let n = Math.ceil(xs[0] / every) * every; n <= xs[1]; n += every) {
    c.fillStyle = "#2f343b";
    c.fillRect(x(n), box.top, ratio, box.bottom - box.top);
    if (named) write(c, decadeName(n, unit), x(n), box.bottom + 13 * ratio, "center", ratio);
  }
} // prettier-ignore

/** Decades; where there is hardly one, round numbers. */
function decadesLeft(c: CanvasRenderingContext2D, { box, y, ys, ratio }: Plane, unit: string): void {
  const room = Math.max(2, Math.floor((box.bottom - box.top) / (26 * ratio)));
  const every = Math.ceil((ys[1] - ys[0]) / room);
  const decades: number[] = [];
  for (let n = Math.ceil(ys[0] / every) * every; n <= ys[1]; n += every) decades.push(n);
  const marks = decades.length > 1 ? decades : roundMarks(10 ** ys[0], 10 ** ys[1], room).map((value) => Math.log10(value)); // prettier-ignore
  for (const mark of marks) {
    c.fillStyle = "#2f343b";
    c.fillRect(box.left, y(mark), box.right - box.left, ratio);
    write(c, decadeName(mark, unit), box.left - 5 * ratio, y(mark) + 4 * ratio, "right", ratio);
  }
}
