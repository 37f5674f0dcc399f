// Box2D, 2D physics in C++: SIMD, over a thousand exports, and contact listeners written in JavaScript that the module
// calls in the middle of a step and that call exports in turn.
import {
  type Bytes,
  bytesOf,
  digest,
  type InstantiateWasm,
  type Program,
  requireFresh,
  throughHook,
  withoutListeners,
} from './program.ts';

// biome-ignore lint/suspicious/noExplicitAny: the package's types need emscripten's as globals.
type Module = any;
type Factory = (options: { instantiateWasm: InstantiateWasm }) => Promise<Module>;

const wasm = (): Bytes => bytesOf('box2d-wasm/dist/umd/Box2D.simd.wasm');

export const box2d: Program = {
  name: 'box2d',
  package: 'box2d-wasm',
  language: 'C++',
  wasm,
  async start(instantiate) {
    const factory = requireFresh('box2d-wasm') as Factory;
    const module = await withoutListeners(() =>
      throughHook(instantiate, wasm(), (instantiateWasm) => factory({ instantiateWasm })),
    );
    return { run: (scale = 1) => simulate(module, scale) };
  },
};

function simulate(box2d: Module, scale: number): string {
  const { b2Vec2, b2BodyDef, b2PolygonShape, b2CircleShape, JSContactListener, JSRayCastCallback, wrapPointer } = box2d;
  const gravity = new b2Vec2(0, -10);
  const world = new box2d.b2World(gravity);
  const contacts: number[] = [0, 0, 0, 0];
  const listener = Object.assign(new JSContactListener(), {
    BeginContact(contact: number) {
      contacts[0]++;
      contacts[1] += wrapPointer(contact, box2d.b2Contact).GetFixtureA().GetShape().GetType();
    },
    EndContact: () => void contacts[2]++,
    PreSolve: () => {},
    PostSolve(_contact: number, impulse: number) {
      contacts[3] += wrapPointer(impulse, box2d.b2ContactImpulse).get_count();
    },
  });
  world.SetContactListener(listener);

  const add = (shape: Module, x: number, y: number, density: number) => {
    const definition = new b2BodyDef();
    const position = new b2Vec2(x, y);
    if (density > 0) definition.set_type(box2d.b2_dynamicBody);
    definition.set_position(position);
    const body = world.CreateBody(definition);
    body.CreateFixture(shape, density);
    box2d.destroy(definition);
    box2d.destroy(position);
    return body;
  };
  const ground = new b2PolygonShape();
  ground.SetAsBox(60, 1);
  const box = new b2PolygonShape();
  box.SetAsBox(0.5, 0.5);
  const ball = new b2CircleShape();
  ball.set_m_radius(0.4);
  add(ground, 0, -1, 0);
  const bodies: Module[] = [];
  for (let row = 0; row < 14; row++) {
    for (let column = row; column < 14; column++)
      bodies.push(add(box, (column - row / 2) * 1.1 - 8, 0.6 + row * 1.02, 2));
  }
  for (let index = 0; index < 30; index++) bodies.push(add(ball, (index % 10) - 12, 20 + index, 1));

  const lines: string[] = [];
  for (let step = 0; step < 400 * scale; step++) {
    world.Step(1 / 60, 8, 3);
    if (step % 100 !== 99) continue;
    const state = bodies.map(
      (body) => `${body.GetPosition().get_x()} ${body.GetPosition().get_y()} ${body.GetAngle()}`,
    );
    lines.push(`step ${step}: ${digest(state.join('\n'))} contacts ${contacts} ${world.GetContactCount()}`);
  }

  let fractions = 0;
  const callback = Object.assign(new JSRayCastCallback(), {
    ReportFixture(_fixture: number, _point: number, _normal: number, fraction: number) {
      fractions += fraction;
      return 1;
    },
  });
  const from = new b2Vec2(-20, 0.5);
  const to = new b2Vec2(20, 3);
  world.RayCast(callback, from, to);
  lines.push(`ray ${fractions}`);
  for (const object of [from, to, callback, ball, box, ground]) box2d.destroy(object);
  for (const body of bodies) world.DestroyBody(body);
  lines.push(`bodies left ${world.GetBodyCount()}`);
  for (const object of [world, listener, gravity]) box2d.destroy(object);
  return lines.join('\n');
}
