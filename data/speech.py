"""Spoken questions to text: Whisper through `faster-whisper`, from a folder, never the network.

PyAV decodes the audio and Silero's voice detector, an asset inside faster-whisper, cuts the silence
out, so that Whisper is never asked to make words out of nothing.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput, BadSetting, Missing

__all__ = ["STEM_PROMPT", "Transcriber", "Transcript"]

# Whisper goes on in the manner of its prompt. Students ask, and say what a picture shows: without
# the second sentence "a photograph" was heard as "a folder ref" (benchmarks/text_to_figure.md).
_MANNER = (
    "A student asks a question or describes a picture. A photograph, a diagram or an illustration "
    "shows the view from the side, labeled: {}."
)
STEM_PROMPT = _MANNER.format(
    "refraction, viscosity, covalent bonds, stoichiometry, mitosis, ribosomes, eigenvalues, "
    "integrals"
)
_TERMS = 25  # told to Whisper at most: its prompt holds 224 tokens, and a long one drowns the sound
_FILES = ("config.json", "model.bin", "tokenizer.json")  # without the last one, upstream downloads
_VOCABULARY = ("vocabulary.txt", "vocabulary.json")
_RATE = 16_000  # samples a second, what Whisper hears
# Demuxers that read one file; a playlist would make FFmpeg open other files and addresses.
_FORMATS = "wav,w64,mp3,flac,ogg,aac,aiff,au,caf,amr,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, its language (ISO 639-1), and the length of the recording in seconds."""

    text: str
    language: str
    seconds: float


class Transcriber:
    """Transcribes recordings with one model, loaded at the first one; safe across threads.

    `folder` holds a Whisper model in CTranslate2's format. `language` None has it detected, which
    takes half as long again and goes wrong on short questions now and then.
    `prompt` biases the spelling of technical words; empty turns that off.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        compute_type: str = "int8",
        *,
        language: str | None = "en",
        prompt: str = STEM_PROMPT,
        max_seconds: float = 120.0,
        threads: int = 2,
    ) -> None:
        self.folder = folder
        self.device = device
        self.compute_type = compute_type
        self.language = language
        self.prompt = prompt
        self.max_seconds = max_seconds
        self.threads = threads
        self._lock = threading.Lock()

    def transcribe(self, path: Path, terms: Sequence[str] = ()) -> Transcript:
        """The words of a recording.

        `terms` are words that may well be said, the likeliest first. The rare ones among them,
        which the model spells in several tokens, stand in for `prompt`.

        Raises `BadInput` naming the file where it is missing, empty, no audio, longer than
        `max_seconds`, or holds no speech; `Missing` where the extra or the model is not there.
        """
        _check_extra()
        samples = decoded(path, self.max_seconds)
        with self._lock:
            rare = [t for t in terms if len(self._tokens(t)) > 1][:_TERMS]
            prompt = _MANNER.format(", ".join(rare)) if rare else self.prompt
            segments, info = self._model.transcribe(
                samples,
                language=self.language,
                beam_size=5,
                vad_filter=True,
                initial_prompt=prompt or None,
                condition_on_previous_text=False,  # a slip in one window does not spread
            )
            text = " ".join(segment.text.strip() for segment in segments).strip()
        if not text:
            raise BadInput(
                f"{path}: no speech found; expected a spoken question, record it again closer to "
                "the microphone"
            )
        return Transcript(text, info.language, round(len(samples) / _RATE, 2))

    def _tokens(self, word: str) -> list[int]:
        ids: list[int] = self._model.hf_tokenizer.encode(f" {word}", add_special_tokens=False).ids
        return ids

    @cached_property
    def _model(self) -> Any:
        missing = [name for name in _FILES if not (self.folder / name).is_file()]
        if not any((self.folder / name).is_file() for name in _VOCABULARY):
            missing.append(_VOCABULARY[0])
        if missing:
            raise Missing(
                f"{self.folder}: the speech model lacks {', '.join(missing)}; "
                "run: unirag models pull"
            )
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(
                str(self.folder),
                device=self.device,
                compute_type=self.compute_type,
                cpu_threads=self.threads,
                local_files_only=True,
            )
        except ValueError as error:  # CTranslate2's answer to a device or type it does not know
            raise BadSetting(
                f"speech on device {self.device!r} with compute type {self.compute_type!r}: "
                f"{error}; expected for example cpu with int8"
            ) from None
        except RuntimeError as error:  # and to a file that it cannot use
            raise Missing(
                f"{self.folder}: the speech model cannot be loaded ({error}); "
                "run: unirag models pull"
            ) from None


def decoded(path: Path, max_seconds: float) -> NDArray[np.float32]:
    """The first audio stream of a file as (samples,) mono at 16 kHz in [-1, 1].

    Stops as soon as `max_seconds` is passed, so that a long or endless file costs no more.
    """
    import av

    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise BadInput(f"{path}: the file cannot be read ({error.strerror})") from None
    if size is None:
        raise BadInput(f"{path}: no such file; check the path")
    if size == 0:
        raise BadInput(f"{path}: the file is empty; record the question again")
    limit, count, parts = int(max_seconds * _RATE), 0, []
    # s16 as upstream: to float, FFmpeg would add the channels of a stereo recording up past 1
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    try:
        with (
            path.open("rb") as handle,
            av.open(handle, "r", options={"format_whitelist": _FORMATS}) as container,
        ):
            if not container.streams.audio:
                raise BadInput(f"{path}: the file holds no sound; expected a recording")
            for frame in chain(container.decode(audio=0), [None]):  # None flushes
                for piece in resampler.resample(frame):
                    parts.append(piece.to_ndarray().reshape(-1))
                    count += len(parts[-1])
                if count > limit:
                    raise BadInput(
                        f"{path}: the recording is longer than the {max_seconds:g} s allowed; "
                        "ask a shorter question"
                    )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadInput(
            f"{path}: not a recording that can be read ({error.__class__.__name__}); expected "
            "wav, mp3, m4a, ogg, flac or webm"
        ) from None
    if not count:
        raise BadInput(f"{path}: the recording is empty; record the question again")
    samples: NDArray[np.float32] = np.concatenate(parts).astype(np.float32)
    return samples / np.float32(32768)


def _check_extra() -> None:
    if importlib.util.find_spec("faster_whisper") is None:
        raise Missing('spoken questions need the extra `speech`; run: pip install "unirag[speech]"')
