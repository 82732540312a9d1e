"""The flights there are: the same on every route and every day."""

from datetime import time

from pysoa.common.serializer.amount import Amount

DEPARTURES = {
    "PY101": (time(7, 45), Amount("USD", 129_00)),
    "PY205": (time(13, 10), Amount("USD", 99_50)),
    "PY311": (time(19, 30), Amount("USD", 149_00)),
}
"""When each flight leaves, and what it costs for each passenger."""

BAGGAGE_FEE_IN_CENTS_PER_KG = 250
