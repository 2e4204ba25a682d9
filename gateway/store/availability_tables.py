"""The table of the availability ledger."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table
from sqlmodel import Field, SQLModel

from gateway.core.availability import MinuteVerdict

_WORDS = ", ".join(f"'{one.value}'" for one in MinuteVerdict if one is not MinuteVerdict.ANNOUNCED)


class AvailabilityRow(SQLModel, table=True):
    """Minutes of one verdict, as runs: from `start` to `ended`, which is not part of it. `service`
    is a portal or GLC; `commune` empty: the service itself."""

    __tablename__ = "availability"
    service: str = Field(primary_key=True)
    commune: str = Field(primary_key=True)
    start: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    ended: int = Field(sa_column=Column(BigInteger, nullable=False))
    verdict: str

    __table_args__ = (
        CheckConstraint(f"verdict IN ({_WORDS})", name="ck_availability_verdict"),
        CheckConstraint("ended > start", name="ck_availability_order"),
        Index("ix_availability_ended", "ended"),
    )


AVAILABILITY: Table = SQLModel.metadata.tables["availability"]
