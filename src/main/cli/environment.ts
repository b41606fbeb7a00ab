/** Imported first: what libraries read from the environment when they are loaded. */

/** grpc-js writes to standard error what its callers are told as errors anyway; workers inherit this. */
process.env.GRPC_VERBOSITY ??= 'NONE';
