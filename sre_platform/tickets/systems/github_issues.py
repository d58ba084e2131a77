import os
import re

from sre_platform.clients import http
from sre_platform.kernel.errors import Rejected
from sre_platform.tickets.domain import Draft

API_VERSION = "2022-11-28"
PAGE = 100
MAX_PAGES = 10


class GithubIssues:
    """GitHub issues by REST. Set SRE_GITHUB_REPO (owner/name) and SRE_GITHUB_TOKEN; SRE_GITHUB_API for an own server.

    GitHub cannot create an issue "unless it exists", so a label named after the key is looked for first; comments
    carry an invisible marker. Source: https://docs.github.com/rest/issues
    """

    name = "github_issues"

    def open(self, draft: Draft) -> tuple[str, str]:
        found = self._call("GET", f"/issues?state=all&labels={draft.key}&per_page=1")
        issue = found[0] if found else self._create(draft)
        return str(issue["number"]), issue["html_url"]

    def comment(self, reference: str, key: str, text: str) -> None:
        marker = f"<!-- {key} -->"
        for page in range(1, MAX_PAGES + 1):
            comments = self._call("GET", f"/issues/{reference}/comments?per_page={PAGE}&page={page}")
            if any(marker in comment["body"] for comment in comments):
                return
            if len(comments) < PAGE:
                break
        self._call("POST", f"/issues/{reference}/comments", {"body": f"{text}\n\n{marker}"})

    def close(self, reference: str) -> None:
        self._call("PATCH", f"/issues/{reference}", {"state": "closed", "state_reason": "completed"})

    def reopen(self, reference: str) -> None:
        self._call("PATCH", f"/issues/{reference}", {"state": "open", "state_reason": "reopened"})

    def _create(self, draft: Draft):
        labels = [*draft.labels, draft.key]
        return self._call("POST", "/issues", {"title": draft.title, "body": draft.body, "labels": labels})

    def _call(self, method: str, path: str, body: dict[str, object] | None = None):
        repo, token = os.environ.get("SRE_GITHUB_REPO", ""), os.environ.get("SRE_GITHUB_TOKEN", "")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo) or not token:
            raise Rejected(
                "GitHub issues are not configured.", advice="Set SRE_GITHUB_REPO=owner/name and SRE_GITHUB_TOKEN."
            )
        base = os.environ.get("SRE_GITHUB_API", "https://api.github.com").rstrip("/")
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION}
        headers["Authorization"] = f"Bearer {token}"
        answer = http.request(
            method, f"{base}/repos/{repo}{path}", json=body, headers=headers, max_bytes=4 * 1024 * 1024
        )
        return answer.json()
