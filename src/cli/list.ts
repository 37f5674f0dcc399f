// `fprobe list`: what could be probed in a file, without running it.

import { NoMatchError, SymbolMapError, WasmFormatError } from '../errors.ts';
import { checkFilter, compileFilter } from '../filter.ts';
import { instrument, type ModuleInfo, readModule } from '../instrument/index.ts';
import { FunctionName } from '../symbols/function-name.ts';
import { functionNames } from '../symbols/function-names.ts';
import { symbolMapBeside } from '../symbols/symbol-file.ts';
import { parseSymbolMap, type SymbolMap } from '../symbols/symbol-map.ts';
import { parse, readInput, UsageError } from './usage.ts';

const HELP = `usage: fprobe list FILE.wasm [-f GLOB]… [-n GLOB]… [--symbols FILE] [--json]

The functions of FILE.wasm: address (offset of the body in the file), size in bytes, name, type.
Functions that cannot be probed are marked «notrace», with the reason.

  -f, --filter GLOB    only functions whose name matches (several: any of them)
  -n, --notrace GLOB   not those
      --symbols FILE   names for what the module does not name: lines of index:name or index name.
                       Default: FILE.wasm.symbols, FILE.js.symbols or FILE.symbols, if there is one
      --json           one JSON object a line, in place of columns
  -h, --help           this text

C++ and Rust names are shown demangled. A glob (* ? [a-z] [!a] \\) matches the mangled name, the demangled one, or
the demangled one without parameters.

examples:
  fprobe list sqlite3.wasm -f 'sqlite3_*'
  fprobe list engine.wasm -f 'b2World::*' -n '*::~*'
  fprobe list app.wasm --json | jq -r 'select(.size > 10000) | .name'
`;

interface Place {
  readonly address: string;
  readonly index: number;
  readonly size: number;
}

/// A function, as JSON has it less its name.
interface Details extends Place {
  readonly type?: string;
  readonly notrace?: string;
}

class Row extends FunctionName {
  readonly details: Details;

  constructor(details: Details, symbol: string, other: string | undefined) {
    super(symbol, other);
    this.details = details;
  }
}

export function list(args: string[]): number {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: {
      filter: { type: 'string', short: 'f', multiple: true },
      notrace: { type: 'string', short: 'n', multiple: true },
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

  const rows = select(path, readRows(path, values.symbols), values);
  process.stdout.write(values.json ? asJson(rows) : asColumns(rows));
  return 0;
}

function select(path: string, rows: Row[], pair: { filter?: string[]; notrace?: string[] }): Row[] {
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

function readRows(path: string, symbols: string | undefined): Row[] {
  const bytes = readInput(path);
  try {
    const module = readModule(bytes);
    return rowsOf(module, symbols === undefined ? symbolMapBeside(path, warn) : readSymbols(symbols));
  } catch (error) {
    if (error instanceof WasmFormatError) throw new UsageError(`${path}: ${error.message}`);
    throw error;
  }
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
  const namesOf = functionNames(module, symbols);
  const { sites, skipped } = instrument(module.bytes, { validate: false, growth: 0 });
  const row = (details: Details): Row => {
    const { symbol, other } = namesOf(details.index);
    return new Row(details, symbol, other);
  };
  const place = (index: number, offset: number, size: number): Place => ({
    address: `0x${offset.toString(16)}`,
    index,
    size,
  });
  return [
    ...sites.map(({ index, offset, size, params, results }) =>
      row({ ...place(index, offset, size), type: `(${params.join(', ')}) → (${results.join(', ')})` }),
    ),
    ...skipped.map(({ index, offset, size, reason, why }) =>
      row({ ...place(index, offset, size), notrace: `${reason}: ${why}` }),
    ),
  ].sort((a, b) => a.details.index - b.details.index);
}

function asJson(rows: readonly Row[]): string {
  return rows
    .map(({ details, name, aliases }) => {
      const forms = aliases.length > 0 ? { name, aliases } : { name };
      return `${JSON.stringify({ ...details, ...forms })}\n`;
    })
    .join('');
}

function asColumns(rows: readonly Row[]): string {
  return rows
    .map(({ details: { address, size, type = '', notrace }, signature }) => {
      const columns = `${address.padStart(10)} ${String(size).padStart(8)}  `;
      return notrace ? `${columns}${signature}  notrace (${notrace})\n` : `${columns}${signature} ${type}\n`;
    })
    .join('');
}
