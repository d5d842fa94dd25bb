"""An API with a defect, which the product's have not: served by the tests."""

from shared.http import create_app
from shared.logging import get_logger

app = create_app("crashing", "Crashes.")


@app.get("/crash")
def crash() -> float:
    get_logger(__name__).warning("about_to_crash")
    return 1 / 0
