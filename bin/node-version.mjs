// The first thing that runs: nothing here may need more than an old Node understands.
var wanted = [20, 12];

/** Ends the process with a sentence where Node is older than the server needs. */
export function checkNodeVersion(version) {
  var parts = version.split('.').map(Number);
  if (parts[0] > wanted[0] || (parts[0] === wanted[0] && parts[1] >= wanted[1])) return;
  console.error(
    // biome-ignore lint/style/useTemplate: a Node too old for template literals is to read the sentence too.
    'Node ' + wanted.join('.') + ' or later is needed; this is ' + version + ' (' + process.execPath + ').',
  );
  process.exit(1);
}
