"""The encoder in service: vectors, styles, style overrides, enrolled styles, threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from data.errors import BadInput
from retrieval.enrolment import enrol
from retrieval.uni_encoder import UniEncoder
from tests.retrieval.tiny import tiny_encoder

RED, BLUE = ((220, 30, 30), (30, 30, 220))


def pictures(colour: tuple[int, int, int], count: int = 8, seed: int = 0) -> list[Image.Image]:
    """Pictures of one colour, each with a different pattern."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(-25, 25, (count, 7, 7, 1))
    return [Image.fromarray(np.uint8(np.array(colour) + n)) for n in noise]


@pytest.fixture
def encoder() -> UniEncoder:
    uni = tiny_encoder()
    with torch.no_grad():
        centres = {
            name: uni.prototypes.from_gram(uni.tower.prepare_images(pictures(c)).features_BG).mean(
                0
            )
            for name, c in (("original", BLUE), ("sketch", RED))
        }
    uni.set_styles(centres)
    return UniEncoder("tiny-1", uni)


def test_vectors_have_unit_length_in_batches_of_any_size(encoder):
    many = encoder.encode_image(pictures(RED, 70))
    assert many.shape == (70, encoder.width)
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        many[64:66], encoder.encode_image(pictures(RED, 70)[64:66]), atol=1e-5
    )
    assert encoder.encode_image([]).shape == (0, encoder.width)
    words = encoder.encode_text(["a heart", "a pendulum"])
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, atol=1e-5)


def test_the_style_is_detected_and_shares_sum_to_one(encoder):
    _, detections = encoder.encode_with_styles([*pictures(RED, 2), *pictures(BLUE, 2)])
    assert [max(s.styles, key=s.styles.get) for s in detections] == ["sketch"] * 2 + [
        "original"
    ] * 2
    for one in detections:
        assert sum(one.styles.values()) == pytest.approx(1, abs=1e-5)
        assert len(one.experts) == 4
        assert sum(one.experts) == pytest.approx(1, abs=1e-5)


def test_a_given_style_overrides_the_detected_one(encoder):
    detected, overridden = (
        encoder.encode_with_styles(pictures(BLUE, 1), s) for s in ("auto", "sketch")
    )
    assert overridden[1][0].styles["sketch"] == 1
    assert not np.allclose(detected[0], overridden[0])
    with pytest.raises(BadInput, match="expected auto or one of original, sketch"):
        encoder.encode_image(pictures(BLUE, 1), "fresco")


def enrolled(encoder: UniEncoder, colour=(30, 220, 30), paired: bool = True) -> UniEncoder:
    uni = encoder.encoder
    originals = pictures(BLUE, 12, seed=5)
    gallery = torch.from_numpy(encoder.encode_image(originals, "original"))
    entry = enrol(
        uni,
        "green",
        1,
        encoder.name,
        uni.tower.prepare_images(pictures(colour, 12, seed=5)),
        gallery,
        list(range(12)) if paired else None,
    )
    return UniEncoder(encoder.name, uni, [entry])


@pytest.mark.parametrize("paired", [True, False])
def test_an_enrolled_style_changes_neither_gallery_nor_trained_styles(encoder, paired):
    before = [
        encoder.encode_image(pictures(c, 3), s) for c in (RED, BLUE) for s in ("auto", "original")
    ]
    with_green = enrolled(encoder, paired=paired)
    after = [
        with_green.encode_image(pictures(c, 3), s)
        for c in (RED, BLUE)
        for s in ("auto", "original")
    ]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    green = pictures((30, 220, 30), 3)
    np.testing.assert_array_equal(
        encoder.encode_image(green, "original"), with_green.encode_image(green, "original")
    )
    assert not np.allclose(encoder.encode_image(green), with_green.encode_image(green))
    shares = with_green.encode_with_styles(green)[1][0].styles
    assert max(shares, key=shares.__getitem__) == "green"


def test_a_batch_of_several_styles_equals_each_picture_alone(encoder):
    with_green = enrolled(encoder)
    mixed = [pictures(c, 1)[0] for c in (RED, (30, 220, 30), BLUE, (30, 220, 30))]
    together = with_green.encode_image(mixed)
    alone = np.concatenate([with_green.encode_image([p]) for p in mixed])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_threads_do_not_disturb_each_other(encoder):
    expected = {c: encoder.encode_image(pictures(c, 2)) for c in (RED, BLUE)}
    wrong_colours: list[object] = []

    def work(colour):
        for _ in range(10):
            if not np.allclose(
                encoder.encode_image(pictures(colour, 2)), expected[colour], atol=1e-5
            ):
                wrong_colours.append(colour)

    threads = [threading.Thread(target=work, args=(c,)) for c in (RED, BLUE) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong_colours


def test_keys_follow_confident_queries_only_if_enabled(encoder):
    with_green = enrolled(encoder)
    green = pictures((40, 210, 60), 6, seed=9)
    before = with_green.enrolled[0].key_K.clone()
    with_green.encode_image(green)
    torch.testing.assert_close(with_green.enrolled[0].key_K, before, rtol=0, atol=0)
    following = UniEncoder("tiny-1", with_green.encoder, with_green.enrolled, style_follow_rate=0.2)
    prototypes = with_green.encoder.prototypes.from_gram(
        with_green.encoder.tower.prepare_images(green).features_BG
    )
    shares = [s.styles["green"] for s in following.encode_with_styles(green)[1]]
    assert max(shares) > 0.8
    moved = following.enrolled[0].key_K
    confident = prototypes[torch.tensor(shares) > 0.8].mean(0)
    with torch.inference_mode():
        assert moved @ confident > before @ confident
    following.encode_image(pictures(RED, 4))
    torch.testing.assert_close(following.enrolled[0].key_K, moved, rtol=0, atol=0)


def test_enrolled_styles_may_change_between_two_batches(encoder):
    with_green = enrolled(encoder)
    entries = list(with_green.enrolled)
    green = pictures((40, 210, 60), 2)
    assert "green" in with_green.encode_with_styles(green)[1][0].styles
    with_green.set_enrolled([])
    assert "green" not in with_green.encode_with_styles(green)[1][0].styles
    with pytest.raises(BadInput, match="'green' is not known"):
        with_green.encode_with_styles(green, "green")
    with_green.set_enrolled(entries)
    assert with_green.encode_with_styles(green, "green")[1][0].styles["green"] == 1


def test_a_style_removed_while_a_picture_is_prepared_is_unknown(encoder, monkeypatch):
    with_green = enrolled(encoder)
    prepare = with_green.encoder.tower.prepare_images

    def prepare_and_remove(images):
        with_green.set_enrolled([])
        return prepare(images)

    monkeypatch.setattr(with_green.encoder.tower, "prepare_images", prepare_and_remove)
    with pytest.raises(BadInput, match="'green' is not known"):
        with_green.encode_with_styles(pictures(RED, 1), "green")
