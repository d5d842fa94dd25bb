"""Commands that work on the operations database itself, where its settings are; no service need be up."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from cli.errors import RequestRefused, ServiceFailed, to_bad_setting
from cli.models import Problem
from cli.output import Output
from cli.session import reporting_errors
from shared.errors import GtmError


@contextmanager
def administering(output: Output) -> Iterator[None]:
    """The product's errors end the command as a service's answers would."""
    with reporting_errors(output):
        try:
            yield
        except ValidationError as error:
            raise to_bad_setting(error) from None
        except GtmError as error:
            problem = Problem.model_validate(error.to_problem())
            raise (ServiceFailed(problem) if error.is_transient else RequestRefused(problem)) from None
