// `fprobe list`: what could be probed in a file, without running it.

import { NoMatchError, SymbolMapError, WasmFormatError } from '../errors.ts';
import { checkFilter, compileFilter } from '../filter.ts';
import { instrument, type ModuleInfo, readModule } from '../instrument/index.ts';
import { debugFilesBeside } from '../symbols/debug-files.ts';
import { FunctionName } from '../symbols/function-name.ts';
import { functionNames, type SymbolNames } from '../symbols/function-names.ts';
import { Locations } from '../symbols/locations.ts';
import { symbolMapBeside } from '../symbols/symbol-file.ts';
import { parseSymbolMap, type SymbolMap } from '../symbols/symbol-map.ts';
import { parse, readInput, UsageError } from './usage.ts';

const HELP = `usage: fprobe list FILE.wasm [-f GLOB]… [-n GLOB]… [-l] [--symbols FILE] [--json]

The functions of FILE.wasm: address (offset of the body in the file), size in bytes, name, type.
Functions that cannot be probed are marked «notrace», with the reason.

  -f, --filter GLOB    only functions whose name matches (several: any of them)
  -n, --notrace GLOB   not those
  -l, --lines          with the source file and line where each function begins (DWARF or source map)
      --symbols FILE   names for what the module does not name: lines of index:name or index name.
                       Default: FILE.wasm.symbols, FILE.js.symbols or FILE.symbols, if there is one
      --json           one JSON object a line, in place of columns
  -h, --help           this text

C++ and Rust names are shown demangled. A glob (* ? [a-z] [!a] \\) matches the mangled name, the demangled one, or
the demangled one without parameters.

examples:
  fprobe list sqlite3.wasm -f 'sqlite3_*'
  fprobe list engine.wasm -f 'b2World::*' -n '*::~*'
  fprobe list debug.wasm -l -f 'parse_*'
  fprobe list app.wasm --json | jq -r 'select(.size > 10000) | .name'
`;

/// A function, as JSON has it less its names.
interface Details {
  readonly address: string;
  readonly index: number;
  readonly size: number;
  readonly type?: string;
  readonly notrace?: string;
}

class Row extends FunctionName {
  readonly details: Details;
  readonly offset: number;

  constructor(details: Details, offset: number, { symbol, other }: SymbolNames) {
    super(symbol, other);
    this.details = details;
    this.offset = offset;
  }
}

interface Listing {
  readonly module: ModuleInfo;
  readonly rows: readonly Row[];
}

export function list(args: string[]): number {
  const { values, positionals } = parse('fprobe list --help', {
    args,
    allowPositionals: true,
    options: {
      filter: { type: 'string', short: 'f', multiple: true },
      notrace: { type: 'string', short: 'n', multiple: true },
      lines: { type: 'boolean', short: 'l' },
      symbols: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [path, ...others] = positionals;
  if (path === undefined) throw new UsageError('list: which file? see fprobe list --help');
  if (others.length > 0) throw new UsageError(`list: one file at a time, there is also ${others[0]}`);

  const { module, rows } = read(path, values.symbols);
  const selected = select(path, rows, values);
  const places = values.lines ? placesOf(path, module, selected) : undefined;
  const text = values.json
    ? asJson(selected, places)
    : asColumns(selected, places, process.stdout.isTTY ? process.stdout.columns : undefined);
  process.stdout.write(text);
  return 0;
}

function select(path: string, rows: readonly Row[], pair: { filter?: string[]; notrace?: string[] }): Row[] {
  try {
    checkFilter(pair, rows);
  } catch (error) {
    if (error instanceof NoMatchError) throw new UsageError(`list: ${path}: ${error.message}`);
    throw error;
  }
  const selected = rows.filter(compileFilter(pair));
  if (selected.length === 0 && rows.length > 0) {
    throw new UsageError(`list: ${path}: nothing is left, -n excludes all that -f selects`);
  }
  return selected;
}

const warn = (message: string): void => {
  process.stderr.write(`fprobe: warning: ${message}\n`);
};

function read(path: string, symbols: string | undefined): Listing {
  const bytes = readInput(path);
  try {
    const module = readModule(bytes);
    const map = symbols === undefined ? symbolMapBeside(path, module.functionTypes.length, warn) : readSymbols(symbols);
    return { module, rows: rowsOf(module, map) };
  } catch (error) {
    if (error instanceof WasmFormatError) throw new UsageError(`${path}: ${error.message}`);
    throw error;
  }
}

/// `file:line` of each row, '' where it is not known.
function placesOf(path: string, module: ModuleInfo, rows: readonly Row[]): string[] {
  const locations = new Locations(module, debugFilesBeside(path, module, warn));
  const places = rows.map(({ offset, details: { size } }) => {
    const location = locations.find(offset, size);
    return location ? `${location.file}:${location.line}` : '';
  });
  for (const message of locations.warnings) warn(`${path}: ${message}`);
  if (rows.length > 0 && places.every((place) => place === '')) warn(`${path}: no line of these functions is known`);
  return places;
}

function readSymbols(path: string): SymbolMap {
  const text = new TextDecoder().decode(readInput(path));
  try {
    return parseSymbolMap(text, path);
  } catch (error) {
    if (error instanceof SymbolMapError) throw new UsageError(error.message);
    throw error;
  }
}

function rowsOf(module: ModuleInfo, symbols: SymbolMap | undefined): Row[] {
  const namesOf = functionNames(module, symbols, warn);
  const { sites, skipped } = instrument(module.bytes, { validate: false, growth: 0 });
  const place = ({ index, offset, size }: { index: number; offset: number; size: number }) => ({
    address: `0x${offset.toString(16)}`,
    index,
    size,
  });
  return [
    ...sites.map((site) => {
      const type = `(${site.params.join(', ')}) → (${site.results.join(', ')})`;
      return new Row({ ...place(site), type }, site.offset, namesOf(site.index));
    }),
    ...skipped.map((site) => {
      const notrace = `${site.reason}: ${site.why}`;
      return new Row({ ...place(site), notrace }, site.offset, namesOf(site.index));
    }),
  ].sort((a, b) => a.details.index - b.details.index);
}

function asJson(rows: readonly Row[], places: readonly string[] | undefined): string {
  return rows
    .map(({ details, name, aliases }, i) => {
      const forms = aliases.length > 0 ? { name, aliases } : { name };
      const location = places?.[i] ? { location: places[i] } : {};
      return `${JSON.stringify({ ...details, ...forms, ...location })}\n`;
    })
    .join('');
}

/// `width`: of the terminal, which gets columns that stand below one another; what goes elsewhere has lines that do not depend on
/// each other.
function asColumns(rows: readonly Row[], places: readonly string[] | undefined, width: number | undefined): string {
  const names = rows.map(({ signature }) => signature);
  const tails = rows.map(({ details: { type, notrace } }) => (notrace ? `notrace (${notrace})` : `${type}`));
  const pad = width === undefined ? [0, 0] : [columnWidth(names, width / 2), columnWidth(tails, width / 3)];
  return rows
    .map(({ details: { address, size, notrace } }, i) => {
      const gap = notrace || width !== undefined ? '  ' : ' ';
      const place = places?.[i] ? `  ${places[i]}` : '';
      const start = `${address.padStart(10)} ${String(size).padStart(8)}  ${names[i].padEnd(pad[0])}${gap}`;
      return `${start}${place === '' ? tails[i] : tails[i].padEnd(pad[1]) + place}\n`;
    })
    .join('');
}

/// As wide as the widest, but no wider than `most`: a few long ones must not push all others aside.
const columnWidth = (texts: readonly string[], most: number): number =>
  texts.reduce((widest, { length }) => (length <= most ? Math.max(widest, length) : widest), 0);
