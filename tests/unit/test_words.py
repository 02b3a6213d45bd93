"""The words of free text."""

from __future__ import annotations

from dask_regions.words import tokens


def test_words_are_letters_and_digits_without_case_and_accents() -> None:
    assert tokens("CMIP6.r1i1p1f2_gn") == ("cmip6", "r1i1p1f2", "gn")
    assert tokens("Straße ÉTÉ İstanbul ﬁn ½ x² 日本") == (
        "strasse",
        "ete",
        "istanbul",
        "fin",
        "1",
        "2",
        "x2",
        "日本",
    )
    assert tokens(" ¶ -- ") == ()
