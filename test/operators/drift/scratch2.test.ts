import { test } from "vitest";
import { level } from "../../../operators/drift/level.ts";
import { refineShift, splineOf } from "../../../operators/drift/shift.ts";
import { degraded, random, scene, rmsOf } from "./scene.ts";
test("y",{timeout:600000},()=>{const N=128;const z=scene(N,1);const u=random(7);const g=random(99);
 const z0=z(N,N,0,0);const s=rmsOf(z0);let G=0;for(let r=1;r<N-1;r++)for(let c=1;c<N-1;c++)G+=((z0[r*N+c+1]!-z0[r*N+c-1]!)/2)**2;
 console.log('CRLB-ish per axis',Math.SQRT2*.05*s/Math.sqrt(G));
 for (const mode of ['int','half','rand','none'] as const) for (const lv of ['plane','lines'] as const){let er=0,ec=0,e2=0,c2=0,se=0;const n=40;
 for(let k=0;k<n;k++){const dr=mode==='int'?2:mode==='half'?2.5:mode==='none'?0:4*u()-2,dc=mode==='int'?-1:mode==='half'?-1.5:mode==='none'?0:4*u()-2;
  const A=level(degraded(z0,N,N,g,{noise:.05}),N,N,lv),B=level(degraded(z(N,N,dr,dc),N,N,g,{noise:.05}),N,N,lv);
  const r=refineShift(splineOf(A.values,N,N),A,B,N,N,{row:dr+.1,col:dc-.1})!;er+=r.row-dr;ec+=r.col-dc;e2+=(r.row-dr)**2+(r.col-dc)**2;c2+=((r.row-dr)/r.row_se)**2+((r.col-dc)/r.col_se)**2;se+=r.row_se**2+r.col_se**2}
 console.log('Q',mode,lv,'mean',(er/n).toFixed(4),(ec/n).toFixed(4),'rms/axis',Math.sqrt(e2/2/n).toFixed(4),'se',Math.sqrt(se/2/n).toFixed(4),'chi2',(c2/2/n).toFixed(2))}
});
