// The door of sources/: one line a source, grouped by family.

// afm
export { afmFile } from "./afm/file.ts";

// echem
export { echemFile } from "./echem/file.ts";
export { echemPush } from "./echem/push.ts";

// files that grow
export { Changes } from "./changes.ts";

// recorded runs
export { replay } from "./replay.ts";

// simulated
export { simulatedCell } from "./simulated/cell.ts";

// xray
export { readFrame } from "./xray/frame-files.ts";
export { radiographs } from "./xray/radiographs.ts";
export { tomography } from "./xray/tomography.ts";
