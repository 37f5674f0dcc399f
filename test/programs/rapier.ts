// Rapier, 2D physics in Rust by wasm-bindgen: the largest Rust module here, deep generic code, hundreds of exports that
// JavaScript calls for single values.
import type { World } from '@dimforge/rapier2d-compat';
import {
  type Bytes,
  bytesOf,
  digest,
  outcome,
  type Program,
  randomNumbers,
  requireFresh,
  throughGlobal,
} from './program.ts';

type Rapier = typeof import('@dimforge/rapier2d-compat');

const wasm = (): Bytes => bytesOf('@dimforge/rapier2d-compat/dist/rapier_wasm2d_bg.wasm');

export const rapier: Program = {
  name: 'rapier',
  package: '@dimforge/rapier2d-compat',
  language: 'Rust',
  wasm,
  async start(instantiate) {
    const rapier = requireFresh('@dimforge/rapier2d-compat') as Rapier;
    await throughGlobal(instantiate, wasm(), () => rapier.init());
    return { run: (scale = 1) => simulate(rapier, scale) };
  },
};

function simulate(rapier: Rapier, scale: number): string {
  const random = randomNumbers(5);
  const world = new rapier.World({ x: 0, y: -9.81 });
  const events = new rapier.EventQueue(true);
  world.createCollider(rapier.ColliderDesc.cuboid(60, 0.5));
  for (let index = 0; index < 120; index++) {
    const description = rapier.RigidBodyDesc.dynamic().setTranslation(random(400) / 20 - 10, 2 + index / 3);
    const body = world.createRigidBody(description.setRotation(random(60) / 10));
    world.createCollider(shape(rapier, index).setActiveEvents(rapier.ActiveEvents.COLLISION_EVENTS), body);
  }
  link(rapier, world);
  const lines: string[] = [];
  let contacts = 0;
  for (let step = 0; step < 120 * scale; step++) {
    world.step(events);
    events.drainCollisionEvents((first, second, started) => {
      contacts = (contacts * 31 + first * 7 + second * 3 + Number(started)) % 1_000_003;
    });
    if (step % 40 === 39)
      lines.push(`step ${step}: ${digest(bodies(world))} contacts ${contacts} hit ${cast(rapier, world)}`);
  }
  const snapshot = world.takeSnapshot();
  const restored = rapier.World.restoreSnapshot(snapshot);
  world.step();
  restored.step();
  lines.push(`snapshot ${snapshot.length} ${digest(bodies(restored)) === digest(bodies(world))}`);
  lines.push(outcome(() => rapier.World.restoreSnapshot(snapshot.slice(0, 100))));
  restored.free();
  events.free();
  world.free();
  lines.push(outcome(() => world.step()));
  return lines.join('\n');
}

function shape(rapier: Rapier, index: number) {
  if (index % 4 === 0) return rapier.ColliderDesc.ball(0.2 + (index % 5) / 10);
  if (index % 4 === 1) return rapier.ColliderDesc.capsule(0.3, 0.2);
  if (index % 4 === 2) return rapier.ColliderDesc.cuboid(0.4, 0.2).setRestitution(0.4);
  return rapier.ColliderDesc.convexHull(new Float32Array([0, 0.5, 0.5, 0, 0, -0.4, -0.5, 0.1]))!;
}

/// A chain of bodies on joints.
function link(rapier: Rapier, world: World): void {
  let previous = world.createRigidBody(rapier.RigidBodyDesc.fixed().setTranslation(0, 20));
  for (let index = 1; index < 12; index++) {
    const body = world.createRigidBody(rapier.RigidBodyDesc.dynamic().setTranslation(index, 20));
    world.createCollider(rapier.ColliderDesc.ball(0.3), body);
    world.createImpulseJoint(rapier.JointData.revolute({ x: 0.5, y: 0 }, { x: -0.5, y: 0 }), previous, body, true);
    previous = body;
  }
}

function bodies(world: World): string {
  const lines: string[] = [];
  world.forEachRigidBody((body) => {
    const { x, y } = body.translation();
    lines.push(`${x} ${y} ${body.rotation()} ${body.linvel().x} ${body.isSleeping()}`);
  });
  return lines.join('\n');
}

function cast(rapier: Rapier, world: World): string {
  const hits: string[] = [];
  for (let x = -8; x <= 8; x += 2) {
    const hit = world.castRay(new rapier.Ray({ x, y: 60 }, { x: 0.01, y: -1 }), 100, true);
    hits.push(hit ? `${hit.collider.handle}@${hit.timeOfImpact}` : '-');
  }
  return digest(hits.join());
}
