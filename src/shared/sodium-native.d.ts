/** What is used of sodium-native, which brings no types. */
declare module 'sodium-native' {
  const sodium: {
    /** Whether `signature` (64 bytes) over `message` is by `publicKey` (32 bytes). Throws on other lengths. */
    crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
    /** Writes the signature (64 bytes) over `message` by `secretKey` (64 bytes); what the benchmarks sign with. */
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
  };
  export default sodium;
}
