/**
 * What the views of single rows (images, force curves) have in common: the feed of one stream, drawing when something
 * has changed and is in sight, and the age of what is on show.
 */
import { css, type PropertyDeclarations } from "lit";
import { pixelRatio } from "./device-pixels.ts";
import { DrawnView } from "./drawn-view.ts";
import { momentOf, RowFeed, whenOf, type Row } from "./row-feed.ts";
import { parts } from "./theme.ts";

/** What a panel of rows says of itself. */
export interface RowPanel {
  readonly id: string;
  readonly title: string;
  readonly stream: string;
}

export const rowViewStyles = [
  parts,
  css`
    :host {
      display: flex;
      flex-direction: column;
      background: var(--panel);
      min-height: 0;
      padding: 4px 8px 6px;
      contain: strict;
    }
    header {
      display: flex;
      justify-content: space-between;
      gap: 8px;
      white-space: nowrap;
      overflow: hidden;
    }
    .picture {
      flex: 1;
      min-height: 0;
      position: relative;
      margin-top: 3px;
    }
    .picture canvas {
      position: absolute;
      inset: 0;
      width: 100%;
      height: 100%;
    }
    h2 {
      overflow: hidden;
      text-overflow: ellipsis;
    }
    .age {
      color: var(--quiet);
      overflow: hidden;
      text-overflow: ellipsis;
    }
    .age.late {
      color: var(--amber);
    }
    .empty {
      position: absolute;
      inset: 0;
      display: grid;
      place-items: center;
      color: var(--quiet);
    }
    .empty[hidden] {
      display: none;
    }
  `,
];

/** An element with a `.picture` that holds a canvas and an `.empty`, and with an `.age`. */
export abstract class RowView<P extends RowPanel> extends DrawnView {
  static override properties: PropertyDeclarations = {
    ...DrawnView.properties,
    panel: { attribute: false },
  };
  declare panel: P;

  readonly heavy = true;
  protected feed: RowFeed | undefined;
  /** The row that was drawn last. */
  protected shown: Row | undefined;

  /** Columns that the view wants of its stream. */
  protected abstract columns(): readonly string[];
  protected abstract paint(row: Row | undefined): void;

  /** Where the rows come from. */
  protected openFeed(onData: (newest: number) => void): RowFeed {
    const { page, panel } = this;
    return new RowFeed({
      client: page.client,
      axis: page.axis,
      stream: panel.stream,
      columns: this.columns(),
      onData,
    });
  }

  protected override get drawn(): Element {
    return this.renderRoot.querySelector(".picture")!;
  }

  protected open(): (() => void)[] {
    const { page } = this;
    this.openRows();
    return [
      page.axis.onChange((change) => void (change !== "time" && this.invalidate())),
      page.onTick(() => this.tell()),
      () => {
        this.feed?.close();
        this.feed = undefined;
      },
    ];
  }

  /** Begins anew with other rows. */
  protected openRows(): void {
    this.feed?.close();
    this.feed = this.openFeed((newest) => {
      this.page.received(newest);
      this.invalidate();
    });
  }

  draw(): void {
    this.shown = this.feed?.shown(momentOf(this.page.axis));
    this.renderRoot.querySelector<HTMLElement>(".empty")!.hidden = this.shown !== undefined;
    this.paint(this.shown);
    this.tell();
  }

  /** The texts beside the picture, five times a second. */
  protected tell(): void {
    const row = this.shown;
    const { text, state } = row
      ? whenOf(this.page, this.panel.stream, row.time)
      : { text: "", state: "waiting" };
    this.renderRoot.querySelector(".age")!.classList.toggle("late", state === "late" || state === "stale");
    this.toggleAttribute("stale", state === "stale");
    const dropped = this.feed?.dropped ?? 0;
    const skipped = dropped > 0 && state === "fresh" && text.endsWith("ago") ? `, ${dropped} skipped` : "";
    this.say(".age", text + skipped);
  }

  /** Changes a text only where it is another. */
  protected say(selector: string, text: string): void {
    const place = this.renderRoot.querySelector<HTMLElement>(selector)!;
    if (place.textContent !== text) place.textContent = text;
  }

  /** The canvas, as fine as the screen, and cleared. */
  protected canvas(): { c: CanvasRenderingContext2D; width: number; height: number; ratio: number } {
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>(".picture canvas")!;
    return cleared(canvas);
  }
}

export function cleared(canvas: HTMLCanvasElement): {
  c: CanvasRenderingContext2D;
  width: number;
  height: number;
  ratio: number;
} {
  const ratio = pixelRatio();
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const c = canvas.getContext("2d")!;
  c.clearRect(0, 0, width, height);
  return { c, width, height, ratio };
}
