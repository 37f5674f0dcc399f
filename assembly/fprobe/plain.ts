// The plain ops that serve probes without an exit handler. Not there yet: registering such a probe is refused.

import { ENODEV } from '../layout';

export function startPlain(): i32 {
  return -ENODEV;
}

export function stopPlain(): void {}

export function wantPlain(_site: u32, _on: bool): void {}
