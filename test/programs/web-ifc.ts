// web-ifc, a reader of building models: C++ whose exceptions are WebAssembly exceptions, thousands of try blocks, SIMD,
// and objects of the host by embind. The workload makes it throw, through its landing pads and out to JavaScript.
import type { IfcAPI } from 'web-ifc';
import { type Bytes, bytesOf, digest, outcome, type Program, requireFresh, throughGlobal } from './program.ts';

type WebIfc = typeof import('web-ifc');

const wasm = (): Bytes => bytesOf('web-ifc/web-ifc-node.wasm');

export const webIfc: Program = {
  name: 'web-ifc',
  package: 'web-ifc',
  language: 'C++',
  wasm,
  async start(instantiate) {
    const package_ = requireFresh('web-ifc') as WebIfc;
    const api = new package_.IfcAPI();
    await throughGlobal(instantiate, wasm(), () => api.Init(undefined, true));
    api.SetLogLevel(package_.LogLevel.LOG_LEVEL_OFF);
    return {
      run(scale = 1) {
        const encode = (lines: string[]) => new TextEncoder().encode(wrap(lines));
        const lines = [readModel(package_, api, encode(walls(300 * scale)))];
        for (const [name, model] of Object.entries(MISTAKES)) {
          const id = api.OpenModel(encode(model));
          lines.push(`${name}: ${outcome(() => JSON.stringify(api.GetLine(id, 1)))}`);
          api.CloseModel(id);
        }
        return lines.join('\n');
      },
    };
  },
};

function readModel(package_: WebIfc, api: IfcAPI, bytes: Uint8Array): string {
  const id = api.OpenModel(bytes);
  let count = 0;
  let sum = 0;
  api.StreamAllMeshes(id, (mesh) => {
    for (let index = 0; index < mesh.geometries.size(); index++) {
      const geometry = api.GetGeometry(id, mesh.geometries.get(index).geometryExpressID);
      const vertices = api.GetVertexArray(geometry.GetVertexData(), geometry.GetVertexDataSize());
      const indices = api.GetIndexArray(geometry.GetIndexData(), geometry.GetIndexDataSize());
      for (const at of indices) sum = (sum * 31 + Math.round(Math.abs(vertices[at * 6]) * 1000) + at) % 1_000_003;
      count += indices.length / 3;
      geometry.delete();
    }
  });
  const found = api.GetLineIDsWithType(id, package_.IFCWALL);
  const names: string[] = [];
  for (let index = 0; index < found.size(); index++) names.push(api.GetLine(id, found.get(index)).Name.value);
  const saved = api.SaveModel(id);
  api.CloseModel(id);
  return `${found.size()} walls ${digest(names.join())}, ${count} triangles ${sum}, saved ${saved.length}`;
}

const MISTAKES: Record<string, string[]> = {
  // A number that std::stoi refuses: a C++ exception that nobody catches inside.
  'integer out of range': ['#1=IFCINDEXEDPOLYGONALFACE((1,99999999999999999999999,3));'],
  'odd numbers': ['#1=IFCCARTESIANPOINT((1.E999,2.E-999,3x));'],
  'broken binary': ['#1=IFCBLOBTEXTURE(.T.,.T.,$,$,$,\'PNG\',"Z0F");'],
  'unknown line': ['#2=IFCNOSUCHTHING(#1,*,$);'],
};

function wrap(lines: string[]): string {
  return `ISO-10303-21;
HEADER;
FILE_DESCRIPTION((''),'2;1');
FILE_NAME('','',(''),(''),'','','');
FILE_SCHEMA(('IFC4'));
ENDSEC;
DATA;
${lines.join('\n')}
ENDSEC;
END-ISO-10303-21;
`;
}

/// A field of walls and columns, each cut by a half space.
function walls(count: number): string[] {
  const lines: string[] = [];
  const add = (line: string) => `#${lines.push(`#${lines.length + 1}=${line};`)}`;
  const point = (...values: number[]) => add(`IFCCARTESIANPOINT((${values.map((value) => value.toFixed(2)).join()}))`);
  const origin = point(0, 0, 0);
  const up = add('IFCDIRECTION((0.,0.,1.))');
  const along = add('IFCDIRECTION((1.,0.,0.))');
  const place = (at: string) => add(`IFCAXIS2PLACEMENT3D(${at},${up},${along})`);
  const axes = place(origin);
  const unit = add('IFCSIUNIT(*,.LENGTHUNIT.,.MILLI.,.METRE.)');
  const units = add(`IFCUNITASSIGNMENT((${unit}))`);
  const context = add(`IFCGEOMETRICREPRESENTATIONCONTEXT($,'Model',3,1.0E-5,${axes},$)`);
  add(`IFCPROJECT('0aaaaaaaaaaaaaaaaaaaa1',$,'Field',$,$,$,$,(${context}),${units})`);
  const flat = add(`IFCAXIS2PLACEMENT2D(${add('IFCCARTESIANPOINT((0.,0.))')},${add('IFCDIRECTION((1.,0.))')})`);
  for (let index = 0; index < count; index++) {
    const spot = add(`IFCLOCALPLACEMENT($,${place(point((index % 10) * 4000, Math.floor(index / 10) * 4000, 0))})`);
    const profile = add(
      index % 2
        ? `IFCRECTANGLEPROFILEDEF(.AREA.,$,${flat},${3000 - index}.,200.)`
        : `IFCCIRCLEPROFILEDEF(.AREA.,$,${flat},${300 + index}.)`,
    );
    const solid = add(`IFCEXTRUDEDAREASOLID(${profile},${axes},${up},2800.)`);
    const half = add(`IFCHALFSPACESOLID(${add(`IFCPLANE(${place(point(0, 0, 1400 + index))})`)},.F.)`);
    const cut = add(`IFCBOOLEANCLIPPINGRESULT(.DIFFERENCE.,${solid},${half})`);
    const shape = add(`IFCSHAPEREPRESENTATION(${context},'Body','Clipping',(${cut}))`);
    const product = add(`IFCPRODUCTDEFINITIONSHAPE($,$,(${shape}))`);
    add(`IFCWALL('${String(index).padStart(22, '0')}',$,'wall ${index}',$,$,${spot},${product},'T${index}',$)`);
  }
  return lines;
}
