"""Reads messages, a line of JSON each, and says of each whether the module that is named takes it."""
import base64
import json
import runpy
import sys

verify = runpy.run_path(sys.argv[1])["verify"]
for line in sys.stdin:
    m = json.loads(line)
    try:
        verify(m["secret"], m["headers"], base64.b64decode(m["body"]))
        print("taken")
    except ValueError:
        print("refused")
