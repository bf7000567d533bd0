"""Reserved concurrency: so many invocations at a time are a function's own, and more it never gets."""

from __future__ import annotations

from torpor.core.errors import InvalidValue
from torpor.functions.catalog import Catalog
from torpor.functions.ports import Runner
from torpor.functions.provisioning import claims, total
from torpor.policy import reserve


class Concurrency:
    """Changes reservations and keeps the node informed. `limit` is the overall one, which reservations share."""

    def __init__(self, catalog: Catalog, node: Runner, limit: int) -> None:
        self._catalog = catalog
        self._node = node
        self._limit = limit

    def restore(self) -> None:
        """Tell the node what was reserved before it began."""
        for name, concurrency in self._catalog.reservations().items():
            self._node.reserve(name, concurrency)

    def get(self, name: str) -> int | None:
        """What the function has reserved; None: nothing. Raises FunctionNotFound."""
        self._catalog.get(name)
        return self._catalog.reserved(name)

    def check(self, name: str, concurrency: int) -> None:
        """Raise InvalidValue when the others would be left too little."""
        others = sum(claimed for other, claimed in claims(self._catalog).items() if other != name)
        if concurrency < 0:
            raise InvalidValue(f"Reserved concurrency is 0, which stops the function, or more, not {concurrency}.")
        provisioned = total(self._catalog, name)
        if concurrency < provisioned:
            raise InvalidValue(
                f"ReservedConcurrentExecutions {concurrency} should not be lower than function's total provisioned "
                f"concurrency [{provisioned}]."
            )
        if concurrency > reserve.reservable(self._limit, others):
            raise InvalidValue(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{reserve.least_unreserved(self._limit)}]."
            )

    async def put(self, name: str, concurrency: int) -> int:
        """Reserve; 0 stops the function. Raises FunctionNotFound, InvalidValue."""

        def check() -> None:
            self._catalog.get(name)
            self.check(name, concurrency)

        await self._catalog.save_reservation(
            name, concurrency, check=check, then=lambda: self._node.reserve(name, concurrency)
        )
        return concurrency

    async def delete(self, name: str) -> None:
        """Let the function share with the others again. Raises FunctionNotFound."""
        await self._catalog.remove_reservation(
            name, check=lambda: self._catalog.get(name), then=lambda: self._node.reserve(name, None)
        )
