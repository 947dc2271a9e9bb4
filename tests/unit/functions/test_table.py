"""The function table beyond triggers: names by which a function is found, and bulk cancellations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.errors import InvalidRegistration
from penstock.functions.config import FunctionConfig
from penstock.functions.table import Forgotten, FunctionTable
from penstock.messages.ids import FunctionKey, function_uuid
from penstock.messages.keys import cancellation_key
from penstock.messages.records import Cancellation, Function

KEY = FunctionKey("shop/shop-import")
CONFIG = FunctionConfig(KEY, "shop", "shop-import", "Import", "http://127.0.0.1:8000/api/inngest", ())
IMPORT = Function(KEY, "shop", "shop-import", "Import", 1, CONFIG.to_json(), 0)


def cancellation(id_: str, function: FunctionKey = KEY) -> Cancellation:
    return Cancellation(id=id_, function=function, started_before=2000, created_at=1000)


def test_a_function_is_found_by_every_name_it_has() -> None:
    """SDKs name it by slug or UUID, people by key; an archived one by none."""
    table = FunctionTable()
    table.apply(IMPORT, 0)
    assert {table.find(name) for name in ("shop-import", str(function_uuid(KEY)), KEY)} == {KEY}
    assert table.find("import") is None
    table.apply(replace(IMPORT, archived=True), 1)
    assert table.find("shop-import") is None


def test_cancellations_are_kept_by_function() -> None:
    """Oldest first; a later record under the same id replaces the earlier one."""
    table = FunctionTable()
    other = cancellation("02", FunctionKey("shop/other"))
    for offset, record in enumerate((cancellation("03"), other, cancellation("01"))):
        table.apply(record, offset)
    assert table.cancellations(KEY) == (cancellation("01"), cancellation("03"))
    assert table.cancellations() == (cancellation("01"), other, cancellation("03"))
    table.apply(replace(cancellation("01"), started_after=7), 3)
    assert table.cancellations(KEY)[0].started_after == 7
    assert (table.offset, table.generation) == (3, 4)


def test_a_tombstone_forgets_a_cancellation_and_nothing_else() -> None:
    """Functions are archived, never forgotten: their versions count on."""
    table = FunctionTable()
    table.apply(IMPORT, 0)
    table.apply(cancellation("01"), 1)
    table.apply(Forgotten(KEY), 2)
    table.apply(Forgotten(cancellation_key("zz").decode()), 3)
    assert table.function(KEY) is not None
    assert table.cancellations(KEY) == (cancellation("01"),)
    table.apply(Forgotten(cancellation_key("01").decode()), 4)
    assert table.cancellations(KEY) == ()
    assert table.offset == 4


def test_a_configuration_that_cannot_be_read_leaves_what_was_known() -> None:
    """The reader of the topic passes over such a record: the function goes on as it was."""
    table = FunctionTable()
    table.apply(IMPORT, 0)
    for config in ("not json", "{}", "[]"):
        with pytest.raises(InvalidRegistration):
            table.apply(replace(IMPORT, version=2, config=config), 1)
    registered = table.function(KEY)
    assert registered is not None
    assert registered.version == 1
    assert table.find("shop-import") == KEY


def test_an_archived_function_can_be_read_as_well() -> None:
    """Its runs go on and its next registration is compared with it: garbage under its key does not archive it."""
    table = FunctionTable()
    table.apply(IMPORT, 0)
    with pytest.raises(InvalidRegistration):
        table.apply(replace(IMPORT, archived=True, config="garbage"), 1)
    assert table.find("shop-import") == KEY


def test_a_record_cannot_take_another_functions_place() -> None:
    """Key and configuration name the same function."""
    table = FunctionTable()
    table.apply(IMPORT, 0)
    with pytest.raises(InvalidRegistration, match="another function"):
        table.apply(replace(IMPORT, key=FunctionKey("shop/other")), 1)
    assert [registered.config.key for registered in table.functions()] == [KEY]
