// The door of operators/: one line an operator, grouped by technique.

// correlate
export { axis as correlateAxis } from "./correlate/axis.ts";
export { join } from "./correlate/join.ts";

// drift
export { baseline } from "./drift/baseline.ts";
export { coordinates } from "./drift/coordinates.ts";
export { driftImages } from "./drift/images.ts";
export { withinFrame } from "./drift/within-frame.ts";

// echem
export { charge } from "./echem/charge.ts";
export { cycles } from "./echem/cycles.ts";
export { efficiency } from "./echem/efficiency.ts";
export { impedance } from "./echem/impedance.ts";
export { incrementalCapacity } from "./echem/incremental-capacity.ts";
export { polarisation } from "./echem/polarisation.ts";
export { relaxation } from "./echem/relaxation.ts";
export { selfDischarge } from "./echem/self-discharge.ts";
export { steps } from "./echem/steps.ts";

// image
export { conductivity } from "./image/conductivity.ts";
export { grains } from "./image/grains.ts";
export { level } from "./image/level.ts";
export { region } from "./image/region.ts";
export { roughness } from "./image/roughness.ts";
export { segment } from "./image/segment.ts";
export { stepHeight } from "./image/step-height.ts";
export { surfacePotential } from "./image/surface-potential.ts";

// mechanics
export { bimodal } from "./mechanics/bimodal.ts";
export { calibration } from "./mechanics/calibration.ts";
export { modulusMap } from "./mechanics/map.ts";
export { modulus } from "./mechanics/modulus.ts";
export { recalibrate } from "./mechanics/recalibrate.ts";
export { rolling } from "./mechanics/rolling.ts";

// onset
export { averageRunLength } from "./onset/average-run-length.ts";
export { cusum } from "./onset/cusum.ts";

// tomography
export { angles } from "./tomography/angles.ts";
export { axis } from "./tomography/axis.ts";
export { change } from "./tomography/change.ts";
export { flatField } from "./tomography/flat-field.ts";
export { incremental } from "./tomography/incremental.ts";
export { motion } from "./tomography/motion.ts";
export { phase } from "./tomography/phase.ts";
export { refine } from "./tomography/refine.ts";
export { sinogram } from "./tomography/sinogram.ts";
export { stripes } from "./tomography/stripes.ts";
export { variance } from "./tomography/variance.ts";
export { zingers } from "./tomography/zingers.ts";
