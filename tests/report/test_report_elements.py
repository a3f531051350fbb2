"""Elements of the page: escaping, headings, plots whose colours the page decides.

pytest tests/report/test_report_elements.py
"""

from __future__ import annotations

import re

import polars as pl
import pytest

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


@pytest.mark.parametrize("length", [1, 36, 37, 47, 200])
def test_long_names_leave_room_for_the_axes(length: int) -> None:
    """popular_clicks_0.0833333h_0.0833333h_ahead_rank has 47 letters."""
    names = ["short", "".join(chr(97 + n % 26) for n in range(length))]
    shown = plots.shortened(names)
    assert shown[0] == "short" and len(shown[1]) <= min(length, plots.MAX_NAME)
    assert shown[1][:1] == names[1][:1] and shown[1][-1:] == names[1][-1:]
    assert (shown == names) == (length <= plots.MAX_NAME)
    for drawn in (
        plots.bars(names, {"gain": [1, 2]}),
        plots.intervals(names, [1, 2], [(0, 2)] * 2),
    ):
        assert drawn.startswith("<svg") and shown[1] in drawn
