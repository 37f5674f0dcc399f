// Requests and recordings on their way through files: what was written is read, and what was damaged is refused with the place.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { assembleText } from '../bench/shapes.ts';
import { Tracer } from '../src/index.ts';
import {
  decodeRecording,
  encodeRows,
  listRecordings,
  RecordingError,
  type RecordingHeader,
  readRecording,
  recordingPath,
  recordingSources,
  writeRecording,
} from '../src/recording.ts';
import { readRequest, sessionEnvironment, type TraceRequest, writeRequest } from '../src/session.ts';
import { ENTRY, TraceEvent } from '../src/trace/events.ts';
import { GraphText } from '../src/trace/graph-text.ts';
import { Merge } from '../src/trace/merge.ts';

const folder = mkdtempSync(join(tmpdir(), 'fprobe-recording-'));
afterAll(() => rmSync(folder, { recursive: true }));

const HEADER: RecordingHeader = {
  pid: 7,
  ppid: 1,
  tid: 2,
  comm: 'naïve.mjs',
  command: ['node', 'naïve.mjs'],
  began: 10,
  ended: 2e9,
  end: 'exit',
  clock: 'counter',
  clockOffset: 0,
  tracer: 'function_graph',
  modules: [
    { name: 'm', functions: 2, notrace: 0, matched: 2, size: 9, instrumentedSize: 10, loadTime: 1.5, cached: false },
  ],
  symbols: [{ site: 0, name: 'main', module: 0, index: 1, offset: 33, ip: 33, size: 8 }],
  tasks: [],
  globs: [{ option: 'filter', glob: 'x*', matched: 0, nearest: ['y'] }],
  counts: { entries: 2, returns: 2, unwound: 0, overrun: 0, stray: 0 },
  lost: 3,
  verify: { samples: 9, differences: 0, examples: [] },
  notes: ['a note'],
};

describe('recordings', () => {
  test('pages come back as the events that they were, on the session’s clock', async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    const bytes = await assembleText('rec', '(module (func $leaf) (func (export "main") (call $leaf) (call $leaf)))');
    const { instance } = await tracer.instantiate(bytes);
    const graph = tracer.startGraph();
    (instance.exports.main as () => void)();
    const path = recordingPath(folder, 7, 2);
    writeRecording(path, { ...HEADER, clockOffset: 5000 }, graph.rawPages());
    const recording = readRecording(path);
    expect(recording).toMatchObject({ ...HEADER, clockOffset: 5000 });
    expect(recording.rows).toEqual([]);
    const text = new GraphText({}, { symbol: (site) => `f${site}`, comm: () => '' });
    const event = new TraceEvent();
    const merge = new Merge([...recordingSources(recording, 3)]);
    let printed = '';
    while (merge.next(event)) {
      expect(event).toMatchObject({ cpu: 3, pid: 7 });
      expect(event.time).toBeGreaterThan(5000);
      printed += text.push(event);
    }
    expect((printed + text.end()).split('\n').map((line) => line.slice(line.indexOf('f')))).toEqual(
      expect.arrayContaining(['f1() {', 'f0();', 'f0();']),
    );
  });

  test('each task’s pages come back as its own', async () => {
    const tracer = await Tracer.create({ clock: 'counter' });
    const { f } = tracer.attachModule({ f: () => 1 }).exports;
    const graph = tracer.startGraph({ bufferPages: 1 });
    const task = tracer.createTask({ comm: 'coro', pid: 9 });
    f();
    task.run(f);
    task.run(f);
    f();
    const [own, other] = graph.rawTasks();
    const path = recordingPath(folder, 7, 2);
    const tasks = [{ pid: 9, comm: 'coro', pages: other.pages.length }];
    writeRecording(path, { ...HEADER, tasks }, [...own.pages, ...other.pages]);
    const merge = new Merge(recordingSources(readRecording(path), 0));
    const event = new TraceEvent();
    const seen: number[] = [];
    while (merge.next(event)) if (event.kind === ENTRY) seen.push(event.pid);
    expect(seen).toEqual([7, 9, 9, 7]);
  });

  test('rows come back as they were', () => {
    const rows = [
      { site: 5, count: 3, total: 2 ** 52, self: 0.5, max: 9 },
      { site: 6, count: 1, total: 1, self: 1, max: 1 },
    ];
    const path = recordingPath(folder, 7, 10);
    writeRecording(path, { ...HEADER, tracer: 'profile', verify: undefined }, [encodeRows(rows)]);
    const recording = readRecording(path);
    expect(recording.rows).toEqual(rows);
    expect(recording.verify).toBeUndefined();
    writeRecording(path, { ...HEADER, tracer: 'profile' }, [encodeRows([])]);
    expect(readRecording(path).rows).toEqual([]);
    expect(listRecordings(folder).map((file) => file.slice(folder.length + 1))).toEqual(['7-2.fprobe', '7-10.fprobe']);
  });

  test('what is cut, changed or foreign is refused with file and offset', () => {
    const path = recordingPath(folder, 8, 0);
    writeRecording(path, HEADER, [new Uint8Array(8192)]);
    const whole = readFileSync(path);
    const refused = (bytes: Uint8Array): RecordingError => {
      try {
        decodeRecording('F', bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RecordingError);
        return error as RecordingError;
      }
      throw new Error('was accepted');
    };
    expect(decodeRecording('F', whole).pages.length).toBe(2048);
    expect(refused(whole.subarray(0, 11)).message).toBe(
      'F: unexpected end at byte 11, expected the start of a recording',
    );
    expect(refused(whole.subarray(0, 4000)).message).toMatch(/^F: unexpected end at byte 4000, expected \d+ bytes$/);
    expect(refused(Buffer.concat([whole, Buffer.of(0)]))).toMatchObject({ offset: whole.length });
    expect(refused(Buffer.from('{"not": "a recording, whatever its size is"}'))).toMatchObject({ offset: 0 });
    const version = Buffer.from(whole);
    version[8] = 9;
    expect(refused(version).message).toBe('F: version 9 at byte 8, expected 3: use the fprobe that recorded it');
    for (const at of [24, 200, whole.length - 1]) {
      const changed = Buffer.from(whole);
      changed[at] ^= 1;
      expect(refused(changed)).toMatchObject({ offset: 20, file: 'F' });
    }
    writeRecording(path, { ...HEADER, symbols: 5 as never }, []);
    expect(refused(readFileSync(path)).message).toBe(
      'F: header with symbols: number at byte 24, expected symbols: list',
    );
    writeRecording(path, { ...HEADER, symbols: [null as never] }, []);
    expect(refused(readFileSync(path)).message).toBe(
      'F: header with an odd symbols[0] at byte 24, expected symbols: list of objects',
    );
    writeRecording(path, { ...HEADER, tasks: [{ pid: 9, comm: '', pages: 3 }] }, [new Uint8Array(8192)]);
    expect(refused(readFileSync(path)).message).toBe(
      'F: 8192 bytes of pages at byte 16, expected those of the 1 tasks',
    );
    writeRecording(path, null as never, []);
    expect(refused(readFileSync(path)).message).toMatch(/^F: header with pid: undefined at byte 24/);
    writeRecording(path, { ...HEADER, tracer: 'profile' }, [new Uint8Array(41)]);
    expect(refused(readFileSync(path)).offset).toBe(16);
  });

  test('nothing is left beside a recording, also when it cannot be written', () => {
    expect(readdirSync(folder).filter((name) => !name.endsWith('.fprobe'))).toEqual([]);
    expect(() => writeRecording(join(folder, 'none/x'), HEADER, [])).toThrow(/ENOENT/);
  });
});

describe('requests', () => {
  test('are read as they were written, with defaults for the rest', () => {
    const path = writeRequest(folder, { filter: ['a*'], verify: 100 });
    const request = readRequest(path);
    expect(request).toMatchObject({ directory: folder, filter: ['a*'], notrace: [], verify: 100, clock: 'mono' });
    expect(BigInt(request.started)).toBeLessThanOrEqual(process.hrtime.bigint());
  });

  test.each<[Partial<TraceRequest>, string]>([
    [{ tracer: 'nop' as never }, 'tracer is "nop", expected one of function_graph, function, profile'],
    [{ filter: 'a' as never }, 'filter is "a", expected a list of globs'],
    [{ bufferPages: 3 }, 'bufferPages is 3, expected a power of two up to 65536'],
    [{ maxDepth: -1 }, 'maxDepth is -1, expected a whole number of 0 or more'],
    [{ threshold: Number.NaN }, 'threshold is null, expected microseconds of 0 or more'],
    [{ pids: [1, -1] }, 'pids is [1,-1], expected a list of whole numbers from 0 to 2147483647'],
    [{ notracePids: 7 as never }, 'notracePids is 7, expected a list of whole numbers'],
    [{ functionFork: 1 as never }, 'functionFork is 1, expected true or false'],
    [{ stackWords: 3 }, 'stackWords is 3, expected 0, or 64 to 16777216'],
    [{ fliter: [] } as never, "has no field 'fliter'"],
  ])('%j is refused', (wishes, message) => {
    expect(() => writeRequest(folder, wishes)).toThrow(message);
  });

  test('one that cannot be read is named', () => {
    const path = join(folder, 'broken.json');
    writeFileSync(path, '{');
    expect(() => readRequest(path)).toThrow(path);
    expect(() => readRequest(join(folder, 'absent.json'))).toThrow('absent.json');
  });

  test('the hook comes before the options that are there', () => {
    const env = sessionEnvironment('/s/request.json', 'file:///r.js', { NODE_OPTIONS: '--no-warnings', A: 'b' });
    expect(env).toEqual({ NODE_OPTIONS: '--require=/r.js --no-warnings', A: 'b', FPROBE_REQUEST: '/s/request.json' });
    expect(sessionEnvironment('r', 'file:///a%20b/%22r.js', {}).NODE_OPTIONS).toBe('--require="/a b/\\"r.js"');
  });
});
