"""The actions of the service. ``request.data`` is the body as the dataclass that the request schema names."""

import zlib
from datetime import date, datetime
from decimal import Decimal

from flight_booking.schemas import AvailableFlights, Booking, BookingRequest, Flight, Journey
from flight_booking.timetable import BAGGAGE_FEE_IN_CENTS_PER_KG, DEPARTURES
from pysoa.common.errors import Error
from pysoa.common.serializer.amount import Amount
from pysoa.server.action import Action
from pysoa.server.errors import ActionError
from pysoa.server.types import EnrichedActionRequest


class GetAvailableFlightsAction(Action):
    """Finds the flights of a journey."""

    request_schema = Journey
    response_schema = AvailableFlights

    def validate(self, request: EnrichedActionRequest) -> None:
        """What a schema cannot tell: how fields go together."""
        journey: Journey = request.data
        if journey.return_date is not None and journey.return_date < journey.departure_date:
            too_early = f"the return on {journey.return_date} is before the departure on {journey.departure_date}"
            raise ActionError([Error("INVALID", too_early, field="return_date", is_caller_error=True)])

    def run(self, request: EnrichedActionRequest) -> AvailableFlights:
        journey: Journey = request.data
        return AvailableFlights(
            out=_flights_on(journey.departure_date),
            back=_flights_on(journey.return_date) if journey.return_date else [],
        )


class BookFlightAction(Action):
    """Books seats on a flight."""

    request_schema = BookingRequest
    response_schema = Booking

    def validate(self, request: EnrichedActionRequest) -> None:
        """Baggage must weigh something; an error names the field that it is about."""
        booking: BookingRequest = request.data
        errors = [
            Error("INVALID", "less than nothing", field=f"passengers.{number}.baggage_in_kg", is_caller_error=True)
            for number, passenger in enumerate(booking.passengers)
            if passenger.baggage_in_kg < 0
        ]
        if errors:
            raise ActionError(errors)

    def run(self, request: EnrichedActionRequest) -> Booking:
        wanted: BookingRequest = request.data
        if wanted.flight not in DEPARTURES:
            raise ActionError(
                [Error("NOT_FOUND", f"there is no flight {wanted.flight}", field="flight", is_caller_error=True)]
            )
        baggage = sum((passenger.baggage_in_kg for passenger in wanted.passengers), Decimal(0))
        seats = DEPARTURES[wanted.flight][1].value * len(wanted.passengers)
        names = " ".join(passenger.name for passenger in wanted.passengers)
        return Booking(
            reference=f"{zlib.crc32(f'{wanted.flight} {wanted.departure_date} {names}'.encode()):08X}",
            flight=wanted.flight,
            departure_date=wanted.departure_date,
            baggage_in_kg=baggage,
            price=Amount("USD", seats + int(baggage * BAGGAGE_FEE_IN_CENTS_PER_KG)),
            # The context comes along with every call that one call leads to.
            booked_by=request.context.get("user"),
            booked_through=request.context.get("calling_service"),
        )


def _flights_on(day: date) -> list[Flight]:
    return [
        Flight(flight, datetime.combine(day, departure), price) for flight, (departure, price) in DEPARTURES.items()
    ]
