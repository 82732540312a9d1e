"""An amount of money as it stands on the wire, for where currint is not installed."""

from __future__ import annotations

import attr

__all__ = ("Amount",)

_CODE_LENGTH = 3


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Amount:
    """An amount of money. With currint installed, messages are read with its ``Amount`` instead; both are written.

    Attributes:
        currency: the three upper-case letters of ISO 4217. Whether they name a currency is not checked.
        value: how much, in the currency's minor unit (cents).
    """

    currency: str = attr.ib()
    value: int

    @currency.validator
    def _check_currency(self, _: object, currency: str) -> None:
        if len(currency) != _CODE_LENGTH or not (currency.isascii() and currency.isalpha() and currency.isupper()):
            raise ValueError(f"a currency code is three upper-case letters, not {currency!r}")
