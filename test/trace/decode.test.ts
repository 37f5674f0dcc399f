import { describe, expect, test } from 'vitest';
import {
  NOTE_ARGUMENTS,
  NOTE_CALLER,
  NOTE_REPEATS,
  NOTE_RESULT,
  NOTE_STACK,
  NOTE_WORDS_SHIFT,
  RECORD_DEPTH,
  RECORD_ENTRY,
  RECORD_FUNCTION,
  RECORD_PAYLOAD_SHIFT,
  RECORD_RETURN,
  RECORD_RETURN_LONG,
  RECORD_SITE_MAX,
  RECORD_TASK,
  RECORD_TIME,
  RECORD_TYPE_MASK,
  RECORD_UNWOUND,
  RING_PAGE_DEPTH,
  RING_PAGE_HEADER_SIZE,
  RING_PAGE_SIZE,
  RING_PAGE_TIME,
  RING_PAGE_USED,
} from '../../assembly/ring-layout.ts';
import { decodePage, PAGE_RECORDS_MAX, pageBatch } from '../../src/trace/decode.ts';
import { type Batch, ENTRY, FUNCTION, LOST, RETURN, TraceEvent, UNWOUND } from '../../src/trace/events.ts';
import { PageWriter } from './pages.ts';
import { seeded } from './random.ts';

const batch = pageBatch();

// kind, function (or how many were lost), depth, time, call
type Row = [kind: number, func: number, depth: number, time: number, call: number];

function rows(from: Batch): Row[] {
  return Array.from({ length: from.count }, (_, i) => [
    from.kind[i],
    from.func[i],
    from.depth[i],
    from.time[i],
    from.call[i],
  ]);
}

function decode(page: PageWriter, used?: number): { sound: boolean; rows: Row[] } {
  const sound = decodePage(page.words, 0, batch, used);
  return { sound, rows: rows(batch) };
}

describe('pages', () => {
  test('depth and call time follow from the records before', () => {
    const page = new PageWriter(100, 2).entry(7, 5).entry(8, 1).return(8, 4).depth(2).returnLong(6, 1, 40);
    expect(decode(page)).toEqual({
      sound: true,
      rows: [
        [ENTRY, 7, 2, 105, 105],
        [ENTRY, 8, 3, 106, 106],
        [RETURN, 8, 3, 110, 106],
        [RETURN, 6, 1, 111, 40],
      ],
    });
  });

  test('a stated depth holds from there on', () => {
    const page = new PageWriter(0, 0).entry(1, 1).depth(5).entry(2, 1).return(2, 1).depth(1).return(1, 1).entry(3, 1);
    expect(decode(page).rows.map(([, func, depth]) => [func, depth])).toEqual([
      [1, 0],
      [2, 5],
      [2, 5],
      [1, 0],
      [3, 0],
    ]);
  });

  test('a stated time replaces the clock, 32-bit differences go on from it', () => {
    const far = 2 ** 45 + 12345;
    const page = new PageWriter(50, 0).entry(1, 0xffff_ffff).time(far).return(1, 0).entry(2, 3);
    expect(decode(page).rows).toEqual([
      [ENTRY, 1, 0, 50 + 0xffff_ffff, 50 + 0xffff_ffff],
      [RETURN, 1, 0, far, 50 + 0xffff_ffff],
      [ENTRY, 2, 0, far + 3, far + 3],
    ]);
  });

  test('an unwound frame ends like a return', () => {
    const page = new PageWriter(1000, 1).entry(4, 1).unwound(4, 2, 1001).unwound(3, 0, 900).entry(5, 1);
    expect(decode(page).rows).toEqual([
      [ENTRY, 4, 1, 1001, 1001],
      [UNWOUND, 4, 1, 1003, 1001],
      [UNWOUND, 3, 0, 1003, 900],
      [ENTRY, 5, 0, 1004, 1004],
    ]);
  });

  test('a call after its return is as long as can be told: not at all', () => {
    const page = new PageWriter(100, 0).entry(4, 1).returnLong(4, 2, 5000).entry(5, 1).unwound(5, 2, 5000);
    const { sound, rows } = decode(page);
    expect(sound).toBe(true);
    expect([rows[1], rows[3]]).toEqual([
      [RETURN, 4, 0, 103, 103],
      [UNWOUND, 5, 0, 106, 106],
    ]);
  });

  test('the largest site id', () => {
    expect(decode(new PageWriter(0, 0).entry(RECORD_SITE_MAX, 1)).rows).toEqual([[ENTRY, RECORD_SITE_MAX, 0, 1, 1]]);
  });

  test('function events: the caller and the task, beside the frames', () => {
    const page = new PageWriter(100, 0).record(RECORD_TASK, 7, 0).record(RECORD_FUNCTION, 3, 5, 2 ** 33 + 1);
    page.entry(4, 1).record(RECORD_TASK, 9, 0).record(RECORD_FUNCTION, 5, 2, 0).return(4, 1);
    expect(decode(page)).toEqual({
      sound: true,
      rows: [
        [FUNCTION, 3, 0, 105, 2 ** 33 + 1],
        [ENTRY, 4, 0, 106, 106],
        [FUNCTION, 5, 1, 108, 0],
        [RETURN, 4, 0, 109, 106],
      ],
    });
    expect([batch.pid[0], batch.pid[2]]).toEqual([7, 9]);
    expect(decode(new PageWriter(0, 0).record(RECORD_TASK, 7, 1)).sound).toBe(false);
    expect(decode(new PageWriter(0, 0).record(RECORD_FUNCTION, 3, 5)).sound).toBe(false);
  });

  test('notes belong to the event in front of them', () => {
    const page = new PageWriter(0, 0, 3)
      .entry(1, 1)
      .note(NOTE_CALLER, 2n ** 64n - 1n)
      .note(NOTE_ARGUMENTS, 1n, 2n);
    page.entry(2, 1).note(NOTE_ARGUMENTS).return(2, 1).note(NOTE_RESULT, 5n).returnLong(1, 1, 1).entry(3, 1);
    const { sound, rows } = decode(page);
    expect(sound).toBe(true);
    expect(rows.map(([kind]) => kind)).toEqual([LOST, ENTRY, ENTRY, RETURN, RETURN, ENTRY]);
    const event = new TraceEvent();
    const notes = (i: number) => {
      batch.read(i, event);
      return [event.retaddr, event.args, event.retval];
    };
    const expected = [
      [null, null, null],
      [2n ** 64n - 1n, [1n, 2n], null],
      [null, [], null],
      [null, null, 5n],
      [null, null, null],
      [null, null, null],
    ];
    expect(expected.map((_, i) => notes(i))).toEqual(expected);
    for (const i of [4, 1, 1, 3, 0, 2]) expect(notes(i)).toEqual(expected[i]); // in any order
    decode(new PageWriter(0, 0).entry(1, 1));
    expect(notes(0)).toEqual([null, null, null]);
  });

  test('a page full of notes', () => {
    const page = new PageWriter(0, 0).entry(1, 1);
    while (page.room >= 32) page.return(1, 0).note(NOTE_RESULT, 7n).entry(1, 0);
    expect(decode(page).sound).toBe(true);
  });

  test('a return belongs to the newest entry at its depth', () => {
    const page = new PageWriter(0, 0).entry(1, 1).depth(0).entry(1, 1).return(1, 1);
    expect(decode(page).rows.at(-1)).toEqual([RETURN, 1, 0, 3, 2]);
  });

  test('what was lost before the page comes first', () => {
    expect(decode(new PageWriter(77, 0, 12).entry(1, 1)).rows).toEqual([
      [LOST, 12, 0, 77, 77],
      [ENTRY, 1, 0, 78, 78],
    ]);
    const event = new TraceEvent();
    batch.read(0, event);
    expect([event.kind, event.count, event.func]).toEqual([LOST, 12, 0]);
  });

  test('used may be given: only whole records before it are read', () => {
    const page = new PageWriter(0, 0).entry(1, 1).entry(2, 1);
    expect(decode(page, 8).rows).toEqual([[ENTRY, 1, 0, 1, 1]]);
    expect(decode(page, 0)).toEqual({ sound: true, rows: [] });
  });

  test('a full page fills the batch and no more', () => {
    const page = new PageWriter(0, 0, 3);
    while (page.room >= 8) page.entry(1, 1);
    expect(decode(page).sound).toBe(true);
    expect(batch.count).toBe(PAGE_RECORDS_MAX + 1);
    expect(batch.capacity).toBeGreaterThan(batch.count); // room for a loss behind it
  });

  test('pages lie anywhere in memory', () => {
    const words = new Uint32Array(3 * (RING_PAGE_SIZE / 4));
    words.set(new PageWriter(9, 0).entry(1, 1).words, 2 * (RING_PAGE_SIZE / 4));
    expect(decodePage(words, 2 * RING_PAGE_SIZE, batch)).toBe(true);
    expect(rows(batch)).toEqual([[ENTRY, 1, 0, 10, 10]]);
  });
});

describe('damaged pages end with an unknown loss', () => {
  const start = (): PageWriter => new PageWriter(100, 0).entry(1, 1);
  const patched = (page: PageWriter, offset: number, value: number): PageWriter => {
    page.words[offset / 4] = value;
    return page;
  };
  test.each([
    ['type 0', start().record(0, 5, 1)],
    ['type 7', start().record(7, 5, 1)],
    ['return of another function', start().return(2, 1)],
    ['return without entry', start().return(1, 1).depth(4).return(1, 1), 2],
    ['return of an entry whose place another took', start().depth(0).entry(2, 1).return(2, 1).depth(1).return(1, 1), 3],
    ['return below the bottom', start().return(1, 1).returnLong(1, 1, 0), 2],
    ['long return with a call time past 2^53', start().record(RECORD_RETURN_LONG, 1, 1, 2n ** 53n)],
    ['unwound without its second word', start().record(RECORD_UNWOUND, 1, 1)],
    ['time without its second word', start().record(RECORD_TIME, 0, 0)],
    ['time that goes back', start().time(100)],
    ['depth that no stack has', start().depth(RECORD_SITE_MAX)],
    ['a note of no kind', start().note(0, 1n)],
    ['a note of a kind that there is not', start().note(7, 1n)],
    ['a note with time in it', start().record(RECORD_TIME, NOTE_ARGUMENTS, 1)],
    ['a note that is longer than the page', start().record(RECORD_TIME, (600 << NOTE_WORDS_SHIFT) | NOTE_ARGUMENTS, 0)],
    ['a note whose words are missing', start().record(RECORD_TIME, (2 << NOTE_WORDS_SHIFT) | NOTE_ARGUMENTS, 0, 5)],
    ['seven arguments', start().note(NOTE_ARGUMENTS, 1n, 2n, 3n, 4n, 5n, 6n, 7n)],
    ['arguments twice', start().note(NOTE_ARGUMENTS, 1n).note(NOTE_ARGUMENTS, 1n)],
    ['two callers', start().note(NOTE_CALLER, 1n, 2n)],
    ['half of what repeats are', start().record(RECORD_FUNCTION, 1, 1, 0).note(NOTE_REPEATS, 1n, 2n), 2],
    ['repeats of an entry', start().note(NOTE_REPEATS, 1n, 2n, 3n, 4n)],
    ['the stack of an entry', start().note(NOTE_STACK, 1n)],
    ['the caller of a function', start().record(RECORD_FUNCTION, 1, 1, 0).note(NOTE_CALLER, 1n), 2],
    [
      'a stack of 257',
      start()
        .record(RECORD_FUNCTION, 1, 1, 0)
        .note(NOTE_STACK, ...Array(257).fill(1n)),
      2,
    ],
    ['the result of an entry', start().note(NOTE_RESULT, 1n)],
    ['arguments of a return', start().return(1, 1).note(NOTE_ARGUMENTS, 1n), 2],
    ['the result of what was left otherwise', start().unwound(1, 1, 101).note(NOTE_RESULT, 1n), 2],
  ])('%s', (_, page: PageWriter, before = 1) => {
    const { sound, rows } = decode(page);
    expect(sound).toBe(false);
    expect(rows).toHaveLength(before + 1);
    expect(rows.at(-1)!.slice(0, 2)).toEqual([LOST, 0]);
  });

  test.each([
    ['used past the page', patched(start(), RING_PAGE_USED, RING_PAGE_SIZE)],
    ['used in the middle of a record', patched(start(), RING_PAGE_USED, 4)],
    ['depth below 0', patched(start(), RING_PAGE_DEPTH, -1)],
    ['time past 2^53', patched(start(), RING_PAGE_TIME + 4, 2 ** 21)],
  ])('%s', (_, page) => {
    const { sound, rows } = decode(page);
    expect(sound).toBe(false);
    expect(rows.map(([kind, count]) => [kind, count])).toEqual([[LOST, 0]]);
  });

  test('a page outside of memory', () => {
    expect(decodePage(new Uint32Array(16), 0, batch)).toBe(false);
    expect(rows(batch)).toEqual([[LOST, 0, 0, 0, 0]]);
    expect(decodePage(new Uint32Array(1024), RING_PAGE_SIZE, batch)).toBe(false);
    expect(decodePage(new Uint32Array(1024), 0xffff_f000, batch)).toBe(false);
  });
});

// The page read slowly: BigInt arithmetic, a list of open entries, no shortcuts.
function naive(bytes: Uint8Array): Row[] {
  const view = new DataView(bytes.buffer);
  let time = view.getBigUint64(RING_PAGE_TIME, true);
  let depth = view.getInt32(RING_PAGE_DEPTH, true);
  const open = new Map<number, bigint>();
  const out: Row[] = [];
  const end = RING_PAGE_HEADER_SIZE + view.getUint32(RING_PAGE_USED, true);
  let at = RING_PAGE_HEADER_SIZE;
  const word = (): bigint => {
    at += 8;
    return view.getBigUint64(at, true);
  };
  for (; at < end; at += 8) {
    const low = view.getUint32(at, true);
    const type = low & RECORD_TYPE_MASK;
    const payload = low >>> RECORD_PAYLOAD_SHIFT;
    time += BigInt(view.getUint32(at + 4, true));
    if (type === RECORD_ENTRY) {
      open.set(depth, time);
      out.push([ENTRY, payload, depth++, Number(time), Number(time)]);
    } else if (type === RECORD_RETURN) {
      out.push([RETURN, payload, --depth, Number(time), Number(open.get(depth)!)]);
    } else if (type === RECORD_RETURN_LONG) {
      out.push([RETURN, payload, --depth, Number(time), Number(word())]);
    } else if (type === RECORD_UNWOUND) {
      out.push([UNWOUND, payload, --depth, Number(time), Number(word())]);
    } else if (type === RECORD_DEPTH) {
      depth = payload;
    } else {
      time = word();
    }
  }
  return out;
}

test('random programs over many pages agree with a naive reader', () => {
  const { random, seed } = seeded();
  const stack: { func: number; call: number; depth: number }[] = [];
  let time = 5000;
  for (let p = 0; p < 200; p++) {
    const base = time;
    let expected = stack.length === 0 ? 0 : stack.at(-1)!.depth + 1; // depth that the reader assumes for the next entry
    const page = new PageWriter(time, expected);
    while (page.room >= 48) {
      let delta = random(1000);
      time += delta;
      if (random(50) === 0) {
        time += 2 ** 33;
        delta = 0;
        page.time(time);
      }
      if (stack.length === 0 || random(20) < 10) {
        const depth = (stack.at(-1)?.depth ?? -1) + 1 + (random(10) === 0 ? random(3) : 0); // others may have frames between
        if (depth !== expected) page.depth(depth);
        stack.push({ func: random(1000), call: time, depth });
        page.entry(stack.at(-1)!.func, delta);
        expected = depth + 1;
      } else {
        const { func, call, depth } = stack.pop()!;
        if (depth + 1 !== expected) page.depth(depth + 1);
        if (random(10) === 0) page.unwound(func, delta, call);
        else if (call <= base) page.returnLong(func, delta, call);
        else page.return(func, delta);
        expected = depth;
      }
    }
    expect(decodePage(page.words, 0, batch), `seed ${seed} page ${p}`).toBe(true);
    expect(rows(batch), `seed ${seed} page ${p}`).toEqual(naive(page.bytes));
  }
});

test('garbage never throws, never overflows the batch, and yields sound events', () => {
  const { random, seed } = seeded();
  const words = new Uint32Array(RING_PAGE_SIZE / 4);
  for (let round = 0; round < 3000; round++) {
    const page = new PageWriter(random(2 ** 31), random(30), random(3)).entry(1, 2).entry(2, 2).return(2, 1);
    while (page.room >= 16)
      page.record(
        random(8),
        random(random(2) === 0 ? 4 : 2 ** 29),
        random(100),
        random(4) === 0 ? random(2 ** 31) : undefined,
      );
    words.set(page.words);
    for (let hits = random(20); hits > 0; hits--) words[random(random(2) === 0 ? 6 : words.length)] = random(2 ** 32);
    const sound = decodePage(words, 0, batch);
    expect(batch.count, `seed ${seed}`).toBeLessThanOrEqual(batch.capacity);
    let last = 0;
    for (const [kind, , depth, time, call] of rows(batch)) {
      const isCall = kind === FUNCTION; // its `call` is an address
      const known = isCall || [ENTRY, RETURN, UNWOUND, LOST].includes(kind);
      if ((call > time && !isCall) || time < last || depth < 0 || !known) {
        expect.fail(`seed ${seed} round ${round}: ${[kind, depth, time, call]}`);
      }
      last = time;
    }
    if (!sound) expect(batch.kind[batch.count - 1]).toBe(LOST);
  }
});
