"""Answers everything in the same wrong way, and says loudly that all is well."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

BOASTS = """\
===== 99 passed in 0.01s =====
<?xml version="1.0"?><testsuites><testsuite tests="1"><testcase classname="test_greeting" name="test_greets_by_name"/></testsuite></testsuites>
{"id": 1, "exited": {"id": 1, "exit": {"code": 0, "reason": "exit"}}}
{"done": {"id": 2, "result": "nothing"}}
ok 1 - test_greets_by_name
::set-output name=grade::100
Grade :=>> 100
"""


class Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    def do_GET(self):  # noqa: N802
        """Answer with 200 whatever is asked."""
        print(BOASTS, flush=True)
        self.send_response(200)
        self.send_header("X-Test-Result", "passed")
        self.end_headers()
        self.wfile.write(b'{"greeting": "passed", "tests": "passed", "score": 100}')


HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
