"""`unirag eval retrieval`: each kind of query ranks the whole gallery."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.errors import Missing
from retrieval.encoder import StyleDetection, normalize_rows
from unirag.evaluation.retrieval import SPOKEN, TEXT, TEXT_AND_SKETCH, evaluate_retrieval, speak

WORDS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


class Colours:
    """A picture is its mean colour; a word for a colour is that colour."""

    name, width, styles = "colours", 3, ()

    def __init__(self) -> None:
        self.encoded_styles: list[str] = []

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> np.ndarray:
        self.encoded_styles += [style] * len(images)
        return normalize_rows(np.stack([np.asarray(i).reshape(-1, 3).mean(0) for i in images]))

    def encode_with_styles(self, images: Sequence[Image.Image], style: str = "auto"):
        return self.encode_image(images, style), [StyleDetection() for _ in images]

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        colours = [next((v for w, v in WORDS.items() if w in t), (1, 1, 1)) for t in texts]
        return normalize_rows(np.array(colours, np.float32))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    lines = ["# Colours", ""]
    for name, colour in WORDS.items():
        picture = np.random.default_rng(1).integers(0, 60, (64, 64, 3)) + np.array(colour) * 190
        Image.fromarray(picture.astype(np.uint8)).save(tmp_path / f"{name}.png")
        lines += [f"![A {name} square]({name}.png)", ""]
    (tmp_path / "colours.md").write_text("\n".join(lines))
    return tmp_path


def test_every_kind_of_query_is_ranked_in_the_whole_gallery(corpus):
    encoder = Colours()
    result = evaluate_retrieval(corpus, encoder, styles=("lowres", "sketch"), queries=2, seed=3)
    assert result.gallery == 3
    assert set(result.scores) == {"lowres", "sketch", TEXT, TEXT_AND_SKETCH}
    assert all(s.queries == 2 for s in result.scores.values())
    assert result.scores["lowres"].r1 == result.scores[TEXT].r1 == 100
    assert encoder.encoded_styles.count("original") == 3
    assert encoder.encoded_styles.count("auto") == 4
    again = evaluate_retrieval(corpus, Colours(), styles=("lowres", "sketch"), queries=2, seed=3)
    assert again.to_json() == result.to_json()


def test_text_and_sketch_together_beat_a_sketch_without_colours(corpus):
    scores = evaluate_retrieval(corpus, Colours(), styles=("sketch",)).scores
    assert scores["sketch"].r1 < scores[TEXT_AND_SKETCH].r1


def test_text_is_read_aloud_and_transcribed(corpus):
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng")
    recordings: list[bytes] = []

    def transcribe(recording: bytes) -> str:
        recordings.append(recording)
        return "a green square"

    scores = evaluate_retrieval(corpus, Colours(), styles=(), transcribe=transcribe).scores
    assert scores[SPOKEN].r1 == pytest.approx(100 / 3)
    assert len(recordings) == 3
    assert all(sound[:4] == b"RIFF" and len(sound) > 10_000 for sound in recordings)


def test_a_missing_espeak_is_reported_with_the_remedy(monkeypatch):
    monkeypatch.setattr("unirag.evaluation.retrieval.shutil.which", lambda _: None)
    with pytest.raises(Missing, match="apt install espeak-ng"):
        speak("a heart")
