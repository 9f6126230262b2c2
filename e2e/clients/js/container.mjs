// Reads objects with the AWS SDK for JavaScript, with the credentials that its default chain finds. Each line on standard
// input is a command in JSON: `env` is what to add to the environment meanwhile, `endpoint`, `bucket` and `key` are where
// the object is. Each answer is a line in JSON, of what was listed and read, and as whom. The certificate to trust is in
// NODE_EXTRA_CA_CERTS.
import { createInterface } from "node:readline";
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";

async function read({ endpoint, bucket: Bucket, key: Key }) {
  const s3 = new S3Client({ endpoint, forcePathStyle: true, maxAttempts: 1 });
  const listed = await s3.send(new ListObjectsV2Command({ Bucket }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
  return {
    keys: (listed.Contents ?? []).map((o) => o.Key),
    body: await got.Body.transformToString(),
    id: (await s3.config.credentials()).accessKeyId,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line);
  Object.assign(process.env, c.env);
  let answer;
  try {
    answer = await read(c);
  } catch (e) {
    answer = { error: `${e.name}: ${e.message}` };
  }
  for (const name of Object.keys(c.env)) delete process.env[name];
  process.stdout.write(JSON.stringify(answer) + "\n");
}
