import { test } from "vitest";
import { readFileSync } from "node:fs";
import { level } from "../../../operators/drift/level.ts";
import { coarseShift, refineShift, splineOf } from "../../../operators/drift/shift.ts";
import { driftImages } from "../../../operators/drift/images.ts";
import { image } from "../../../runtime/index.ts";
import { feed } from "../../helpers/feed.ts";
import { degraded, random, scene, type Faults } from "./scene.ts";
const run=(N:number,how:Faults,n=12)=>{const z=scene(N,1);const u=random(7);const g=random(99);let ss=0,sc=0,mx=0,ms=0,nz=0,conf=0,fail=0;
 for(let k=0;k<n;k++){const dr=16*u()-8,dc=16*u()-8;const a=degraded(z(N,N,0,0),N,N,g,{...how,growth:false}),b=degraded(z(N,N,dr,dc),N,N,g,how);
 const t0=process.cpuUsage();const A=level(a,N,N,'lines'),B=level(b,N,N,'lines');const c=coarseShift(A,B,N,N,{row:0,col:0},.25)!;const r=refineShift(splineOf(A.values,N,N),A,B,N,N,c);{const d=process.cpuUsage(t0);ms+=(d.user+d.system)/1000};
 sc+=(c.row-dr)**2+(c.col-dc)**2; if(!r){fail++;continue}
 const e=(r.row-dr)**2+(r.col-dc)**2;ss+=e;mx=Math.max(mx,Math.sqrt(e));nz+=((r.row-dr)/r.row_se)**2+((r.col-dc)/r.col_se)**2;conf+=r.confidence}
 console.log(N,JSON.stringify(how),'coarse',Math.sqrt(sc/n).toFixed(4),'GN rmse',Math.sqrt(ss/(n-fail)).toFixed(5),'max',mx.toFixed(4),'chi2/2n',(nz/2/(n-fail)).toFixed(2),'conf',(conf/(n-fail)).toFixed(3),'fail',fail,'ms',(ms/n).toFixed(1))};
test("x",{timeout:600000},()=>{
 run(256,{});run(256,{noise:.05});run(256,{noise:.05,tilt:true,lines:true});run(256,{noise:.05,tilt:true,lines:true,growth:true});

 for(const f of ['lines','change']){const b=readFileSync(`/work/shared/data/afm/drift/series_${f}_7x256x256_f32le.bin`);const data=new Float32Array(b.buffer.slice(b.byteOffset,b.byteOffset+b.length));
 const truth=JSON.parse(readFileSync('/work/shared/data/afm/drift/truth.json','utf8'))[0].content_offset_px as number[][];
 const r=feed(driftImages,{images:{time:BigInt64Array.from({length:7},(_,i)=>BigInt(i)),data}},{schema:{images:{data:image("nm",{shape:[256,256]})}}});
 let s=0,m=0;for(let i=1;i<7;i++){for(const flip of [0]){const [p,q]=truth[i]!;const e=Math.hypot(r.aligned.shift_row[i]-q!,r.aligned.shift_col[i]-p!);s+=e*e;m=Math.max(m,e)}}
 console.log("SERIES",f,'series rmse',Math.sqrt(s/6),'max',m,[...r.aligned.confidence],[...r.aligned.shift_row],[...r.aligned.shift_row_se],truth.map(t=>t[1]),r.faults)}
});
