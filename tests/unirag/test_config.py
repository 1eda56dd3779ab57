"""Settings from arguments, the environment and the settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import BadInput, BadSetting
from unirag.settings import load_settings


def test_arguments_beat_environment_beats_file_beats_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "unirag.yaml").write_text("ocr: false\nhome: /from/file\nprofile: base\n")
    monkeypatch.setenv("UNIRAG_HOME", "/from/environment")
    monkeypatch.setenv("UNIRAG_PROFILE", "base")
    settings = load_settings(profile="paper")
    assert settings.profile == "paper"
    assert settings.home == Path("/from/environment")
    assert settings.ocr is False
    assert settings.device == "auto"


def test_nested_settings_are_read_and_secrets_are_not_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UNIRAG_CHAT__URL", "http://127.0.0.1:8000/v1")
    monkeypatch.setenv("UNIRAG_CHAT__API_KEY", "hush")
    monkeypatch.setenv("UNIRAG_SEARCH__BM25", "0.25")
    settings = load_settings()
    assert settings.chat.url == "http://127.0.0.1:8000/v1"
    assert settings.search.bm25 == 0.25
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hoem: /x", "unknown setting 'hoem' in unirag.yaml; did you mean 'home'"),
        ("search: {bm26: 1}", r"unknown setting 'search\.bm26'"),
        ("profile: huge", r"setting profile: .*'mini'.*got 'huge'"),
        ("search: {bm25: 7}", r"setting search\.bm25: .*less than or equal to 1; got 7"),
        ("ocr: perhaps", "setting ocr"),
        (": : :\n- [", "not valid YAML"),
        ("- a\n- b", "not valid YAML"),
        ("just words", "not valid YAML"),
    ],
)
def test_bad_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "unirag.yaml").write_text(text)
    with pytest.raises(BadSetting, match=message):
        load_settings()


def test_unknown_variables_and_missing_files_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_settings(tmp_path / "none.yaml")
    monkeypatch.setenv("UNIRAG_PROFIL", "mini")
    with pytest.raises(BadSetting, match=r"UNIRAG_PROFIL.*did you mean 'profile'"):
        load_settings()


def test_an_empty_file_leaves_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "unirag.yaml").write_text("")
    assert load_settings().profile == "mini"
