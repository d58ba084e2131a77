"""The health of the lab: whether its users are served well just now. Ends with 0 when they are."""

import json
import sys
import urllib.request

with urllib.request.urlopen("http://127.0.0.1:8089/report?window=3s", timeout=2) as answer:
    report = json.load(answer)
sys.stdout.write(json.dumps(report))
sys.exit(not (report["requests"] > 0 and report["success_rate"] >= 0.99))
