"""Reads objects with boto3, or with the AWS CLI, with the credentials that their default chain finds.

    container.py boto3|awscli

Each line on standard input is a command in JSON: `env` is what to add to the environment meanwhile, `endpoint`, `bucket` and
`key` are where the object is. Each answer is a line in JSON, of what was listed and read, and as whom.
"""

import json
import os
import sys
import tempfile


def read_with_boto3(c):
    import boto3
    from botocore.config import Config

    session = boto3.Session()
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0})
    s3 = session.client("s3", endpoint_url=c["endpoint"], config=config)
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=c["bucket"]).get("Contents", [])]
    body = s3.get_object(Bucket=c["bucket"], Key=c["key"])["Body"].read().decode()
    return {"keys": keys, "body": body, "id": session.get_credentials().access_key}


def read_with_cli(c):
    listed = json.loads(run_cli(c, "list-objects-v2", "--bucket", c["bucket"], "--output", "json"))
    with tempfile.NamedTemporaryFile("r") as f:
        run_cli(c, "get-object", "--bucket", c["bucket"], "--key", c["key"], f.name)
        return {"keys": [o["Key"] for o in listed.get("Contents", [])], "body": f.read()}


def run_cli(c, *args):
    """Runs the AWS CLI in this process, which saves the seconds that each start of it takes, and returns what it prints."""
    from awscli.clidriver import create_clidriver

    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            code = create_clidriver().main(["s3api", *args, "--endpoint-url", c["endpoint"]])
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(saved[0], 1), os.dup2(saved[1], 2)
            os.close(saved[0]), os.close(saved[1])
        out.seek(0), err.seek(0)
        if code != 0:
            raise RuntimeError(f"exit {code}: {err.read().decode()}")
        return out.read().decode()


def main():
    read = {"boto3": read_with_boto3, "awscli": read_with_cli}[sys.argv[1]]
    for line in sys.stdin:
        c = json.loads(line)
        os.environ.update(c["env"])
        try:
            answer = read(c)
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        for name in c["env"]:
            del os.environ[name]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
