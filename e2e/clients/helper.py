"""Asks an STS helper for credentials, with Python's own HTTP client, and reads an object with them, with boto3.

On standard input is a list of questions in JSON: `url`, `headers` and `body` are the request, and `endpoint`, `bucket`, `key`
and `region` are where the object is. The answer is a list of statuses, bodies, and what was read.
"""

import json
import sys
import urllib.error
import urllib.request


def read(q, c):
    import boto3
    from botocore.config import Config

    s3 = boto3.client(
        "s3",
        endpoint_url=q["endpoint"],
        region_name=q["region"],
        aws_access_key_id=c["accessKeyId"],
        aws_secret_access_key=c["secretAccessKey"],
        aws_session_token=c["sessionToken"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )
    return s3.get_object(Bucket=q["bucket"], Key=q["key"])["Body"].read().decode()


def ask(q):
    request = urllib.request.Request(q["url"], q["body"].encode(), {"Content-Type": "application/json", **q["headers"]})
    try:
        with urllib.request.urlopen(request) as response:
            body = response.read().decode()
            return {"status": response.status, "body": body, "read": read(q, json.loads(body))}
    except urllib.error.HTTPError as e:
        return {"status": e.code, "body": e.read().decode()}


print(json.dumps([ask(q) for q in json.load(sys.stdin)]))
