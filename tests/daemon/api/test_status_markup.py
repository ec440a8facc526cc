"""Elements keep their order, and no value becomes markup."""

from __future__ import annotations

from xml.etree.ElementTree import tostring

from daemon.api.status_markup import Table, element


def test_text_and_elements_keep_their_order() -> None:
    made = element("p", "one ", "two ", element("b", "three"), " four", element("i", "five"), style="quiet")
    assert tostring(made, "unicode") == '<p class="quiet">one two <b>three</b> four<i>five</i></p>'


def test_no_value_becomes_markup() -> None:
    made = Table("<h1>", ("<b>",), [("<script>alert(1)</script>&",)]).card()
    shown = tostring(made, "unicode", "html")
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in shown


def test_a_table_without_rows_says_so() -> None:
    shown = tostring(Table("Keys", ("a",), [], "none is held").card(), "unicode")
    assert "none is held" in shown
    assert "<table" not in shown


def test_columns_of_numbers_and_rows_have_their_style() -> None:
    shown = tostring(Table("Keys", ("a", "#b"), [("1", "2"), ("3", "4")], styles=("", "soon")).card(), "unicode")
    assert '<th class="number">b</th>' in shown
    assert '<tr class="soon"><td>3</td><td class="number">4</td></tr>' in shown
    assert "<tr><td>1</td>" in shown
