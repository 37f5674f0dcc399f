// Yoga, flexible-box layout in C++ by embind: small functions that call one another recursively through the tree, and
// measure functions written in JavaScript that are called back in the middle of it.
import type { loadYoga, Node } from 'yoga-layout/load';
import { type Bytes, digest, outcome, type Program, randomNumbers, textOf, throughGlobal } from './program.ts';

/// Runs of one session in which the exception is really thrown; later ones repeat what it said.
const REFUSALS_MAX = 40;

type Yoga = Awaited<ReturnType<typeof loadYoga>>;

function wasm(): Bytes {
  const glue = textOf('yoga-layout/dist/binaries/yoga-wasm-base64-esm.js');
  return new Uint8Array(Buffer.from(/base64,([A-Za-z0-9+/=]+)/.exec(glue)![1], 'base64'));
}

export const yoga: Program = {
  name: 'yoga',
  package: 'yoga-layout',
  language: 'C++',
  wasm,
  async start(instantiate) {
    const { loadYoga } = await import('yoga-layout/load');
    const yoga = await throughGlobal(instantiate, wasm(), () => loadYoga());
    let refusals = 0;
    let refused = '';
    return {
      run(scale = 1) {
        const lines = layOut(yoga, scale);
        // Nobody puts the module's own stack pointer back when the exception passes: its stack lasts for 70 of them.
        if (refusals++ < REFUSALS_MAX) refused = outcome(() => refuse(yoga));
        return [...lines, refused].join('\n');
      },
    };
  },
};

function layOut(yoga: Yoga, scale: number): string[] {
  const random = randomNumbers(3);
  let measured = 0;
  const build = (depth: number): Node => {
    const node = yoga.Node.create();
    node.setFlexDirection(random(4));
    node.setJustifyContent(random(6));
    node.setAlignItems(random(5));
    node.setFlexWrap(random(3));
    node.setMargin(random(9), random(6));
    node.setPadding(random(9), random(4));
    node.setFlexGrow(random(3));
    node.setFlexShrink(random(2));
    if (random(3) === 0) node.setWidth(`${20 + random(70)}%`);
    if (random(4) === 0) node.setMinHeight(random(40));
    if (random(6) === 0) node.setAspectRatio(0.5 + random(4) / 2);
    if (depth === 0) {
      const width = 5 + random(80);
      node.setMeasureFunc((available) => {
        measured++;
        return { width: Math.min(width, available || width), height: 8 + (width % 7) };
      });
    }
    for (let child = 0; depth > 0 && child < 4; child++) node.insertChild(build(depth - 1), child);
    return node;
  };
  const lines: string[] = [];
  for (let round = 0; round < 8 * scale; round++) {
    const root = build(4);
    for (const width of [320, 800]) {
      root.calculateLayout(width, undefined, 1 + (round % 2));
      const boxes: string[] = [];
      collect(root, boxes);
      lines.push(`${width}: ${boxes.length} boxes ${digest(boxes.join('\n'))} measured ${measured}`);
    }
    const child = root.getChild(1);
    child.setWidth(33);
    child.getChild(0).getChild(2).setFlexBasis(11);
    root.calculateLayout(undefined, 500);
    lines.push(`again: ${JSON.stringify(child.getComputedLayout())} ${root.getChildCount()}`);
    root.freeRecursive();
  }
  return lines;
}

/// A measure function that throws, four levels below the call: the exception passes through the module's frames.
function refuse(yoga: Yoga): void {
  const nodes = Array.from({ length: 5 }, () => yoga.Node.create());
  for (let level = 1; level < nodes.length; level++) nodes[level - 1].insertChild(nodes[level], 0);
  nodes[nodes.length - 1].setMeasureFunc(() => {
    throw new Error('cannot be measured');
  });
  try {
    nodes[0].calculateLayout(100, 100);
  } finally {
    nodes[0].freeRecursive();
  }
}

function collect(node: Node, boxes: string[]): void {
  const { left, top, width, height } = node.getComputedLayout();
  boxes.push(`${left} ${top} ${width} ${height}`);
  for (let index = 0; index < node.getChildCount(); index++) collect(node.getChild(index), boxes);
}
