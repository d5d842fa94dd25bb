"""`celery -A services.transform.worker worker -Q transform`"""

from services.transform import tasks  # noqa: F401  (declares this service's tasks)
from shared.celery_app import make_celery

app = make_celery("transform")
