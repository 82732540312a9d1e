"""What the actions take and give: plain dataclasses, which PySOA checks and fills."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from pysoa.common.serializer.amount import Amount

Airport = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


@dataclass(frozen=True)
class Journey:
    """Where to and when."""

    departure_airport: Airport
    arrival_airport: Airport
    departure_date: date
    return_date: date | None = None


@dataclass(frozen=True)
class Flight:
    """One flight on one day."""

    flight: str
    departure: datetime
    price: Amount


@dataclass(frozen=True)
class AvailableFlights:
    """The flights of a journey; ``back`` is empty for a journey one way."""

    out: list[Flight]
    back: list[Flight]


@dataclass(frozen=True)
class Passenger:
    """Somebody who flies."""

    name: Annotated[str, Meta(min_length=1)]
    baggage_in_kg: Decimal = Decimal(0)


@dataclass(frozen=True)
class BookingRequest:
    """What to book."""

    flight: str
    departure_date: date
    passengers: Annotated[list[Passenger], Meta(min_length=1)]


@dataclass(frozen=True)
class Booking:
    """What has been booked."""

    reference: str
    flight: str
    departure_date: date
    baggage_in_kg: Decimal
    price: Amount
    booked_by: str | None
    booked_through: str | None
