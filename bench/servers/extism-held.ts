/** Holds plain Extism plugins in memory: `node extism-held.ts FOLDER NAME COUNT`. Serves nothing. */

import { setTimeout as sleep } from 'node:timers/promises';
import { sayReady } from './edge.ts';
import { compileModules, newPlugin } from './extism-plugins.ts';

const [folder = '', name = '', count = '0'] = process.argv.slice(2);
const modules = await compileModules(folder);
const held = [];
for (let index = 0; index < Number(count); index++) {
  held.push(await newPlugin(modules, name));
}
sayReady(0);
process.once('SIGTERM', () => process.exit());
await sleep(2 ** 31 - 1, held);
