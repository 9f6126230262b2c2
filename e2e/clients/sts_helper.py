"""An STS helper such as others write: boto3 or the AWS CLI assume the role, and what they return is answered as it is.

    sts_helper.py boto3|awscli

It listens on a port that the system chooses, and prints it. API_KEY is the bearer token of its callers.
"""

import http.server
import json
import os
import subprocess
import sys
import time


def with_boto3(asked, name):
    """Returns boto3's own dictionary, with AWS's names and what str makes of a datetime."""
    import boto3

    sts = boto3.client("sts", endpoint_url=os.environ["STS_ENDPOINT"])
    answer = sts.assume_role(RoleArn=asked["role_arn"], ExternalId=asked["external_id"], RoleSessionName=name)
    return json.dumps(answer, default=str)


def with_cli(asked, name):
    """Returns what the AWS CLI prints."""
    args = ["--role-arn", asked["role_arn"], "--external-id", asked["external_id"], "--role-session-name", name]
    command = [sys.executable, "-m", "awscli", "sts", "assume-role", "--output", "json", "--endpoint-url", os.environ["STS_ENDPOINT"], *args]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer " + os.environ["API_KEY"]:
            return self.answer(401, '{"error": "unauthorized"}')
        try:
            assume = {"boto3": with_boto3, "awscli": with_cli}[sys.argv[1]]
            self.answer(200, assume(json.loads(body), f"python-{int(time.time())}"))
        except Exception as e:
            self.answer(502, json.dumps({"error": str(e)}))

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
