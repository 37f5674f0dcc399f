// Draco mesh compression: C++ templates and virtual calls, in two modules of two emscripten builds, driven through a
// hundred small exports a value at a time.
import {
  type Bytes,
  bytesOf,
  digest,
  type InstantiateWasm,
  type Program,
  requireFresh,
  throughHook,
} from './program.ts';

// biome-ignore lint/suspicious/noExplicitAny: the package has no types, and its WebIDL classes are many.
type Module = any;
type Factory = (options: { instantiateWasm: InstantiateWasm }) => Promise<Module>;

const wasm = (): Bytes => bytesOf('draco3d/draco_encoder.wasm');

export const draco: Program = {
  name: 'draco',
  package: 'draco3d',
  language: 'C++',
  wasm,
  async start(instantiate) {
    const { createEncoderModule, createDecoderModule } = requireFresh('draco3d') as Record<string, Factory>;
    const encoder = await throughHook(instantiate, wasm(), (instantiateWasm) =>
      createEncoderModule({ instantiateWasm }),
    );
    const decoder = await throughHook(instantiate, bytesOf('draco3d/draco_decoder.wasm'), (instantiateWasm) =>
      createDecoderModule({ instantiateWasm }),
    );
    const bunny = bytesOf('draco3d/bunny.drc');
    return {
      run(scale = 1) {
        const lines = [`bunny ${decode(decoder, bunny)}`];
        for (const speed of [0, 5, 10]) {
          const packed = encode(encoder, 110 * Math.sqrt(scale), speed);
          lines.push(`speed ${speed}: ${packed.length} bytes ${digest(packed)} ${decode(decoder, packed)}`);
        }
        lines.push(`truncated ${decode(decoder, bunny.subarray(0, 20_000))}`);
        const broken = bunny.slice();
        broken[60] ^= 0x55;
        lines.push(`broken ${decode(decoder, broken)}`, `garbage ${decode(decoder, bunny.subarray(7, 90))}`);
        return lines.join('\n');
      },
    };
  },
};

/// A square of hills, `side` points each way.
function encode(draco: Module, side: number, speed: number): Uint8Array {
  const count = Math.floor(side);
  const points = new Float32Array(count * count * 3);
  const faces: number[] = [];
  for (let y = 0; y < count; y++) {
    for (let x = 0; x < count; x++) {
      const at = y * count + x;
      points.set([x, y, ((x * x) % 17) + ((y * x) % 5)], at * 3);
      if (x + 1 < count && y + 1 < count) faces.push(at, at + 1, at + count, at + 1, at + count + 1, at + count);
    }
  }
  const mesh = new draco.Mesh();
  const builder = new draco.MeshBuilder();
  const encoder = new draco.Encoder();
  const output = new draco.DracoInt8Array();
  builder.AddFacesToMesh(mesh, faces.length / 3, new Uint32Array(faces));
  builder.AddFloatAttributeToMesh(mesh, draco.POSITION, count * count, 3, points);
  encoder.SetSpeedOptions(speed, speed);
  encoder.SetAttributeQuantization(draco.POSITION, 12);
  const length = encoder.EncodeMeshToDracoBuffer(mesh, output);
  const bytes = Uint8Array.from({ length }, (_, index) => output.GetValue(index));
  for (const object of [mesh, builder, encoder, output]) draco.destroy(object);
  return bytes;
}

function decode(draco: Module, bytes: Uint8Array): string {
  const buffer = new draco.DecoderBuffer();
  const decoder = new draco.Decoder();
  const mesh = new draco.Mesh();
  const face = new draco.DracoInt32Array();
  const values = new draco.DracoFloat32Array();
  try {
    buffer.Init(new Int8Array(bytes), bytes.length);
    if (decoder.GetEncodedGeometryType(buffer) !== draco.TRIANGULAR_MESH) return 'no mesh';
    const status = decoder.DecodeBufferToMesh(buffer, mesh);
    if (!status.ok()) return `failed: ${status.error_msg()}`;
    decoder.GetAttributeFloatForAllPoints(mesh, decoder.GetAttribute(mesh, 0), values);
    const points = Float32Array.from({ length: values.size() }, (_, index) => values.GetValue(index));
    const corners: number[] = [];
    for (let index = 0; index < mesh.num_faces(); index += 5) {
      decoder.GetFaceFromMesh(mesh, index, face);
      corners.push(face.GetValue(0), face.GetValue(1), face.GetValue(2));
    }
    return `${mesh.num_faces()} faces ${mesh.num_points()} points ${digest(new Uint8Array(points.buffer))} ${digest(corners.join())}`;
  } finally {
    for (const object of [buffer, decoder, mesh, face, values]) draco.destroy(object);
  }
}
