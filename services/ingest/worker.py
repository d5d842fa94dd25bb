"""`celery -A services.ingest.worker worker -Q ingest`"""

from services.ingest import tasks  # noqa: F401  (declares this service's tasks)
from shared.celery_app import make_celery

app = make_celery("ingest")
