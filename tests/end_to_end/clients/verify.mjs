// Compares two photos: node verify.mjs URL A.jpg B.jpg. Needs Node and nothing else.
import { argv } from "node:process";
import { seal } from "./seal.mjs";

const [url, first, second] = argv.slice(2);
const body = new URLSearchParams({ first_encrypted_image: seal(first), second_encrypted_image: seal(second) });
const answer = await fetch(`${url}/identity/image_verification/stateless`, { method: "POST", body });
console.log(await answer.text());
