"""The encoder at work: vectors, styles, overrides, enrolled styles, threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from data.errors import BadInput
from retrieval.enrolment import enrol
from retrieval.serving import UniEncoder
from tests.retrieval.tiny import tiny_encoder

RED, BLUE = ((220, 30, 30), (30, 30, 220))


def pictures(colour: tuple[int, int, int], count: int = 8, seed: int = 0) -> list[Image.Image]:
    """Pictures of one colour, each with a pattern of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(-25, 25, (count, 7, 7, 1))
    return [Image.fromarray(np.uint8(np.array(colour) + n)) for n in noise]


@pytest.fixture
def encoder() -> UniEncoder:
    inner = tiny_encoder()
    with torch.no_grad():
        centres = {
            name: inner.prototypes.from_gram(
                inner.tower.prepare_images(pictures(c)).features_BG
            ).mean(0)
            for name, c in (("original", BLUE), ("sketch", RED))
        }
    inner.set_styles(centres)
    return UniEncoder("tiny-1", inner)


def test_vectors_have_unit_length_whatever_the_batch(encoder):
    many = encoder.encode_image(pictures(RED, 70))
    assert many.shape == (70, encoder.width)
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        many[64:66], encoder.encode_image(pictures(RED, 70)[64:66]), atol=1e-5
    )
    assert encoder.encode_image([]).shape == (0, encoder.width)
    words = encoder.encode_text(["a heart", "a pendulum"])
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, atol=1e-5)


def test_the_style_of_a_picture_is_told_and_shares_sum_to_one(encoder):
    _, seen = encoder.encode_with_styles([*pictures(RED, 2), *pictures(BLUE, 2)])
    assert [max(s.styles, key=s.styles.get) for s in seen] == ["sketch"] * 2 + ["original"] * 2
    for one in seen:
        assert sum(one.styles.values()) == pytest.approx(1, abs=1e-5)
        assert len(one.experts) == 4
        assert sum(one.experts) == pytest.approx(1, abs=1e-5)


def test_a_style_that_is_given_takes_the_place_of_the_one_that_is_seen(encoder):
    own, given = (encoder.encode_with_styles(pictures(BLUE, 1), s) for s in ("auto", "sketch"))
    assert given[1][0].styles["sketch"] == 1
    assert not np.allclose(own[0], given[0])
    with pytest.raises(BadInput, match="expected auto or one of original, sketch"):
        encoder.encode_image(pictures(BLUE, 1), "fresco")


def enrolled(encoder: UniEncoder, colour=(30, 220, 30), paired: bool = True) -> UniEncoder:
    inner = encoder.encoder
    originals = pictures(BLUE, 12, seed=5)
    gallery = torch.from_numpy(encoder.encode_image(originals, "original"))
    entry = enrol(
        inner,
        "green",
        1,
        encoder.name,
        inner.tower.prepare_images(pictures(colour, 12, seed=5)),
        gallery,
        list(range(12)) if paired else None,
    )
    return UniEncoder(encoder.name, inner, [entry])


@pytest.mark.parametrize("paired", [True, False])
def test_an_enrolled_style_leaves_gallery_and_old_styles_as_they_were(encoder, paired):
    before = [
        encoder.encode_image(pictures(c, 3), s) for c in (RED, BLUE) for s in ("auto", "original")
    ]
    taught = enrolled(encoder, paired=paired)
    after = [
        taught.encode_image(pictures(c, 3), s) for c in (RED, BLUE) for s in ("auto", "original")
    ]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    green = pictures((30, 220, 30), 3)
    np.testing.assert_array_equal(
        encoder.encode_image(green, "original"), taught.encode_image(green, "original")
    )
    assert not np.allclose(encoder.encode_image(green), taught.encode_image(green))
    shares = taught.encode_with_styles(green)[1][0].styles
    assert max(shares, key=shares.__getitem__) == "green"


def test_a_batch_of_several_styles_gives_what_each_gives_alone(encoder):
    taught = enrolled(encoder)
    mixed = [pictures(c, 1)[0] for c in (RED, (30, 220, 30), BLUE, (30, 220, 30))]
    together = taught.encode_image(mixed)
    alone = np.concatenate([taught.encode_image([p]) for p in mixed])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_threads_do_not_disturb_each_other(encoder):
    wanted = {c: encoder.encode_image(pictures(c, 2)) for c in (RED, BLUE)}
    wrong: list[object] = []

    def work(colour):
        for _ in range(10):
            if not np.allclose(
                encoder.encode_image(pictures(colour, 2)), wanted[colour], atol=1e-5
            ):
                wrong.append(colour)

    threads = [threading.Thread(target=work, args=(c,)) for c in (RED, BLUE) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_keys_follow_confident_queries_only_where_that_is_switched_on(encoder):
    taught = enrolled(encoder)
    green = pictures((40, 210, 60), 6, seed=9)
    before = taught.enrolled[0].key_K.clone()
    taught.encode_image(green)
    torch.testing.assert_close(taught.enrolled[0].key_K, before, rtol=0, atol=0)
    following = UniEncoder("tiny-1", taught.encoder, taught.enrolled, follow=0.2)
    prototypes = taught.encoder.prototypes.from_gram(
        taught.encoder.tower.prepare_images(green).features_BG
    )
    shares = [s.styles["green"] for s in following.encode_with_styles(green)[1]]
    assert max(shares) > 0.8
    moved = following.enrolled[0].key_K
    sure = prototypes[torch.tensor(shares) > 0.8].mean(0)
    with torch.inference_mode():
        assert moved @ sure > before @ sure
    following.encode_image(pictures(RED, 4))
    torch.testing.assert_close(following.enrolled[0].key_K, moved, rtol=0, atol=0)


def test_what_is_enrolled_may_change_between_two_batches(encoder):
    taught = enrolled(encoder)
    entries = list(taught.enrolled)
    green = pictures((40, 210, 60), 2)
    assert "green" in taught.encode_with_styles(green)[1][0].styles
    taught.set_enrolled([])
    assert "green" not in taught.encode_with_styles(green)[1][0].styles
    with pytest.raises(BadInput, match="'green' is not known"):
        taught.encode_with_styles(green, "green")
    taught.set_enrolled(entries)
    assert taught.encode_with_styles(green, "green")[1][0].styles["green"] == 1


def test_a_style_that_goes_while_a_picture_is_looked_at_is_not_known(encoder, monkeypatch):
    taught = enrolled(encoder)
    prepare = taught.encoder.tower.prepare_images

    def gone(images):
        taught.set_enrolled([])
        return prepare(images)

    monkeypatch.setattr(taught.encoder.tower, "prepare_images", gone)
    with pytest.raises(BadInput, match="'green' is not known"):
        taught.encode_with_styles(pictures(RED, 1), "green")
