/** What Node warns of that tells a user nothing. */

/** Node's experimental features that Caisson uses are chosen with care; other warnings are still shown. */
export function hideExperimentalWarnings(): void {
  process.removeAllListeners('warning').on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') process.stderr.write(`${warning.name}: ${warning.message}\n`);
  });
}
