"""JSON as people read it, whatever strangers put into it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from penstock.dashboard.payloads import LARGEST_INDENTED, failure, highlighted, payload, snippet, unwrapped


def test_json_is_indented_and_its_kinds_are_told_apart() -> None:
    """Keys, texts, numbers and words have classes of their own."""
    markup = str(payload('{"a":"x","b":[1,null]}').markup)
    assert '<span class="jk">&#34;a&#34;</span>: <span class="js">&#34;x&#34;</span>' in markup
    assert '<span class="jn">1</span>' in markup
    assert '<span class="jw">null</span>' in markup


@given(st.text())
def test_nothing_but_our_own_spans_is_markup(text: str) -> None:
    """Whatever a user wrote comes out escaped, and complete."""
    markup = str(highlighted(text))
    for kind in ("jk", "js", "jn", "jw"):
        markup = markup.replace(f'<span class="{kind}">', "")
    assert markup.replace("</span>", "") == str(escape(text))


def test_what_is_too_long_for_a_page_is_cut_and_says_so() -> None:
    """The length of the whole is kept."""
    shown = payload('"' + "x" * 50 + '"', shown=20)
    assert shown.cut
    assert shown.characters == 52
    assert not payload("null").cut


def test_a_payload_of_megabytes_is_not_parsed() -> None:
    """To indent it would hold up everybody else."""
    text = "[" + "1," * LARGEST_INDENTED + "1]"
    assert payload(text).cut
    assert "\n" not in str(payload(text).markup)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ('{"name":"Oops","message":"no"}', "Oops", "no"),
        ('{"error":{"name":"Oops","message":"no","stack":"s"}}', "Oops", "no"),
        ('{"error":"invalid status code: 500","name":"Oops","message":"no"}', "Oops", "no"),
        ('{"message":"only"}', "Error", "only"),
    ],
)
def test_an_error_is_found_in_every_shape_that_sdks_send(text: str, name: str, message: str) -> None:
    """Bare, wrapped, and beside the status code."""
    found = failure(text)
    assert found is not None
    assert (found.name, found.message) == (name, message)


@pytest.mark.parametrize("text", [None, "", "null", "7", '{"a":1}', "[1]", "{", '{"error":7}'])
def test_what_is_no_error_is_none(text: str | None) -> None:
    """It is shown as a payload then."""
    assert failure(text) is None


def test_a_steps_output_is_shown_without_its_wrapping() -> None:
    """Only an object of nothing but `data` is one."""
    assert unwrapped('{"data":{"a":1}}') == '{"a":1}'
    assert unwrapped('{"data":1,"b":2}') == '{"data":1,"b":2}'
    assert unwrapped(None) is None


def test_a_snippet_is_one_short_line() -> None:
    """Null is nothing to show."""
    assert snippet("null") == snippet(None) == ""
    assert snippet('{"a":\n 1}') == '{"a": 1}'
    assert len(snippet("x" * 500)) == 120


def test_what_nests_deeper_than_can_be_written_is_shown_as_it_came() -> None:
    """An error or output from an app may nest a thousand deep."""
    deep = "[" * 900 + "]" * 900
    assert unwrapped(f'{{"data":{deep}}}') == f'{{"data":{deep}}}'
    found = failure(f'{{"name":"E","cause":{deep}}}')
    assert found is not None
    assert (found.name, found.rest) == ("E", "")
