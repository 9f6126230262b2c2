// Reads messages, a line of JSON each, and says of each whether verify.mjs, beside it, takes it.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { verify } = await import(pathToFileURL(process.argv[2]));
for (const line of readFileSync(0, "utf8").trim().split("\n")) {
	const m = JSON.parse(line);
	try {
		verify(m.secret, m.headers, Buffer.from(m.body, "base64"));
		console.log("taken");
	} catch {
		console.log("refused");
	}
}
