"""`/problems/{code}`: the page that each problem's `type` names, made of docs/problems.md.

Open to everyone: it holds nothing of the data, and whoever was refused must be able to read why.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse

import shared
from shared.errors import NotFound, TerminalError
from shared.http.problems import problem_responses

_SOURCE: Final = Path(shared.__file__).parent.parent / "docs" / "problems.md"
_ROW: Final = re.compile(r"^\| `([a-z][a-z0-9-]*)` \| (.+?) (?<!\\)\| (.+?) \|$", re.MULTILINE)
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "max-age=3600",
}
_STYLE: Final = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"


@dataclass(frozen=True)
class ProblemPage:
    """One row of docs/problems.md; Markdown's backquotes are still in it."""

    code: str
    meaning: str
    mend: str


def read_problem_pages() -> dict[str, ProblemPage]:
    """By code, in the page's order. At start, so that an image without the file does not serve dead links.

    Raises:
        TerminalError: `stack-failed`, where docs/problems.md is not beside the code.
    """
    try:
        text = _SOURCE.read_text(encoding="utf-8")
    except OSError as error:
        raise TerminalError(
            f"{_SOURCE} can't be read ({error.strerror}): the services serve it at /problems. Copy it beside the code.",
            code="stack-failed",
            title="The problems' pages are missing",
        ) from error
    return {code: ProblemPage(code, meaning, mend) for code, meaning, mend in _ROW.findall(text)}


def problem_pages() -> APIRouter:
    """`/problems` and `/problems/{code}`."""
    pages = read_problem_pages()
    router = APIRouter(tags=["docs"])

    @router.get("/problems", operation_id="listProblems", summary="Every problem", response_class=HTMLResponse)
    async def list_problems() -> HTMLResponse:
        rows = "".join(
            f'<li><a href="/problems/{page.code}">{page.code}</a>: {_to_html(page.meaning)}</li>'
            for page in pages.values()
        )
        return _to_page("Problems", f"<ul>{rows}</ul>")

    @router.get(
        "/problems/{code}",
        operation_id="readProblem",
        summary="What a problem means, and its mend",
        response_class=HTMLResponse,
        responses=problem_responses(404),
    )
    async def read_problem(code: Annotated[str, PathParameter(examples=["job-not-found"])]) -> HTMLResponse:
        page = pages.get(code)
        if page is None:
            raise NotFound(
                "There is no such problem. /problems lists them.", code="problem-unknown", title="Unknown problem"
            )
        text = f"<p>{_to_html(page.meaning)}.</p><h2>What to do</h2><p>{_to_html(page.mend)}.</p>"
        return _to_page(code, f'{text}<p><a href="/problems">All problems</a></p>')

    return router


def _to_page(title: str, body: str) -> HTMLResponse:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return HTMLResponse(f"{head}<h1>{title}</h1>{body}</html>", headers=_HEADERS)


def _to_html(markdown: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(markdown.replace(r"\|", "|"), quote=False))
