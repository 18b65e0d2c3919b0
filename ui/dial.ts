/** A dial that fills by angle as views come: half a circle for half a turn, a whole one for a turn. */
import { svg, type SVGTemplateResult } from "lit";
import { filledArcs, onDial, type Covered } from "./coverage.ts";

const COVERED = "#3f7f9f";
const RADIUS = 40;

function sector(from: number, to: number): string {
  // A whole turn begins and ends at one place: as two halves it is not nothing.
  if (to - from > 359.9) return `${sector(0, 180)} ${sector(180, 359.999)}`;
  const [x1, y1] = onDial(from, 360, RADIUS);
  const [x2, y2] = onDial(to, 360, RADIUS);
  return `M0 0 L${x1} ${y1} A${RADIUS} ${RADIUS} 0 ${to - from > 180 ? 1 : 0} 0 ${x2} ${y2} Z`;
}

/** `seen`: angles of views, drawn where no more is known. */
export function dial(of: Covered, seen: readonly number[], label: string): SVGTemplateResult {
  const { angle, span } = of;
  const arcs = filledArcs(of);
  const [x, y] = onDial(angle, span, RADIUS + 3);
  const box = span === 180 ? "-46 -46 92 50" : "-46 -46 92 92";
  const tick = (at: number) => {
    const [a, b] = [onDial(at, span, RADIUS * 0.72), onDial(at, span, RADIUS)];
    return `M${a[0]} ${a[1]} L${b[0]} ${b[1]}`;
  };
  return svg`<svg viewBox=${box} role="img" aria-label=${label}>
    <path d=${sector(0, span)} fill="#2b2f35" stroke="#4a515b" stroke-width="1"></path>
    ${arcs?.map(([from, to]) => svg`<path class="covered" d=${sector(from, to)} fill=${COVERED}></path>`)}
    ${arcs ? "" : svg`<path class="seen" d=${seen.map(tick).join(" ")} stroke=${COVERED} stroke-width="1"></path>`}
    ${Number.isFinite(angle) ? svg`<path class="hand" d=${`M0 0 L${x} ${y}`} stroke="#ffd75e" stroke-width="2"></path>` : ""}
    <circle r="2.5" fill="#e4e6e9"></circle>
  </svg>`;
}
