// Does to S3 what it is told on standard input, with the AWS SDK for JavaScript. Each line is a command in JSON, each
// answer a line in JSON. The certificate to trust is in NODE_EXTRA_CA_CERTS.
import { createReadStream, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const clients = {};

function client({ endpoint }) {
  clients[endpoint] ??= new S3Client({
    endpoint,
    forcePathStyle: true,
    region: "us-east-1",
    credentials: { accessKeyId: "AKIATHROWAWAY", secretAccessKey: "throwaway" },
    maxAttempts: 1,
  });
  return clients[endpoint];
}

const commands = {
  async put(c) {
    await client(c).send(new PutObjectCommand({ Bucket: c.bucket, Key: c.key, Body: c.body, Metadata: c.metadata }));
  },
  async stream(c) {
    const length = statSync(c.file).size;
    await client(c).send(new PutObjectCommand({ Bucket: c.bucket, Key: c.key, Body: createReadStream(c.file), ContentLength: length }));
  },
  async get(c) {
    const out = await client(c).send(new GetObjectCommand({ Bucket: c.bucket, Key: c.key, Range: c.range || undefined }));
    return { body: await out.Body.transformToString(), metadata: out.Metadata };
  },
  async list(c) {
    const keys = [];
    for (let token; ; ) {
      const out = await client(c).send(new ListObjectsV2Command({ Bucket: c.bucket, ContinuationToken: token }));
      keys.push(...(out.Contents ?? []).map((o) => o.Key));
      if (!out.IsTruncated) return { keys };
      token = out.NextContinuationToken;
    }
  },
  async delete(c) {
    await client(c).send(new DeleteObjectCommand({ Bucket: c.bucket, Key: c.key }));
  },
  async upload(c) {
    const params = { Bucket: c.bucket, Key: c.key, Body: createReadStream(c.file) };
    await new Upload({ client: client(c), params, partSize: 5 << 20 }).done();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line);
  let answer;
  try {
    answer = (await commands[c.op](c)) ?? {};
  } catch (e) {
    answer = { error: `${e.name}: ${e.message} (${e.$metadata?.httpStatusCode})` };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
