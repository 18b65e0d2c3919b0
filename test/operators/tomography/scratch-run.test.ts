import { test } from "vitest";
import { runToEnd } from "../../helpers/graph.ts";
import { tomography } from "../../../sources/xray/tomography.ts";
import { flatField } from "../../../operators/tomography/flat-field.ts";
import { incremental } from "../../../operators/tomography/incremental.ts";
import { driftImages } from "../../../operators/drift/images.ts";
for (const f of ["operando_21700_sim_A.h5","tooth.h5"])
test("run "+f, async () => {
  const t0=performance.now();
  const { rows, failures, batches } = await runToEnd({ sources: { xrm: { use: tomography, path: "/work/shared/data/xrm/"+f, rate: "1 Hz" } }, operators: { flat: { use: flatField, from: "xrm.frames" }, slices: { use: incremental, from: "flat.projections", with: { axis: 262.75, every: 180 } } } });
  console.log("RUN", f, Math.round(performance.now()-t0), Object.fromEntries(Object.entries(rows).map(([k, v]) => [k, [v.time.length, batches[k]!.length]])), failures.map(f=>f.node+": "+f.error.message), rows["faults"]&&rows["faults"]["what"], rows["slices.slices"]&&[...rows["slices.slices"]["coverage"] as Float64Array], rows["slices.slices"]&&[...rows["slices.slices"]["oldest_age"] as Float64Array]);
});
test("run drift", async () => {
  const { rows, failures } = await runToEnd({ sources: { xrm: { use: tomography, path: "/work/shared/data/xrm/npg_p05_nanoct.h5", rate: "1 Hz", already:"line-integral" } }, operators: { drift: { use: driftImages, from: "xrm.projections", with:{level:"none"} } , slices: { use: incremental, from: "xrm.projections" } } });
  console.log("RUN", Object.fromEntries(Object.entries(rows).map(([k, v]) => [k, v.time.length])), failures.map(f=>f.node+": "+f.error.message), rows["faults"]&&(rows["faults"]["what"] as string[]).slice(0,5), [...rows["drift.aligned"]!["shift_row"] as Float64Array].slice(0,20));
});
