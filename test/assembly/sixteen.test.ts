// All sixteen users of the function graph at once: filters and data of their own, and indices that change hands while frames are
// in flight (spec/fgraph.md §2, §16).

import { expect, test } from 'vitest';
import * as layout from '../../assembly/layout.ts';
import { freshEngine } from './engine.ts';

const { GOPS_HOST } = layout;
const ALL = 16;
const RETURN = 100; // added to an entry handler's id

test('each is called where its filter says, in order, and finds its own data at the exit', async () => {
  const called: string[] = [];
  const engine = await freshEngine({
    call(handler, user, site) {
      const isEntry = handler < RETURN;
      const bytes = 1 + user * 17; // 1 … 256
      called.push(`${isEntry ? 'entry' : 'return'} ${user} ${site}`);
      const words = Math.ceil(bytes / 8);
      const at = isEntry ? exports.reserve(user, bytes) : exports.retrieve(user);
      expect(at, `data of user ${user}`).not.toBe(0);
      if (!isEntry) expect(exports.retrieve_size(user)).toBe(words * 8);
      for (let word = 0; word < words; word++) {
        const value = user * 1e6 + site * 1e3 + word;
        if (isEntry) memory.store64(at + 8 * word, value);
        else expect(memory.load64(at + 8 * word)).toBe(value);
      }
      expect(exports.reserve(user, 8)).toBe(0); // once, and never at the exit
      return 1;
    },
  });
  const { exports, memory } = engine;
  exports.task_switch(engine.createTask(4096));
  engine.addSites(ALL);
  const wants = (user: number, site: number) => (site & user) === user || site === user;
  for (let user = 0; user < ALL; user++) {
    expect(engine.registerFgraph(GOPS_HOST, 1, 1 + RETURN, 0)).toBe(user);
    for (let site = 0; site < ALL; site++) exports.site_want(site, user, wants(user, site) ? 1 : 0);
  }
  expect(exports.fgraph_register(GOPS_HOST, 1, 0, 0)).toBe(-layout.ENOSPC);
  const order = (site: number) => [...Array(ALL).keys()].filter((user) => wants(user, site));
  const cookies: number[] = [];
  for (let site = 0; site < ALL; site++) {
    called.length = 0;
    cookies.push(exports.enter(site));
    expect(called).toEqual(order(site).map((user) => `entry ${user} ${site}`));
  }
  for (let site = ALL - 1; site >= 0; site--) {
    called.length = 0;
    exports.leave(cookies[site]);
    expect(called).toEqual(order(site).map((user) => `return ${user} ${site}`));
  }
  expect(memory.counts()).toEqual({ entries: ALL, returns: ALL, unwound: 0, overrun: 0, stray: 0 });
});

test('L7: an index that changes hands, between entry and exit and in the middle of an exit, brings no foreign exit or data', async () => {
  const told: string[] = [];
  let change: (() => void) | undefined;
  const engine = await freshEngine({
    call(handler, user) {
      told.push(`${handler} ${user}`);
      if (handler < RETURN) exports.reserve(user, 16);
      else expect(exports.retrieve(user)).not.toBe(0);
      change?.();
      change = undefined;
      return 1;
    },
  });
  const { exports } = engine;
  engine.addSites(1);
  for (let user = 0; user < ALL; user++) {
    engine.registerFgraph(GOPS_HOST, 1, 1 + RETURN, 0);
    exports.site_want(0, user, user < 6 ? 1 : 0);
  }
  const replace = (user: number) => {
    exports.fgraph_unregister(user);
    expect(engine.registerFgraph(GOPS_HOST, 2, 2 + RETURN, 0)).toBe(user); // the only one that is free
    exports.site_want(0, user, 1);
    expect(exports.retrieve(user)).toBe(0);
  };
  const cookie = exports.enter(0);
  expect(told).toEqual(['1 0', '1 1', '1 2', '1 3', '1 4', '1 5']);
  told.length = 0;
  replace(2);
  change = () => replace(4); // by the exit handler of user 0
  exports.leave(cookie);
  expect(told).toEqual(['101 0', '101 1', '101 3', '101 5']);
  told.length = 0;
  exports.leave(exports.enter(0));
  expect(told.slice(6)).toEqual(['101 0', '101 1', '102 2', '101 3', '102 4', '101 5']);
});
