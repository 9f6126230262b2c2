"""Does to S3 what it is told on standard input, with boto3 or with the AWS CLI.

    driver.py boto3|awscli

Each line is a command in JSON, each answer a line in JSON. `endpoint` is where to send it, `ca` the certificate to trust.
The AWS CLI runs in this process, which saves the half second that each start of it takes.
"""

import json
import os
import sys
import tempfile

PART = 5 << 20


class Boto3:
    def __init__(self):
        self.clients = {}

    def client(self, c):
        import boto3
        from botocore.config import Config

        if c["endpoint"] not in self.clients:
            self.clients[c["endpoint"]] = boto3.client(
                "s3",
                endpoint_url=c["endpoint"],
                region_name="us-east-1",
                aws_access_key_id="AKIATHROWAWAY",
                aws_secret_access_key="throwaway",
                verify=c["ca"],
                config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
            )
        return self.clients[c["endpoint"]]

    def put(self, c):
        self.client(c).put_object(Bucket=c["bucket"], Key=c["key"], Body=c["body"].encode(), Metadata=c["metadata"])

    def stream(self, c):
        with open(c["file"], "rb") as f:
            self.client(c).put_object(Bucket=c["bucket"], Key=c["key"], Body=f)

    def get(self, c):
        more = {"Range": c["range"]} if c["range"] else {}
        out = self.client(c).get_object(Bucket=c["bucket"], Key=c["key"], **more)
        return {"body": out["Body"].read().decode(), "metadata": out["Metadata"]}

    def list(self, c):
        pages = self.client(c).get_paginator("list_objects_v2").paginate(Bucket=c["bucket"])
        return {"keys": [o["Key"] for page in pages for o in page.get("Contents", [])]}

    def delete(self, c):
        self.client(c).delete_object(Bucket=c["bucket"], Key=c["key"])

    def upload(self, c):
        from boto3.s3.transfer import TransferConfig

        self.client(c).upload_file(c["file"], c["bucket"], c["key"], Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART))


class CLI:
    def __init__(self):
        home = tempfile.mkdtemp()
        self.cli = None
        config = os.path.join(home, "config")
        with open(config, "w") as f:
            f.write("[default]\nregion = us-east-1\nmax_attempts = 1\ncli_pager =\ns3 =\n  multipart_threshold = 5MB\n  multipart_chunksize = 5MB\n  addressing_style = path\n")
        os.environ.update(
            AWS_CONFIG_FILE=config, AWS_ACCESS_KEY_ID="AKIATHROWAWAY", AWS_SECRET_ACCESS_KEY="throwaway", AWS_PAGER="", AWS_EC2_METADATA_DISABLED="true"
        )

    def run(self, c, *args):
        """Runs the CLI and returns what it prints."""
        if self.cli is None:
            from awscli.clidriver import create_clidriver

            self.cli = create_clidriver()
        args = [*args, "--endpoint-url", c["endpoint"], "--output", "json"]
        if c["endpoint"].startswith("https:"):
            args += ["--ca-bundle", c["ca"]]
        saved = [os.dup(1), os.dup(2)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                sys.stdout.flush(), sys.stderr.flush()
                os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
                code = self.cli.main(list(args))
            finally:
                sys.stdout.flush(), sys.stderr.flush()
                os.dup2(saved[0], 1), os.dup2(saved[1], 2)
                os.close(saved[0]), os.close(saved[1])
            out.seek(0), err.seek(0)
            if code != 0:
                raise RuntimeError(f"exit {code}: {err.read().decode()}")
            return out.read().decode()

    def put(self, c):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write(c["body"])
            f.flush()
            more = ["--metadata", json.dumps(c["metadata"])] if c["metadata"] else []
            self.run(c, "s3api", "put-object", "--bucket", c["bucket"], "--key", c["key"], "--body", f.name, *more)

    def stream(self, c):
        self.run(c, "s3api", "put-object", "--bucket", c["bucket"], "--key", c["key"], "--body", c["file"])

    def get(self, c):
        with tempfile.NamedTemporaryFile() as f:
            more = ["--range", c["range"]] if c["range"] else []
            out = self.run(c, "s3api", "get-object", "--bucket", c["bucket"], "--key", c["key"], *more, f.name)
            return {"body": open(f.name).read(), "metadata": json.loads(out)["Metadata"]}

    def list(self, c):
        out = self.run(c, "s3api", "list-objects-v2", "--bucket", c["bucket"])
        return {"keys": [o["Key"] for o in json.loads(out or "{}").get("Contents", [])]}

    def delete(self, c):
        self.run(c, "s3api", "delete-object", "--bucket", c["bucket"], "--key", c["key"])

    def upload(self, c):
        self.run(c, "s3", "cp", "--only-show-errors", c["file"], f"s3://{c['bucket']}/{c['key']}")


def main():
    client = {"boto3": Boto3, "awscli": CLI}[sys.argv[1]]()
    for line in sys.stdin:
        c = json.loads(line)
        try:
            answer = getattr(client, c["op"])(c) or {}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
