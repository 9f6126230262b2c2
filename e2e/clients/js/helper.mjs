// Asks an STS helper for credentials, with the HTTP client of Node.js, and reads an object with them, with the AWS SDK for
// JavaScript. On standard input is a list of questions in JSON: `url`, `headers` and `body` are the request, and
// `endpoint`, `bucket`, `key` and `region` are where the object is. The answer is a list of statuses, bodies, and what was read.
import { text } from "node:stream/consumers";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";

async function ask(q) {
  const response = await fetch(q.url, { method: "POST", headers: { "content-type": "application/json", ...q.headers }, body: q.body });
  const body = await response.text();
  if (!response.ok) return { status: response.status, body };
  const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = JSON.parse(body);
  const credentials = { accessKeyId, secretAccessKey, sessionToken, expiration: new Date(expiresAt) };
  const s3 = new S3Client({ endpoint: q.endpoint, region: q.region, forcePathStyle: true, maxAttempts: 1, credentials });
  const got = await s3.send(new GetObjectCommand({ Bucket: q.bucket, Key: q.key }));
  return { status: response.status, body, read: await got.Body.transformToString() };
}

const answers = [];
for (const q of JSON.parse(await text(process.stdin))) answers.push(await ask(q));
console.log(JSON.stringify(answers));
