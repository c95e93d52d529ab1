import json
import os
import urllib.request

BASE = os.environ["BASE_URL"]


def test_greets_by_name():
    """It greets whom it is asked to greet."""
    with urllib.request.urlopen(f"{BASE}/greeting?name=Ada", timeout=5) as answer:
        assert json.load(answer) == {"greeting": "Hello, Ada!"}
