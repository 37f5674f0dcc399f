// The files that a module on disk names for its debug information.

import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ModuleInfo } from '../instrument/reader.ts';
import { readRegularFile } from '../read-file.ts';
import { type DebugFiles, linkedFiles } from './locations.ts';

/// Bytes: as much as a buffer can have everywhere.
const SIZE_MAX = 2 ** 31 - 2;

/// Reads the source map and the external DWARF of the module at `path`, as far as it names any that are files. What cannot be read
/// goes to `warn`, one line each; nothing is fetched from elsewhere.
export function debugFilesBeside(path: string, module: ModuleInfo, warn: (message: string) => void): DebugFiles {
  const { sourceMap, debugInfo } = linkedFiles(module);
  const read = (what: string, url: string | undefined): Uint8Array | undefined => {
    if (url === undefined || url === '' || url.startsWith('data:')) return undefined;
    try {
      return readRegularFile(fileOf(path, url), SIZE_MAX);
    } catch (error) {
      warn(`no ${what}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const json = read('source map', sourceMap);
  return { sourceMap: json && new TextDecoder().decode(json), debugInfo: read('debug information', debugInfo) };
}

function fileOf(path: string, url: string): string {
  if (url.startsWith('file:')) return fileURLToPath(url);
  if (/^[a-z][a-z0-9+.-]+:/i.test(url)) throw new TypeError(`${url} is no file`);
  const relative = url.replace(/[?#].*$/, '');
  try {
    return resolve(dirname(path), decodeURIComponent(relative));
  } catch {
    return resolve(dirname(path), relative); // a percent sign that stands for itself
  }
}
