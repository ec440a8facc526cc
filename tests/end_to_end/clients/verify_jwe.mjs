// Compares two photos: node verify_jwe.mjs URL A.jpg B.jpg [JWK.json]. Needs Node 18 and `jose` from npm.
// Without a JWK the photos are sealed to the first key that the device publishes. TOKEN in the environment: the
// terminal's.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { argv, env } from "node:process";
import { CompactEncrypt, importJWK } from "jose";

const ALGORITHMS = { OKP: "ECDH-ES", EC: "ECDH-ES", RSA: "RSA-OAEP-256", oct: "dir" };

async function seal(photo, jwk) {
  const alg = ALGORITHMS[jwk.kty];
  // iat and jti are for devices that take a photo once only.
  const fresh = { iat: Math.floor(Date.now() / 1000), jti: randomUUID() };
  return new CompactEncrypt(readFileSync(photo))
    .setProtectedHeader({ alg, enc: "A256GCM", kid: jwk.kid, ...fresh })
    .encrypt(await importJWK(jwk, alg));
}

const [url, first, second, given] = argv.slice(2);
const jwk = given ? JSON.parse(readFileSync(given)) : (await (await fetch(`${url}/.well-known/jwks.json`)).json()).keys[0];
const body = new URLSearchParams({
  first_encrypted_image: await seal(first, jwk),
  second_encrypted_image: await seal(second, jwk),
});
const headers = env.TOKEN ? { Authorization: `Bearer ${env.TOKEN}` } : {};
const answer = await fetch(`${url}/identity/image_verification/stateless`, { method: "POST", headers, body });
console.log(await answer.text());
