/** A plugin built with Extism's Go PDK, unmodified, by Go itself. */

import { conformsToExtism } from '../helpers/pdk-conformance.ts';
import { buildGo } from './pdk-toolchains.ts';

await conformsToExtism({ language: 'Go', usesWasi: true, build: buildGo });
