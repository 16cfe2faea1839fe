/** Builds the example plugins once, before any test runs; the build is cached by its sources. */

import { buildExamples } from '../../plugins-examples/build.ts';

export default async function setup(): Promise<void> {
  await buildExamples({});
}
