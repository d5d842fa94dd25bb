"""`celery -A services.scoring.worker worker -Q scoring.batch`, and another with `-Q scoring.interactive`: a webhook's
rescore never waits behind a batch."""

from services.scoring import tasks  # noqa: F401  (declares this service's tasks)
from shared.celery_app import make_celery

app = make_celery("scoring")
