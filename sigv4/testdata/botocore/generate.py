#!/usr/bin/env python3
"""Signs the requests below with botocore and prints them with the results.

    python3 generate.py > cases.json
"""

import datetime
import json
from unittest import mock
from urllib.parse import urlsplit

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

LONG_TERM = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
TEMPORARY = ("ASIAEXAMPLE", "secret/with+signs=", "IQoJb3JpZ2luX2VjEXAMPLE//+token==")

# name, credentials, service, region, time, method, URL, headers, body.
# The URLs of the S3 family are encoded once, as that family's clients send
# them; those of the others are as a client may write them.
REQUESTS = [
    ("get root", LONG_TERM, "es", "us-east-1", "20240229T235959Z", "GET", "https://search.example.com/", [], ""),
    ("empty path", LONG_TERM, "es", "us-east-1", "20240301T000000Z", "GET", "https://search.example.com", [], ""),
    ("dots and slashes", LONG_TERM, "es", "eu-west-1", "20251231T120000Z", "GET", "https://search.example.com/a//b/../c/./", [], ""),
    ("dots at the end", LONG_TERM, "es", "eu-west-1", "20251231T120000Z", "GET", "https://search.example.com/a/b/..", [], ""),
    ("dot at the end", LONG_TERM, "es", "eu-west-1", "20251231T120000Z", "GET", "https://search.example.com/a/b/.", [], ""),
    ("above the root", LONG_TERM, "es", "eu-west-1", "20251231T120000Z", "GET", "https://search.example.com/../../x", [], ""),
    ("escaped dots", LONG_TERM, "es", "eu-west-1", "20251231T120000Z", "GET", "https://search.example.com/a/%2e%2E/b", [], ""),
    ("escapes in the path", TEMPORARY, "execute-api", "ap-southeast-2", "20260102T030405Z", "GET", "https://api.example.com/prod/a%20b%2Fc%252F%C3%A9", [], ""),
    ("reserved bytes in the path", TEMPORARY, "execute-api", "ap-southeast-2", "20260102T030405Z", "GET", "https://api.example.com/prod/*(x)!:@$&,;='~", [], ""),
    ("query order", TEMPORARY, "execute-api", "us-east-1", "20260102T030405Z", "GET", "https://api.example.com/?b=2&a=a-b&a=a%2Fb&a-b=1&a.b=1&B=0&empty=", [], ""),
    ("post", TEMPORARY, "dynamodb", "us-east-1", "20260102T030405Z", "POST", "https://dynamodb.us-east-1.amazonaws.com/", [
        ("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", "DynamoDB_20120810.ListTables")], "{}"),
    ("header blanks", LONG_TERM, "lambda", "us-west-2", "20260102T030405Z", "PUT", "https://lambda.us-west-2.amazonaws.com/2015-03-31/x", [
        ("X-Amz-Meta-Spaces", "  a   b  "), ("X-Amz-Meta-Tabs", "a\t\tb \t c"), ("X-Amz-Meta-Quoted", "\"a   b\""), ("X-Amz-Meta-Empty", "")], "body"),
    ("port", LONG_TERM, "neptune-db", "us-east-1", "20260102T030405Z", "GET", "https://db.example.com:8182/status", [], ""),
    ("default port", LONG_TERM, "neptune-db", "us-east-1", "20260102T030405Z", "GET", "https://db.example.com:443/status", [], ""),
    ("s3 get", LONG_TERM, "s3", "us-east-1", "20260102T030405Z", "GET", "https://bucket.s3.amazonaws.com/photos/2026/a%20b.jpg", [], ""),
    ("s3 key with dots and slashes", TEMPORARY, "s3", "eu-central-1", "20260102T030405Z", "GET", "https://bucket.s3.eu-central-1.amazonaws.com//a/../b//./%2B%3D%40/", [], ""),
    ("s3 put", TEMPORARY, "s3", "eu-central-1", "20260102T030405Z", "PUT", "https://bucket.s3.eu-central-1.amazonaws.com/%C3%A9?acl=", [
        ("Content-Type", "text/plain"), ("X-Amz-Acl", "private")], "hello"),
    ("s3 list", TEMPORARY, "s3", "cn-north-1", "20260102T030405Z", "GET", "https://bucket.s3.cn-north-1.amazonaws.com.cn/?list-type=2&prefix=a%2Fb%20c&delimiter=%2F", [], ""),
    ("s3 outposts", LONG_TERM, "s3-outposts", "us-east-1", "20260102T030405Z", "DELETE", "https://point.op.s3-outposts.us-east-1.amazonaws.com/k%25", [], ""),
]


def sign(name, keys, service, region, time, method, url, headers, body):
    credentials = Credentials(*keys)
    family = ("s3", "s3express", "s3-outposts", "s3-object-lambda")
    auth_class = botocore.auth.S3SigV4Auth if service in family else botocore.auth.SigV4Auth
    auth = auth_class(credentials, service, region)
    request = AWSRequest(method=method, url=url, data=body.encode())
    for key, value in headers:
        request.headers.add_header(key, value)
    now = datetime.datetime.strptime(time, "%Y%m%dT%H%M%SZ")
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        auth.add_auth(request)
    canonical = auth.canonical_request(request)
    parts = urlsplit(url)
    return {
        "name": name,
        "access_key_id": keys[0],
        "secret_access_key": keys[1],
        "session_token": keys[2] or "",
        "service": service,
        "region": region,
        "time": time,
        "method": method,
        "host": botocore.auth._host_from_url(url),
        "path": parts.path,
        "query": parts.query,
        "headers": headers,
        "body": body,
        "payload_header": "X-Amz-Content-SHA256" in request.headers,
        "canonical_request": signed_part(canonical, request),
        "signed": sorted(request.headers.items()),
    }


def signed_part(canonical, request):
    # canonical_request was called again after signing, and Authorization is
    # not on botocore's list of headers to leave out.
    lines = [line for line in canonical.split("\n") if not line.startswith("authorization:")]
    lines[-2] = ";".join(n for n in lines[-2].split(";") if n != "authorization")
    return "\n".join(lines)


print(json.dumps({"botocore": botocore.__version__, "cases": [sign(*r) for r in REQUESTS]}, indent=1, ensure_ascii=True))
