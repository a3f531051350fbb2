"""Wrong click logs: each fault gets one line with file, line, column and cure, and exit code 2.

A row of the table is a fault: a file, how it is damaged, and the message.
pytest tests/datasets/test_bad_clicklog.py
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable

import news
import pytest
from news import ARTICLES, DAY, LOG, TEST
from otto_log import GOOD
from refusal import assert_refused


def first(old: str, new: str) -> Callable[[str], str]:
    """Replace the first such text of a file."""

    def damage(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return damage


def header_only(text: str) -> str:
    return text.splitlines()[0] + "\n"


CLICKS_T0, WORDS = news.T0, f",{news.T0 - DAY // 2},210"
AT_3 = "\n3,13,"  # line 11 of the train log
WHOLE = "not a whole number from 0 to 2^63 - 1"
CLICKS = {
    "empty": (LOG, lambda t: "", "train_click_log.csv is empty"),
    "only a header": (LOG, header_only, "holds no rows"),
    "no header": (LOG, lambda t: t.partition("\n")[2], "line 1: no column user_id"),
    "a column missing": (LOG, first("click_os", "os"), "line 1: no column click_os"),
    "a column twice": (LOG, first("click_os", "user_id"), "line 1: no column click_os"),
    "user_id twice": (LOG, lambda t: re.sub("(?m)$", ",1", t).replace(",1", ",user_id", 1),
                      "line 1: more than one column user_id"),
    "semicolons": (LOG, lambda t: t.replace(",", ";"), "line 1: no column user_id"),
    "tabs": (LOG, lambda t: t.replace(",", "\t"), "line 1: no column user_id"),
    "quoted": (LOG, lambda t: '"' + t.replace(",", '","'), "line 1: no column user_id"),
    "UTF-16": (LOG, lambda t: t.encode("utf-16"), "line 1: no column user_id"),
    "a gz": (LOG, lambda t: gzip.compress(t.encode()), "line 1: no column user_id"),
    "sessions": (LOG, lambda t: GOOD, "line 1: no column user_id"),
    "swapped with articles": (LOG, lambda t: "article_id,category_id\n1,2\n",
                              "line 1: no column user_id"),
    "not UTF-8": (LOG, lambda t: t.replace(AT_3, "\n\xff3,13,", 1).encode("latin-1"),
                  "line 11 is not UTF-8 text"),
    "user a word": (LOG, first(AT_3, "\nx3,13,"), "line 11: user_id is 'x3'"),
    "user missing": (LOG, first(AT_3, "\n,13,"), "line 11: user_id is ''"),
    "user negative": (LOG, first(AT_3, "\n-3,13,"), "line 11: user_id is '-3'"),
    "user too big": (LOG, first(AT_3, f"\n{2**63},13,"), f"line 11: user_id is '{2**63}', {WHOLE}"),
    "user NaN": (LOG, first(AT_3, "\nNaN,13,"), "line 11: user_id is 'NaN'"),
    "user quoted": (LOG, first(AT_3, '\n"3",13,'), "line 11: user_id is '\"3\"'"),
    "a quote that stays open": (LOG, first(AT_3, '\n"3,13,'), "line 11: user_id is '\"3'"),
    "article a fraction": (LOG, first(AT_3, "\n3,13.5,"), "line 11: click_article_id is '13.5'"),
    "article an exponent": (LOG, first(AT_3, "\n3,1e3,"), "line 11: click_article_id is '1e3'"),
    "article null": (LOG, first(AT_3, "\n3,null,"), "line 11: click_article_id is 'null'"),
    "article far too big": (LOG, first(AT_3, "\n3," + "9" * 5000 + ","), "'9999999999"),
    "article infinite": (LOG, first(AT_3, "\n3,inf,"), "line 11: click_article_id is 'inf'"),
    "a zero byte": (LOG, first(AT_3, "\n3\0,13,"), "line 11: user_id is '3\\x00'"),
    "a column too many": (LOG, first(AT_3, "\n3,13,4,"), "line 11 has 10 fields, the header 9"),
    "a blank line": (LOG, first(AT_3, "\n\n3,13,"), "line 11: user_id is ''"),
    "cut in the middle": (LOG, lambda t: t[: len(t) // 2].rpartition(",")[0],
                          "line 70: click_timestamp is ''"),
    "time negative": (LOG, first(f"{CLICKS_T0}", f"-{CLICKS_T0}"), "click_timestamp is '-15"),
    "time 0": (LOG, first(f"{CLICKS_T0}", "0"), "line 2: time 0 is in seconds"),
    "time in seconds": (LOG, first(f"{CLICKS_T0}", f"{CLICKS_T0 // 1000}"),
                        "line 2: time 1506826800 is in seconds"),
    "time in microseconds": (LOG, first(f"{CLICKS_T0}", f"{CLICKS_T0}000"), "lies after 2038"),
    "time after 2038": (LOG, first(f"{CLICKS_T0}", f"{2**31 * 1000}"), "lies after 2038"),
    "time a date": (LOG, first(f"{CLICKS_T0}", "2017-10-01"), "click_timestamp is '2017-10-01'"),
    "region too big": (LOG, first(",1,3,2\n", f",1,{2**31},2\n"),
                       f"click_region is '{2**31}', not a whole number from 0 to 2^31 - 1"),
    "user in both logs": (TEST, first("\n100,", "\n3,"), "user 3 is in the train and in the test"),
    "test empty": (TEST, lambda t: "", "testA_click_log.csv is empty"),
    "test only a header": (TEST, header_only, "holds no rows"),
    "test a submission": (TEST, lambda t: "user_id,article_1\n100,5\n", "no column click_art"),
    "article twice": (ARTICLES, lambda t: t + t.splitlines()[1] + "\n", "article 10 appears twice"),
    "articles empty": (ARTICLES, lambda t: "", "articles.csv is empty"),
    "no words": (ARTICLES, first("words_count", "words"), "line 1: no column words_count"),
    "created 0": (ARTICLES, first(f"{CLICKS_T0 - DAY // 2}", "0"), "line 2: time 0 is in seconds"),
    "created after 2038": (ARTICLES, first(f"{CLICKS_T0 - DAY // 2}", f"{2**42}"), "after 2038"),
    "words too many": (ARTICLES, first(WORDS, f"{WORDS[:-3]}{2**31}"),
                       f"line 2: words_count is '{2**31}', not a whole number from 0 to 2^31 - 1"),
    "category negative": (ARTICLES, first("\n10,1,", "\n10,-1,"), "line 2: category_id is '-1'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", CLICKS)
def test_wrong_click_logs(tmp_path, monkeypatch, capsys, fault) -> None:
    name, damage, expected = CLICKS[fault]
    path = news.write(tmp_path)[name]
    damaged = damage(path.read_text())
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    code = news.prepare(monkeypatch, tmp_path)
    assert_refused(code, tmp_path, capsys.readouterr().err, expected)


def test_click_logs_that_are_not_there(monkeypatch, tmp_path, capsys) -> None:
    files = news.write(tmp_path)
    other = tmp_path / "in" / "testB_click_log.csv"
    other.write_text(files[TEST].read_text())
    assert_refused(
        news.prepare(monkeypatch, tmp_path), tmp_path, capsys.readouterr().err, "keep the one"
    )
    other.unlink()
    files[ARTICLES].unlink()
    expected = "articles.csv not found; put the competition's files there"
    assert_refused(news.prepare(monkeypatch, tmp_path), tmp_path, capsys.readouterr().err, expected)


def test_there_are_many_faults() -> None:
    assert len(CLICKS) >= 40


def test_lines_may_end_as_on_windows(tmp_path, monkeypatch) -> None:
    for file in news.write(tmp_path).values():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert news.prepare(monkeypatch, tmp_path) == 0


def test_the_largest_ids_are_taken(tmp_path, monkeypatch) -> None:
    largest = 2**63 - 1
    path = news.write(tmp_path)[LOG]
    path.write_text(path.read_text().replace(AT_3, f"\n{largest},{largest},"))
    assert news.prepare(monkeypatch, tmp_path) == 0
