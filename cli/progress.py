"""Progress on stderr: bars on a terminal, one line per change of phase elsewhere. stdout stays for the result."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.models import Job
from cli.text import plain, thousands
from shared.contracts import JobState

_STYLES = {
    JobState.QUEUED: "dim",
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
}


class JobView(Protocol):
    """Somewhere to show how a job goes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, job: Job) -> None:
        """Called with every look at the job."""
        ...


def job_view(console: Console) -> JobView:
    """Bars where they can move, lines where they can't."""
    return BarView(console) if console.is_terminal else LineView(console)


class BarView:
    """One bar per job that does work: a pipeline's children, or the job itself."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<8}", markup=False),
            TextColumn("[{task.fields[style]}]{task.fields[state]:<9}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]:>20}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[phase]}", style="dim", markup=False),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, job: Job) -> None:
        for part in job.parts:
            task = self._task(part)
            if part.state is not JobState.QUEUED:
                self._progress.start_task(task)
            done, total = _bar(part)
            self._progress.update(
                task,
                completed=done,
                total=total,
                state=part.state.value,
                style=_STYLES[part.state],
                amount=_amount(part),
                phase=_phase(part),
            )
            if part.is_finished:
                self._progress.stop_task(task)

    def _task(self, job: Job) -> TaskID:
        if job.id not in self._tasks:
            self._tasks[job.id] = self._progress.add_task(
                job.kind, start=False, total=None, state="", style="dim", amount="", phase=""
            )
        return self._tasks[job.id]


class LineView:
    """For logs and pipes: a line when a state or a phase changes, none in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, job: Job) -> None:
        for part in job.parts:
            now = (part.state.value, _phase(part))
            if self._shown.get(part.id) != now:
                self._shown[part.id] = now
                line = f"{part.kind:<8} {now[0]:<9} {_amount(part):>16}  {now[1]}"
                self._console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def _bar(job: Job) -> tuple[float, float | None]:
    """Done and total; None as total makes the bar pulse while the job's size is unknown."""
    if job.state is JobState.SUCCEEDED:
        return 1, 1
    if job.state is JobState.QUEUED:
        return 0, 1
    progress = job.progress
    if progress is None or progress.total is None:
        return 0, None if not job.is_finished else 1
    return progress.done or 0, progress.total


def _amount(job: Job) -> str:
    """Of the phase, not of the job: so there is none before the first and after the last."""
    progress = job.progress
    if progress is None or progress.done is None or job.state in (JobState.QUEUED, JobState.SUCCEEDED):
        return ""
    if not progress.done and progress.total is None:
        return ""
    total = "" if progress.total is None else f"/{thousands(progress.total)}"
    return f"{thousands(progress.done)}{total} {plain(progress.unit or '')}".strip()


def _phase(job: Job) -> str:
    if job.is_finished:
        return ""
    if job.error is not None:
        return f"will be tried again: {plain(job.error.title)}"
    return plain((job.progress.phase if job.progress else None) or "")
