// `fprobe list`: what could be probed in a file, without running it.

import { WasmFormatError } from '../errors.ts';
import { compileFilter } from '../filter.ts';
import { instrument, readModule } from '../instrument/index.ts';
import { functionNames } from '../instrument/names.ts';
import { parse, readInput, UsageError } from './usage.ts';

const HELP = `usage: fprobe list FILE.wasm [-f GLOB]… [-n GLOB]… [--json]

The functions of FILE.wasm: address (offset of the body in the file), size in bytes, type, name.
Functions that cannot be probed are marked «notrace», with the reason.

  -f, --filter GLOB    only functions whose name matches (several: any of them)
  -n, --notrace GLOB   not those
      --json           one JSON object a line, in place of columns
  -h, --help           this text

examples:
  fprobe list sqlite3.wasm -f 'sqlite3_*'
  fprobe list app.wasm --json | jq -r 'select(.size > 10000) | .name'
`;

interface Row {
  readonly address: string;
  readonly index: number;
  readonly size: number;
  readonly type?: string;
  readonly name: string;
  readonly notrace?: string;
}

export function list(args: string[]): number {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: {
      filter: { type: 'string', short: 'f', multiple: true },
      notrace: { type: 'string', short: 'n', multiple: true },
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

  const matches = compileFilter({ filter: values.filter, notrace: values.notrace });
  const rows = readRows(path).filter(({ name }) => matches(name));
  if (rows.length === 0 && values.filter)
    throw new UsageError(`list: nothing in ${path} matches ${values.filter.join(' ')}`);
  process.stdout.write(values.json ? asJson(rows) : asColumns(rows));
  return 0;
}

function readRows(path: string): Row[] {
  const bytes = readInput(path);
  try {
    const name = functionNames(readModule(bytes));
    const { sites, skipped } = instrument(bytes, { validate: false, growth: 0 });
    const place = (index: number, offset: number, size: number) => ({
      address: `0x${offset.toString(16)}`,
      index,
      size,
    });
    return [
      ...sites.map(({ index, offset, size, params, results }): Row => {
        const type = `(${params.join(', ')}) → (${results.join(', ')})`;
        return { ...place(index, offset, size), type, name: name(index) };
      }),
      ...skipped.map(({ index, offset, size, reason, why }): Row => {
        return { ...place(index, offset, size), name: name(index), notrace: `${reason}: ${why}` };
      }),
    ].sort((a, b) => a.index - b.index);
  } catch (error) {
    if (error instanceof WasmFormatError) throw new UsageError(`${path}: ${error.message}`);
    throw error;
  }
}

const asJson = (rows: readonly Row[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

function asColumns(rows: readonly Row[]): string {
  return rows
    .map(({ address, size, name, type = '', notrace }) => {
      const columns = `${address.padStart(10)} ${String(size).padStart(8)}  `;
      return notrace ? `${columns}${name}  notrace (${notrace})\n` : `${columns}${name} ${type}\n`;
    })
    .join('');
}
