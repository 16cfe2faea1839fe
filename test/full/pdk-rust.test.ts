/** A plugin built with Extism's Rust PDK, unmodified: without a system, and for WASI. */

import { conformsToExtism } from '../helpers/pdk-conformance.ts';
import { buildRust } from './pdk-toolchains.ts';

await conformsToExtism({ language: 'Rust', build: () => buildRust('wasm32-unknown-unknown') });
await conformsToExtism({ language: 'Rust for WASI', usesWasi: true, build: () => buildRust('wasm32-wasip1') });
