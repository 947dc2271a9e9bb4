"""Functions by the names that people give them."""

from __future__ import annotations

import pytest

from penstock.functions.config import FunctionConfig
from penstock.functions.registration import function_key
from penstock.functions.table import FunctionTable
from penstock.ingest.function_names import named, named_in_app, unknown
from penstock.messages.ids import function_uuid
from penstock.messages.records import Function


def table(*names: tuple[str, str]) -> FunctionTable:
    made = FunctionTable()
    for offset, (app, slug) in enumerate(names):
        key = function_key(app, slug)
        config = FunctionConfig(key, app, slug, slug, "http://127.0.0.1:1/", ())
        made.apply(Function(key, app, slug, slug, 1, config.to_json(), 0), offset)
    return made


IMPORT = function_key("shop", "shop-import")


@pytest.mark.parametrize("name", ["shop-import", "import", str(function_uuid(IMPORT))])
def test_a_function_of_an_app(name: str) -> None:
    """With or without the app's name before it, or by UUID."""
    assert named_in_app("shop", name, table(("shop", "shop-import"), ("other", "other-import"))) == IMPORT


@pytest.mark.parametrize(("app", "name"), [("other", "shop-import"), ("shop", "imports"), ("", "import")])
def test_a_function_of_another_app_is_unknown(app: str, name: str) -> None:
    """Nobody starts what the URL does not say."""
    assert named_in_app(app, name, table(("shop", "shop-import"))) is None


def test_slugs_with_slashes() -> None:
    """A function's id is the user's own."""
    functions = table(("a/b", "a/b-c/d"))
    assert named("a/b-c/d", functions) == named_in_app("a/b", "c/d", functions) == function_key("a/b", "a/b-c/d")


def test_words_for_what_is_not_there() -> None:
    """Near names of the same app, some names, or that nothing is registered."""
    functions = table(("shop", "shop-import"), ("other", "other-import"))
    assert "did you mean shop-import" in unknown("shop-imprt", functions)
    assert unknown("zzz", functions, "other").endswith("of app 'other'; did you mean other-import?")
    assert "none is registered yet" in unknown("x", FunctionTable())
