#!/usr/bin/env python3
"""Serialises the calls of STS below with botocore, without sending them, and prints the forms.

    python3 forms.py > forms.json
"""

import json
from urllib.parse import parse_qsl

import botocore
import botocore.session
from botocore.serialize import create_serializer

ROLE = "arn:aws:iam::123456789012:role/a/b/Proxy"
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/team}/ä+&=%"}]}'

CALLS = [
    ("least", {"RoleArn": ROLE, "RoleSessionName": "caddy-test", "DurationSeconds": 3600}),
    ("external id", {"RoleArn": ROLE, "RoleSessionName": "caddy@example.com,x=y", "DurationSeconds": 900, "ExternalId": "a1-:/=@,.+_"}),
    ("policy", {"RoleArn": ROLE, "RoleSessionName": "caddy-test", "DurationSeconds": 43200, "Policy": POLICY}),
    ("policy arns", {"RoleArn": ROLE, "RoleSessionName": "caddy-test", "DurationSeconds": 3600, "PolicyArns": [
        {"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, {"arn": "arn:aws:iam::123456789012:policy/team/Search+More"}]}),
    ("tags", {"RoleArn": ROLE, "RoleSessionName": "caddy-test", "DurationSeconds": 3600, "Tags": [
        {"Key": "team", "Value": "search and find"}, {"Key": "Größe", "Value": "größer = besser"}, {"Key": "empty", "Value": ""}],
        "TransitiveTagKeys": ["team", "Größe"]}),
    ("source identity", {"RoleArn": ROLE, "RoleSessionName": "caddy-test", "DurationSeconds": 3600, "SourceIdentity": "alice@example.com"}),
    ("mfa", {"RoleArn": ROLE, "RoleSessionName": "caddy-test", "DurationSeconds": 3600,
             "SerialNumber": "arn:aws:iam::123456789012:mfa/alice", "TokenCode": "012345"}),
    ("everything", {"RoleArn": ROLE, "RoleSessionName": "caddy-test", "DurationSeconds": 3600, "ExternalId": "customer:4711", "Policy": POLICY,
                    "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}],
                    "Tags": [{"Key": "team", "Value": "search"}], "TransitiveTagKeys": ["team"], "SourceIdentity": "alice",
                    "SerialNumber": "GAHT12345678", "TokenCode": "999999"}),
]


def main():
    model = botocore.session.get_session().get_service_model("sts")
    serializer = create_serializer(model.metadata["protocol"])
    calls = []
    for name, params in CALLS:
        request = serializer.serialize_to_request(params, model.operation_model("AssumeRole"))
        body = request["body"]
        form = dict(body) if isinstance(body, dict) else dict(parse_qsl(body, keep_blank_values=True))
        calls.append({"name": name, "params": params, "form": {k: str(v) for k, v in sorted(form.items())}})
    print(json.dumps({"botocore": botocore.__version__, "calls": calls}, indent=1, ensure_ascii=False))


main()
