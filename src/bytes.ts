// Bytes, in whatever they come. Told by what an object is inside: a buffer of another realm (a vm context, a frame) is no instance of
// ours, and a tag or a prototype can be anybody's.

import { badType, shown } from './errors.ts';

const bufferLength = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength')!.get!;
const arrayTag = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!;

function isArrayBuffer(value: unknown): value is ArrayBuffer {
  try {
    bufferLength.call(value);
    return true;
  } catch {
    return false;
  }
}

export const isUint8Array = (value: unknown): value is Uint8Array => arrayTag.call(value) === 'Uint8Array';

export const isBigUint64Array = (value: unknown): value is BigUint64Array => arrayTag.call(value) === 'BigUint64Array';

/// What a value is that holds no bytes: for messages.
export function kindOf(value: unknown): string {
  if (typeof value !== 'object') return typeof value;
  try {
    return value === null ? 'null' : Object.prototype.toString.call(value);
  } catch {
    return shown(value); // a Proxy that was revoked, or a tag that throws
  }
}

/// A copy of the bytes, so that nobody changes them meanwhile. Throws TypeError for what holds none.
export function copyBytes(source: BufferSource): Uint8Array<ArrayBuffer> {
  if (isArrayBuffer(source)) return new Uint8Array(source).slice();
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice() as Uint8Array<ArrayBuffer>;
  }
  throw badType(`expected the bytes of a module (ArrayBuffer or view) or a WebAssembly.Module, got ${kindOf(source)}`);
}
