/** The page: decides from the catalogue what stands where, hands out the parts that all share, and hears the keys. */
import { css, html, LitElement, type PropertyValues } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { AlarmLog, type Onset } from "./alarm-log.ts";
import type { Client, Ms, StreamEntry, Subscription } from "./client/types.ts";
import type { CyclePanels } from "./cycle-panels.ts";
import { EventClock } from "./event-clock.ts";
import { StreamAges } from "./freshness.ts";
import { FrameLoop } from "./frame-loop.ts";
import type { ImagePanel } from "./image-panels.ts";
import { LatestValues } from "./latest-values.ts";
import { PRESET_KEYS } from "./op-overview.ts";
import type { Page } from "./page.ts";
import {
  choose,
  isHousekeeping,
  isScore,
  sourcesOf,
  type Choice,
  type Panel,
  type Source,
} from "./panels.ts";
import type { PixelPick } from "./pixel-curve.ts";
import { RegionList } from "./region-trace.ts";
import { alarmName, runName, runOrigin } from "./run-name.ts";
import { parts, theme } from "./theme.ts";
import { HOUR, MINUTE, TimeAxis, type View } from "./time-axis.ts";
import { curvesBehind, type Behind } from "./wiring.ts";
import "./op-against.ts";
import "./op-alarm-strip.ts";
import "./op-curve.ts";
import "./op-drift.ts";
import "./op-efficiency.ts";
import "./op-event-lane.ts";
import "./op-header.ts";
import "./op-help.ts";
import "./op-image.ts";
import "./op-impedance.ts";
import "./op-incremental.ts";
import "./op-panel-list.ts";
import "./op-region.ts";
import "./op-streams.ts";
import "./op-tomography.ts";
import "./op-trace.ts";
import "./op-veil.ts";
import "./op-voltage-capacity.ts";

/**
 * Dispatched after a frame has been painted: `time` is that of the newest row that had been handed to an element when
 * it was drawn, `at` the clock, both ms since 1970.
 */
export interface Painted {
  readonly time: Ms;
  readonly at: Ms;
}

type Sheet = "health" | "panels";

/** In the list of panels, where nothing is drawn against anything from the start. */
const AGAINST = { id: "against", title: "one column against another" } as const;

export class OpApp extends LitElement {
  static override properties = {
    client: { attribute: false },
    choice: { state: true },
    sources: { state: true },
    chosen: { state: true },
    sheet: { state: true },
    helping: { state: true },
    onsets: { state: true },
    standing: { state: true },
    simulated: { state: true },
    picked: { state: true },
    opened: { state: true },
  };
  declare client: Client;
  declare choice: Choice;
  declare sources: readonly Source[];
  /** Panels that were ticked in the list. */
  declare chosen: ReadonlySet<string>;
  declare sheet: Sheet | undefined;
  declare helping: boolean;
  declare onsets: readonly Onset[];
  declare standing: readonly Onset[];
  declare simulated: boolean;
  /** The pixel of a map whose curve is shown. */
  declare picked: PixelPick | undefined;
  /** The plot that is shown large. */
  declare opened: string | undefined;

  static override styles = [
    theme,
    parts,
    css`
      :host {
        display: flex;
        flex-direction: column;
        height: 100vh;
        height: 100dvh;
        background: var(--ground);
        overflow: hidden;
      }
      main {
        flex: 1;
        min-height: 0;
        display: grid;
        grid-template-columns: minmax(0, 3fr) minmax(0, 2fr);
        gap: 4px;
        padding: 4px 4px 0;
      }
      .traces {
        display: flex;
        flex-direction: column;
        gap: 3px;
        min-height: 0;
        overflow-y: auto;
      }
      .traces op-trace {
        flex: 1 1 110px;
        min-height: 96px;
      }
      .traces op-trace:first-of-type {
        flex: 1.45 1 150px;
      }
      .traces op-region {
        flex: 1 1 120px;
        min-height: 104px;
      }
      op-event-lane {
        flex: none;
      }
      .views {
        display: flex;
        flex-direction: column;
        gap: 4px;
        min-height: 0;
        overflow-y: auto;
      }
      .pictures {
        flex: 1;
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        grid-auto-rows: minmax(180px, 1fr);
        gap: 4px;
      }
      .views op-trace {
        flex: 0 0 168px;
      }
      .views .alone {
        grid-column: 1 / -1;
      }
      .pictures > op-tomography {
        min-height: 220px;
      }
      .pictures > .high {
        grid-row: span 2;
      }
      /* Small plots: side by side below the pictures, or above one another where the pictures leave a place. */
      .plots {
        flex: none;
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
        min-height: 0;
      }
      .plots > * {
        flex: 1 1 170px;
        height: 92px;
      }
      .plots > [large] {
        flex-basis: 100%;
        height: 330px;
      }
      /* Without pictures the plots have their place. */
      .pictures[hidden] {
        display: none;
      }
      .plots.only {
        flex: 1 1 0;
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        grid-auto-rows: minmax(120px, 1fr);
      }
      .plots.only > * {
        height: auto;
      }
      .plots.only > [large] {
        grid-column: 1 / -1;
        grid-row: span 2;
        min-height: 330px;
        order: -1;
      }
      .plots.only:not(.open) > :last-child:nth-child(odd),
      .plots.only.open > :last-child:nth-child(even) {
        grid-column: 1 / -1;
      }
      .pictures > .plots {
        flex-direction: column;
        flex-wrap: nowrap;
      }
      .pictures > .plots > * {
        flex: 1 1 60px;
        height: auto;
        min-height: 60px;
      }
      .pictures > .plots.open {
        grid-column: 1 / -1;
        grid-row: span 2;
      }
      .pictures > .plots > [large] {
        flex-grow: 6;
      }
      .empty {
        align-self: center;
        text-align: center;
        color: var(--quiet);
        padding: 40px;
      }
      .sheet {
        flex: none;
        max-height: 38vh;
        margin: 4px 4px 0;
      }
      footer {
        position: relative;
        flex: none;
        margin-top: 4px;
        display: flex;
        background: var(--panel);
        border-top: 1px solid var(--line);
      }
      footer op-overview {
        flex: 1;
        min-width: 0;
        border: 0;
      }
      .keys {
        display: grid;
        grid-template-columns: auto auto;
        gap: 4px;
        align-content: center;
        padding-right: 12px;
      }
      .own {
        flex: none;
        background: var(--panel);
        padding: 5px 10px;
      }
      .own code {
        background: var(--ground);
        padding: 1px 6px;
        border-radius: 3px;
      }
      @media (max-width: 820px) {
        :host {
          height: auto;
          min-height: 100dvh;
          overflow: visible;
        }
        main {
          grid-template-columns: minmax(0, 1fr);
        }
        .traces,
        .views {
          overflow: visible;
        }
        .traces op-trace,
        .traces op-trace:first-of-type,
        .traces op-region,
        .views op-trace {
          flex: none;
          height: 170px;
        }
        .pictures {
          grid-auto-rows: 240px;
        }
        op-header,
        op-alarm-strip,
        footer {
          order: -1;
        }
        footer {
          flex-wrap: wrap;
        }
        footer op-overview {
          flex-basis: 100%;
        }
        .keys {
          padding: 0 8px 6px;
        }
      }
      @media (max-width: 480px) {
        .pictures {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];

  readonly axis = new TimeAxis();
  readonly loop = new FrameLoop();
  #page: Page | undefined;
  #alarms = new AlarmLog();
  readonly #alarmStreams = new Map<string, Subscription>();
  readonly #ticks = new Set<() => void>();
  readonly #alarmListeners = new Set<() => void>();
  #stops: (() => void)[] = [];
  #catalogueKey = "";
  /** What the pixels of maps stand for, by the image's id. */
  #behind: ReadonlyMap<string, Behind> = new Map();
  #directory = "";
  /** Somebody has chosen a view. */
  #touched = false;
  #received: Ms = NaN;
  #remembering: ReturnType<typeof setTimeout> | undefined;
  readonly #afterPaint = new MessageChannel();

  constructor() {
    super();
    this.chosen = new Set();
    this.helping = false;
    this.simulated = false;
    this.onsets = [];
    this.standing = [];
    this.sources = [];
    this.choice = choose(new Map());
  }

  override render() {
    const page = this.#page;
    if (!page) return html``;
    const { choice, chosen } = this;
    const more = [
      ...choice.drifts.slice(1),
      ...this.#cyclic.filter(({ shown }) => !shown).map(({ panel }) => panel),
      ...(choice.against || choice.columns.length === 0 ? [] : [AGAINST]),
    ];
    const offered = [...choice.more, ...choice.moreTomographies, ...choice.moreImages, ...more];
    const tomographies = [
      ...(choice.tomography ? [choice.tomography] : []),
      ...choice.moreTomographies.filter(({ id }) => chosen.has(id)),
    ];
    const traces = [...choice.panels, ...choice.more.filter(({ id }) => chosen.has(id))];
    const images = [...choice.images, ...choice.moreImages.filter(({ id }) => chosen.has(id))];
    // A pixel's curve has a place even where the page shows none by itself.
    const curve = choice.curve ?? this.picked?.behind.fits ?? this.picked?.behind.curves;
    const plots = this.#plots(page);
    // Small plots fill the place that is left; where there are none, the first picture takes it too.
    const left = (images.length + (curve ? 1 : 0)) % 2 === 1;
    const odd = left && (plots === undefined || this.opened !== undefined);
    return html`
      <op-header .page=${page} .choice=${choice} .sources=${this.sources}></op-header>
      <op-alarm-strip
        .page=${page}
        .standing=${this.standing}
        @evidence=${() => this.#showEvidence()}
      ></op-alarm-strip>
      <main>
        <section class="traces" aria-label="Traces on one time axis">
          <op-event-lane
            .page=${page}
            .onsets=${this.onsets}
            @evidence=${(event: CustomEvent<Onset>) => this.#showEvidence(event.detail)}
          ></op-event-lane>
          ${repeat(traces, panelKey, (panel, i) => this.#trace(page, panel, i === traces.length - 1))}
          ${repeat(
            page.regions.all,
            (trace) => trace,
            (trace) => html`<op-region .page=${page} .trace=${trace}></op-region>`,
          )}
          ${traces.length === 0 ? html`<p class="empty">Waiting for the first stream.</p>` : ""}
        </section>
        <section class="views" aria-label="Images, curves and scores">
          <div class="pictures" ?hidden=${!this.#pictured && !this.picked}>
            ${repeat(
              tomographies,
              ({ id, planes }) => [id, ...planes.map((plane) => plane.id)].join(),
              (panel) =>
                html`<op-tomography
                  class=${panel.planes.length > 1 ? "alone high" : "alone"}
                  .page=${page}
                  .panel=${panel}
                  .charge=${choice.charge}
                  .voltage=${choice.voltage}
                ></op-tomography>`,
            )}
            ${repeat(
              images,
              ({ id }) => id,
              (panel, i) =>
                html`<op-image
                  class=${odd && i === 0 ? "alone" : ""}
                  .page=${page}
                  .panel=${panel}
                  .voltage=${choice.voltage}
                  .behind=${this.#behind.get(panel.id)}
                  .picked=${this.picked?.panel.id === panel.id ? this.picked : undefined}
                  @pick=${(event: CustomEvent<PixelPick>) => (this.picked = event.detail)}
                ></op-image>`,
            )}
            ${
              curve
                ? repeat(
                    [curve],
                    ({ id }) => id,
                    (panel) =>
                      html`<op-curve
                        class=${odd && images.length === 0 ? "alone" : ""}
                        .page=${page}
                        .panel=${panel}
                        .pick=${this.picked}
                        @release=${() => (this.picked = undefined)}
                      ></op-curve>`,
                  )
                : ""
            }
            ${left ? plots : ""}
          </div>
          ${left ? "" : plots} ${repeat(choice.scores, panelKey, (panel) => this.#trace(page, panel, true))}
          ${this.simulated ? html`<div class="own">Now your own files: <code>operando inspect FILE</code>, then <code>operando run examples/real-cell.yaml</code></div>` : ""}
        </section>
      </main>
      ${this.sheet === "health" ? html`<op-streams class="sheet" .page=${page}></op-streams>` : ""}
      ${
        this.sheet === "panels"
          ? html`<op-panel-list
              class="sheet"
              .offered=${offered}
              .chosen=${chosen}
              @choose=${(event: CustomEvent<string>) => this.#toggle(event.detail)}
            ></op-panel-list>`
          : ""
      }
      <footer>
        <op-overview .page=${page} .trace=${choice.overview}></op-overview>
        <div class="keys">
          <button aria-expanded=${this.sheet === "panels"} @click=${() => this.#open("panels")}>
            Panels <kbd>+</kbd>
          </button>
          <button aria-expanded=${this.sheet === "health"} @click=${() => this.#open("health")}>
            Health <kbd>H</kbd>
          </button>
          <button
            style="grid-column: 1 / -1"
            aria-expanded=${this.helping}
            @click=${() => (this.helping = !this.helping)}
          >
            Keys <kbd>?</kbd>
          </button>
        </div>
      </footer>
      ${this.helping ? html`<op-help></op-help>` : ""}
      <op-veil .page=${page}></op-veil>
    `;
  }

  /** Something besides traces and plots stands on the page. */
  get #pictured(): boolean {
    const { tomography, images, curve } = this.choice;
    return tomography !== undefined || images.length > 0 || curve !== undefined;
  }

  /** Views of cycles, and whether they are shown from the start: beside pictures V against Q alone, else one of each. */
  get #cyclic(): { readonly kind: keyof CyclePanels; readonly panel: CyclePanel; readonly shown: boolean }[] {
    const { cyclic } = this.choice;
    const kinds = ["capacity", "incremental", "impedance", "efficiency"] as const;
    return kinds.flatMap((kind) =>
      cyclic[kind].map((panel, i) => ({
        kind, panel, shown: i === 0 && (kind === "capacity" || !this.#pictured),
      })),
    ); // prettier-ignore
  }

  #plots(page: Page) {
    const { choice, chosen, opened } = this;
    const drifts = choice.drifts.filter(({ id }, i) => i === 0 || chosen.has(id));
    const against = choice.columns.length > 0 && (choice.against !== undefined || chosen.has(AGAINST.id));
    const cyclic = this.#cyclic.filter(({ panel, shown }) => shown || chosen.has(panel.id));
    if (drifts.length === 0 && !against && cyclic.length === 0) return undefined;
    const open = (id: string) => () => (this.opened = opened === id ? undefined : id);
    return html`<div class="plots ${opened === undefined ? "" : "open"} ${this.#pictured ? "" : "only"}">
      ${repeat(
        cyclic,
        ({ panel }) => panel.id,
        ({ kind, panel }) => this.#cycleView(page, kind, panel, open(panel.id)),
      )}
      ${repeat(
        drifts,
        ({ id, x, y }) => [id, x.column, y.column].join(),
        (panel) =>
          html`<op-drift
            .page=${page}
            .panel=${panel}
            ?large=${opened === panel.id}
            @open=${open(panel.id)}
          ></op-drift>`,
      )}
      ${
        against
          ? html`<op-against
              .page=${page}
              .offered=${choice.columns}
              .first=${choice.against}
              ?large=${opened === AGAINST.id}
              @open=${open(AGAINST.id)}
            ></op-against>`
          : ""
      }
    </div>`;
  }

  #cycleView(page: Page, kind: keyof CyclePanels, panel: CyclePanel, open: () => void) {
    const large = this.opened === panel.id;
    switch (kind) {
      case "capacity":
        return html`<op-voltage-capacity .page=${page} .panel=${panel} ?large=${large} @open=${open}></op-voltage-capacity>`;
      case "incremental":
        return html`<op-incremental .page=${page} .panel=${panel} ?large=${large} @open=${open}></op-incremental>`;
      case "impedance":
        return html`<op-impedance .page=${page} .panel=${panel} ?large=${large} @open=${open}></op-impedance>`;
      case "efficiency":
        return html`<op-efficiency .page=${page} .panel=${panel} ?large=${large} @open=${open}></op-efficiency>`;
    }
  } // prettier-ignore

  #trace(page: Page, panel: Panel, showTime: boolean) {
    const removable = this.chosen.has(panel.id);
    return html`<op-trace
      .page=${page}
      .panel=${panel}
      .showTime=${showTime}
      .removable=${removable}
      @remove=${() => this.#toggle(panel.id)}
    ></op-trace>`;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const keys = (event: KeyboardEvent) => this.#key(event);
    const back = (event: PopStateEvent) => this.#recall(event.state as { view?: View } | null);
    window.addEventListener("keydown", keys);
    window.addEventListener("popstate", back);
    const timer = setInterval(() => this.#tick(), 200);
    this.#afterPaint.port1.onmessage = ({ data: time }: MessageEvent<Ms>) => {
      const detail: Painted = { time, at: performance.timeOrigin + performance.now() };
      this.dispatchEvent(new CustomEvent("painted", { detail, bubbles: true, composed: true }));
    };
    this.#stops = [
      () => window.removeEventListener("keydown", keys),
      () => window.removeEventListener("popstate", back),
      () => clearInterval(timer),
      this.axis.onChange((change) => void (change === "view" && this.#remember())),
      // A message posted within a frame is handled after the browser has painted it.
      this.loop.onDrawn(() => this.#afterPaint.port2.postMessage(this.#received)),
    ];
    this.#recall(history.state as { view?: View } | null);
    if (this.client && !this.#page) this.#begin();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const stop of this.#stops.splice(0)) stop();
    clearTimeout(this.#remembering);
    this.#end();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("client") && this.client && this.isConnected) {
      this.#end();
      this.#begin();
    }
  }

  #begin(): void {
    const { client, axis, loop } = this;
    const clock = new EventClock(client);
    const received = (time: Ms) => {
      if (Number.isNaN(time)) return;
      if (!(time <= this.#received)) this.#received = time;
      this.#moveOn(time);
    };
    this.#page = {
      client,
      axis,
      loop,
      clock,
      ages: new StreamAges(client, clock),
      alarms: this.#alarms,
      latest: new LatestValues(client, (time) => this.#moveOn(time)),
      regions: new RegionList(() => this.requestUpdate()),
      onTick: (listener) => {
        this.#ticks.add(listener);
        return () => void this.#ticks.delete(listener);
      },
      onAlarms: (listener) => {
        this.#alarmListeners.add(listener);
        return () => void this.#alarmListeners.delete(listener);
      },
      received,
    };
    this.#stops.push(client.onChange(() => this.#look()));
    this.#look();
  }

  #end(): void {
    for (const subscription of this.#alarmStreams.values()) subscription.close();
    this.#alarmStreams.clear();
    this.#page?.latest.close();
    this.#page = undefined;
    this.#alarms = new AlarmLog();
    this.#received = NaN;
    this.#catalogueKey = "";
    this.picked = undefined;
  }

  /** There are rows up to `time`, drawn or not. */
  #moveOn(time: Ms): void {
    this.#page!.clock.see(time);
    this.axis.advance(time);
  }

  /** After each change of the catalogue or the connection. */
  #look(): void {
    const { catalogue, connection, manifest } = this.client;
    const page = this.#page!;
    const { directory } = runName(manifest);
    // Another run at the same address: nothing on the page belongs to it.
    if (this.#directory !== "" && directory !== "" && directory !== this.#directory) return location.reload();
    this.#directory = directory;
    page.ages.look();
    for (const entry of catalogue.values()) {
      if (isHousekeeping(entry)) continue;
      const { firstTime, lastTime } = entry;
      if (Number.isFinite(firstTime)) this.axis.begin(firstTime);
      if (Number.isFinite(lastTime)) this.#moveOn(lastTime);
    }
    if (connection.state === "open") {
      this.simulated = connection.mode === "simulated";
      if (!this.#touched) this.#settle(connection.speed);
    }
    const key = [...catalogue.values()]
      .map(
        ({ stream, epoch, derived, schema }) =>
          `${stream}:${epoch}:${derived}:${Object.keys(schema.fields).join()}`,
      )
      .join("\n");
    if (key === this.#catalogueKey) return;
    this.#catalogueKey = key;
    const choice = choose(catalogue);
    const maps = [...choice.images, ...choice.moreImages].flatMap((panel: ImagePanel): [string, Behind][] => {
      const behind = curvesBehind(panel, catalogue, manifest);
      return behind ? [[panel.id, behind]] : [];
    });
    this.#behind = new Map(maps);
    this.choice = choice;
    this.sources = sourcesOf(catalogue);
    page.latest.follow([
      choice.voltage,
      choice.current,
      choice.charge,
      choice.modulus,
      choice.state,
      choice.cycle,
      choice.step,
    ]);
    for (const entry of catalogue.values()) {
      if (isScore(entry) && !this.#alarmStreams.has(entry.stream)) this.#followAlarms(entry);
    }
  }

  /** The width to begin with, until somebody chooses another: of a run that has ended, all. */
  #settle(speed: number): void {
    const sources = [...this.client.catalogue.values()].filter(
      (entry) => !entry.derived && !isHousekeeping(entry),
    );
    const ended = sources.length > 0 && sources.every(({ state }) => state === "ended");
    const width = ended ? "all" : speed >= 30 ? HOUR : 10 * MINUTE;
    const { view } = this.axis;
    if (view.kind === "follow" && view.width === width) return;
    this.axis.follow(width);
    clearTimeout(this.#remembering);
    history.replaceState({ view: this.axis.view }, "");
    this.#touched = false;
  }

  #followAlarms({ stream, schema }: StreamEntry): void {
    const columns = AlarmLog.columnsOf(schema.fields);
    const request = { stream, columns, from: 0, to: "live", lossless: true } as const;
    const subscription = this.client.subscribe(request, (frame) => {
      if (frame.kind === "gap") this.#alarms.forget(stream);
      if (frame.kind !== "rows") return;
      const { manifest } = this.client;
      const about = { origin: runOrigin(manifest), name: alarmName(manifest, stream) };
      if (this.#alarms.take(stream, frame, about)) this.#alarmsChanged();
    });
    this.#alarmStreams.set(stream, subscription);
  }

  #alarmsChanged(): void {
    this.onsets = this.#alarms.onsets;
    this.standing = this.#alarms.standing;
    for (const listener of this.#alarmListeners) listener();
    this.#nameTab();
  }

  /** The tab says it too, for whoever looks at another. */
  #nameTab(): void {
    const { run, cell } = runName(this.client.manifest);
    const name = cell || run;
    const n = this.standing.length;
    document.title = n > 0 ? `(${n}) ▲ ${name}` : `${name} – Operando`;
    const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (icon) icon.href = favicon(n > 0);
  }

  #tick(): void {
    if (!this.#page) return;
    if (this.standing.length === 0) this.#nameTab();
    for (const listener of this.#ticks) listener();
  }

  /** To the time around an onset: half an hour of event time before it, or what is on show if that is less. */
  #showEvidence(onset: Onset | undefined = this.standing[0] ?? this.onsets.at(-1)): void {
    if (!onset) return;
    const { from, to } = this.axis.range;
    const width = Math.min(to - from, 60 * MINUTE);
    this.axis.zoom(onset.began - width * 0.7, onset.began + width * 0.3);
    this.axis.point(onset.began);
  }

  #toggle(id: string): void {
    const chosen = new Set(this.chosen);
    if (!chosen.delete(id)) chosen.add(id);
    this.chosen = chosen;
  }

  #open(sheet: Sheet): void {
    this.sheet = this.sheet === sheet ? undefined : sheet;
  }

  /** Views become steps of the browser's history once they have stood for a moment, so that a drag is one step. */
  #remember(): void {
    this.#touched = true;
    clearTimeout(this.#remembering);
    this.#remembering = setTimeout(() => {
      const { view } = this.axis;
      if (JSON.stringify((history.state as { view?: View } | null)?.view) !== JSON.stringify(view))
        history.pushState({ view }, "");
    }, 250);
  }

  #recall(state: { view?: View } | null): void {
    clearTimeout(this.#remembering);
    if (state?.view) this.axis.show(state.view);
    else history.replaceState({ view: this.axis.view }, "");
    clearTimeout(this.#remembering);
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [target] = event.composedPath();
    if (
      target instanceof HTMLInputElement ||
      target instanceof HTMLSelectElement ||
      target instanceof HTMLTextAreaElement
    ) {
      if (event.key !== "Escape") return;
    }
    if (target instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter")) return;
    const { axis } = this;
    const { key, shiftKey } = event;
    const preset = PRESET_KEYS[key];
    if (preset !== undefined) axis.follow(preset);
    else if (key === " " && axis.live) axis.pause();
    else if (key === " ") axis.resume();
    else if (key === "l" || key === "L" || key === "End") axis.goLive();
    else if (key === "ArrowLeft" || key === "ArrowRight") this.#arrow(key === "ArrowLeft" ? -1 : 1, shiftKey);
    else if (key === "i" || key === "I") axis.magnify(0.5);
    else if (key === "o" || key === "O") axis.magnify(2);
    else if (key === "a" || key === "A") this.#showEvidence();
    else if (key === "h" || key === "H") this.#open("health");
    else if (key === "+") this.#open("panels");
    else if (key === "?") this.helping = !this.helping;
    else if (key === "Escape") {
      if (this.helping) this.helping = false;
      else if (this.sheet) this.sheet = undefined;
      else if (this.picked) this.picked = undefined;
      else if (this.opened !== undefined) this.opened = undefined;
      else axis.point(undefined);
    } else return;
    event.preventDefault();
  }

  #arrow(direction: 1 | -1, moveCursor: boolean): void {
    const { axis } = this;
    if (!moveCursor) {
      axis.pan(0.25 * direction);
      return;
    }
    const { from, to } = axis.range;
    const at = axis.cursor ?? (direction < 0 ? to : from);
    axis.point(Math.min(to, Math.max(from, at + (direction * (to - from)) / 100)));
  }
}

type CyclePanel = CyclePanels[keyof CyclePanels][number];

const panelKey = ({ id }: { readonly id: string }): string => id;

/** A trace in a square; with a triangle over it while an alarm stands. */
export function favicon(alarm: boolean): string {
  const mark = alarm
    ? '<path d="M16 3 29 28H3z" fill="#ff5c50"/>'
    : '<path d="M3 20l7-11 7 9 5-7 7 6" fill="none" stroke="#5cb8ee" stroke-width="4"/>';
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#1b1d21"/>${mark}</svg>`)}`;
}

customElements.define("op-app", OpApp);

declare global {
  interface HTMLElementTagNameMap {
    "op-app": OpApp;
  }
  interface HTMLElementEventMap {
    painted: CustomEvent<Painted>;
  }
}
