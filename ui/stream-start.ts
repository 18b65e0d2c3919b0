/** Opens a feed of a stream's whole run once it has a first row, and anew when its source has started over. */
import type { Client, Ms } from "./client/types.ts";

export function fromStart(
  client: Pick<Client, "catalogue" | "onChange">,
  stream: string,
  open: (first: Ms) => { close(): void },
): () => void {
  let feed: { close(): void } | undefined;
  let epoch = -1;
  const look = (): void => {
    const entry = client.catalogue.get(stream);
    if (!entry || entry.epoch === epoch || !Number.isFinite(entry.firstTime)) return;
    feed?.close();
    epoch = entry.epoch;
    // Times on this side are rounded: a little earlier, so that the first row is among them.
    feed = open(entry.firstTime - 1);
  };
  const stop = client.onChange(look);
  look();
  return () => {
    stop();
    feed?.close();
    feed = undefined;
  };
}
