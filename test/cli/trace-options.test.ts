import { describe, expect, test } from 'vitest';
import { parseTraceOptions, TRACE_OPTION_NAMES } from '../../src/cli/trace-options.ts';
import { splitCommand } from '../../src/cli/usage.ts';

describe('-O', () => {
  test('every option can be switched on and off', () => {
    for (const name of TRACE_OPTION_NAMES) {
      const tracer = /^func(_|-(?!tion))/.test(name)
        ? 'function'
        : name === 'graph-time'
          ? 'profile'
          : 'function_graph';
      const on = parseTraceOptions([name], tracer);
      const off = parseTraceOptions([`no${name}`], tracer);
      const values = ({ graph, func, calls, recorded, overwrite, graphTime }: typeof on) =>
        new Set([
          ...Object.values({ ...graph, ...func, ...calls, ...recorded }),
          ...(name === 'overwrite' ? [overwrite] : name === 'graph-time' ? [graphTime] : []),
        ]);
      expect(values(on), name).toEqual(new Set([true]));
      expect(values(off), name).toEqual(new Set([false]));
    }
  });

  test('the last of two wins', () => {
    expect(parseTraceOptions(['hex', 'nohex'], 'function').func.hex).toBe(false);
  });

  test.each([
    ['funcgraph-pro', "there is no option 'funcgraph-pro'; nearest: funcgraph-proc"],
    ['nofuncgrph-cpu', "there is no option 'nofuncgrph-cpu'; nearest: funcgraph-cpu"],
    ['func-no-repeats', 'option func-no-repeats belongs to the tracer function, this is function_graph'],
    ['nograph-time', 'option graph-time belongs to the tracer profile, this is function_graph'],
    ['func-args', 'option func-args belongs to the tracer function, this is function_graph'],
    ['constructor', "there is no option 'constructor', expected one of print-parent"],
    ['', "there is no option ''"],
  ])('refuses %s', (value, message) => {
    expect(() => parseTraceOptions([value], 'function_graph')).toThrow(message);
  });
});

describe('what is recorded', () => {
  test('is asked for by the options that print it', () => {
    const { graph, recorded } = parseTraceOptions(
      ['funcgraph-args', 'funcgraph-retval', 'funcgraph-retval-hex', 'funcgraph-retaddr', 'nofuncgraph-retaddr'],
      'function_graph',
    );
    expect(recorded).toEqual({ args: true, retval: true, retaddr: false });
    expect(graph).toEqual({ retval: true, retvalHex: true, retaddr: false });
  });

  test.each(['func_stack_trace', 'func-no-repeats'])('arguments exclude %s', (other) => {
    const message = `trace: options func-args and ${other} exclude each other`;
    for (const values of [
      ['func-args', other],
      [other, 'func-args'],
    ]) {
      expect(() => parseTraceOptions(values, 'function')).toThrow(message);
    }
    expect(parseTraceOptions(['func-args', other, `no${other}`], 'function').recorded.args).toBe(true);
  });
});

describe('options end where the command begins', () => {
  const options = {
    filter: { type: 'string', short: 'l', multiple: true },
    help: { type: 'boolean', short: 'h' },
  } as const;

  test.each<[string, string, string]>([
    ['-l a -- node -l b', '-l a', 'node -l b'],
    ['-l a node -l b', '-l a', 'node -l b'],
    ['-la node x -h', '-la', 'node x -h'],
    ['--filter=a -l b npm run x -- y', '--filter=a -l b', 'npm run x -- y'],
    ['-l a', '-l a', ''],
    ['--', '', ''],
    ['-- -h', '', '-h'],
  ])('%s', (line, own, command) => {
    const words = (text: string) => text.split(' ').filter(Boolean);
    expect(splitCommand(words(line), options)).toEqual([words(own), words(command)]);
  });
});
