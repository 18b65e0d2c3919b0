/** What the elements of one page share: handed from the top as one object whose parts change and which itself does not. */
import type { AlarmLog } from "./alarm-log.ts";
import type { Client, Ms } from "./client/types.ts";
import type { EventClock } from "./event-clock.ts";
import type { StreamAges } from "./freshness.ts";
import type { FrameLoop } from "./frame-loop.ts";
import type { LatestValues } from "./latest-values.ts";
import type { RegionList } from "./region-trace.ts";
import type { TimeAxis } from "./time-axis.ts";

export interface Page {
  readonly client: Client;
  readonly axis: TimeAxis;
  readonly loop: FrameLoop;
  readonly clock: EventClock;
  readonly ages: StreamAges;
  readonly alarms: AlarmLog;
  readonly latest: LatestValues;
  /** Regions that were picked on images. */
  readonly regions: RegionList;
  /** Five times a second, for texts and ages: eyes read no faster. Returns how to stop. */
  onTick(listener: () => void): () => void;
  /** After the log of alarms has changed. Returns how to stop. */
  onAlarms(listener: () => void): () => void;
  /** Newest row that has been handed to an element for drawing, by event time. */
  received(time: Ms): void;
}
