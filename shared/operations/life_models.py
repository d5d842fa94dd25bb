"""The table of signs of life: which of the house's lone processes was at work, and when."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.operations.models import Base


class SignOfLife(Base):
    """One row per role of which one process is enough, such as the sweeper: whoever did its work last."""

    __tablename__ = "signs_of_life"

    role: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    at: Mapped[datetime]
    owner: Mapped[str] = mapped_column(sa.String(255))
