/**
 * What all drawn panels have in common: they are drawn when something has changed and they are in sight, and give back
 * what they hold when they leave the page.
 */
import { LitElement, type PropertyDeclarations, type PropertyValues } from "lit";
import { NEARBY, type Drawable } from "./frame-loop.ts";
import type { Page } from "./page.ts";

export abstract class DrawnView extends LitElement implements Drawable {
  static override properties: PropertyDeclarations = { page: { attribute: false } };
  declare page: Page;

  visible = false;
  abstract readonly heavy: boolean;
  #stops: (() => void)[] = [];

  /** Begins to listen, once it is rendered and each time it comes back; what it returns is called when it leaves. */
  protected abstract open(): (() => void)[];
  abstract draw(): void;

  /** The element whose size is that of the drawing. */
  protected get drawn(): Element {
    return this;
  }

  override firstUpdated(_changed: PropertyValues<this>): void {
    this.#open();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.page.loop.remove(this);
    for (const stop of this.#stops.splice(0)) stop();
    this.visible = false;
  }

  #open(): void {
    for (const stop of this.#stops.splice(0)) stop();
    const sizes = new ResizeObserver(() => this.invalidate());
    sizes.observe(this.drawn);
    const sights = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1)!.isIntersecting;
      if (this.visible) this.invalidate();
    }, NEARBY);
    sights.observe(this);
    this.#stops = [() => sizes.disconnect(), () => sights.disconnect(), ...this.open()];
  }

  invalidate(): void {
    this.page.loop.invalidate(this);
  }
}
