// The cases of spec/testcases.md that are about probes, on functions of JavaScript.

import { Tracer } from '../../src/index.ts';
import type { Fixture, Functions } from './fixture.ts';
import { stress } from './stress.ts';
import { sectionA } from './suite.ts';
import { unitSuite } from './unit-suite.ts';

type Program = Functions & Record<string, (value: number) => unknown>;

async function make(stackWords?: number): Promise<Fixture> {
  const tracer = await Tracer.create({ clock: 'counter', stackWords });
  const program = {} as Program;
  const add = (name: string, fn: (value: number) => unknown): void => {
    Object.assign(program, { [name]: tracer.wrap(fn, name) });
  };
  const load = async (): Promise<void> => {
    add('fa', (v) => {
      fixture.inside();
      return Math.trunc(v / 3);
    });
    add('fb', (v) => Math.trunc(v / 3) + 1);
    for (let k = 1; k <= 8; k++) add(`f${k}`, (v) => v + k);
    add('trigger', () => {
      for (let k = 1; k <= 8; k++) program[`f${k}`](1);
    });
    add('rec', (n) => (n === 0 ? 0 : program.rec(n - 1) + 1));
  };
  const fixture: Fixture = {
    tracer,
    call: program,
    inside: () => {},
    ip: (name) => [...tracer.targets].flatMap(({ sites }) => sites).find((site) => site.name === name)!.ip,
    get traceable() {
      return [...tracer.targets].flatMap(({ sites }) => sites).length;
    },
    unload: () => {
      for (const target of tracer.targets) tracer.detach(target);
    },
    load,
  };
  await load();
  return fixture;
}

sectionA('js', make);
unitSuite('js', make);
stress('js', make);
