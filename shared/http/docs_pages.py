"""The API's own description: `/docs` (Swagger's pages from a wheel, never from a CDN) and `/openapi.json`.

It holds nothing of the data, but names every route: GTM_API_DOCS says who may read it.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from shared.http.access import require_scope
from shared.settings import AppSettings

_ASSETS: Final = "/static-offline-docs"


def install_docs(app: FastAPI, settings: AppSettings) -> None:
    """After all routes' declarations or before: the description is made when it is first asked for."""
    if settings.api_docs == "off":
        return
    guard: dict[str, Any] = {"dependencies": [require_scope("read")]} if settings.api_docs == "keyed" else {}
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-assets")

    @app.get("/docs", include_in_schema=False, **guard)
    def read_docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{app.title}: its routes",
            swagger_js_url=f"{_ASSETS.removeprefix('/')}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS.removeprefix('/')}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS.removeprefix('/')}/favicon.png",
        )

    @app.get("/openapi.json", include_in_schema=False, **guard)
    def read_openapi() -> JSONResponse:
        return JSONResponse(app.openapi())
