from __future__ import annotations

import attr
import pytest

from pysoa.common.serializer import MsgpackSerializer
from pysoa.common.serializer.amount import Amount


def test_amounts_are_equal_by_value_and_cannot_be_changed() -> None:
    amount = Amount("USD", 199)

    assert amount == Amount("USD", 199)
    assert len({amount, Amount("USD", 199), Amount("EUR", 199)}) == 2
    with pytest.raises(attr.exceptions.FrozenInstanceError):
        amount.value = 200  # type: ignore[misc]


@pytest.mark.parametrize("currency", ["", "US", "usd", "USDX", "U D", "ÄÖÜ", "12$"])
def test_a_currency_is_three_upper_case_letters(currency: str) -> None:
    with pytest.raises(ValueError, match="three upper-case letters"):
        Amount(currency, 1)


@pytest.mark.parametrize("value", [Amount("USD", 199), [Amount("USD", 199)], {"price": (Amount("USD", 199),)}])
def test_an_amount_in_a_message_is_not_taken_for_a_value_with_fields(value: object) -> None:
    assert MsgpackSerializer().message_to_blob({"x": value}).count(b"\xc7\x0b\x02USD") == 1
