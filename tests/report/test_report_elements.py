"""Elements of the page: escaping, headings, plots whose colours the page decides.

pytest tests/report/test_report_elements.py
"""

from __future__ import annotations

import re

import polars as pl

from src.report import page, plots


def test_data_cannot_end_the_scripts_element() -> None:
    text = page.page("t", [], {"x": "</script><script>"})
    assert text.count("</script>") == 2 and '{"x":"\\u003c/script>' in text


def test_headings_have_spaces() -> None:
    html = page.table(pl.DataFrame({"fold_0": [0.25], "name": ["a_b"]}))
    assert "<th class=n>fold 0</th>" in html and "<td class=n>0.2500</td>" in html
    assert "<td>a_b</td>" in html


def test_plots_take_their_colours_from_the_page() -> None:
    svg = plots.lines([plots.Line("a<b", [1, 2], [3, 4])], "x")
    assert "var(--c0)" in svg and "var(--ink)" in svg and "a&lt;b" in svg
    assert not re.search(r"#(?!m|p)[0-9a-f]{6}", svg), "a colour that dark mode cannot change"
    assert svg == plots.lines([plots.Line("a<b", [1, 2], [3, 4])], "x"), "the same bytes"
