// Seals a photo with `jose` from npm. Photo on stdin, sealed photo on stdout:
//   node seal.mjs JWK HEADER < photo
// JWK: a public key, or one of type oct, with its kid. HEADER: further members, JSON; apu and apv as base64url.
// JOSE_MODULE names the library's main file; without it the module is looked for as node does.
import { readFileSync } from "node:fs";

const { CompactEncrypt, base64url, importJWK } = await import(process.env.JOSE_MODULE ?? "jose");
const [jwk, header] = process.argv.slice(2, 4).map((text) => JSON.parse(text));
const alg = { OKP: "ECDH-ES", EC: "ECDH-ES", RSA: "RSA-OAEP-256", oct: "dir" }[jwk.kty];
const { apu, apv, ...members } = header;
const sealing = new CompactEncrypt(readFileSync(0));
sealing.setProtectedHeader({ alg, enc: "A256GCM", kid: jwk.kid, ...members });
if (apu !== undefined || apv !== undefined) {
  sealing.setKeyManagementParameters({ apu: base64url.decode(apu ?? ""), apv: base64url.decode(apv ?? "") });
}
process.stdout.write(await sealing.encrypt(await importJWK(jwk, alg)));
