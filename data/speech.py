"""Turn spoken questions into text with Whisper (`faster-whisper`), from a local model folder.

PyAV decodes the audio. Silero's voice detector, which ships inside faster-whisper, removes silence
first: Whisper makes up words for silent audio.
"""

from __future__ import annotations

import importlib.util
import io
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

__all__ = ["STEM_PROMPT", "Transcriber", "Transcript", "decode_audio"]

# Whisper continues in the style of its prompt. The second sentence covers pictures, which students
# also describe: without it "a photograph" became "a folder ref" (benchmarks/text_to_figure.md).
_PROMPT_TEMPLATE = (
    "A student asks a question or describes a picture. A photograph, a diagram or an illustration "
    "shows the view from the side, labeled: {}."
)
STEM_PROMPT = _PROMPT_TEMPLATE.format(
    "refraction, viscosity, covalent bonds, stoichiometry, mitosis, ribosomes, eigenvalues, "
    "integrals"
)
_MAX_PROMPT_TERMS = 25  # prompts hold 224 tokens, and a long one outweighs the sound
# faster-whisper downloads tokenizer.json if the folder lacks it.
_MODEL_FILES = ("config.json", "model.bin", "tokenizer.json")
_VOCABULARY_FILES = ("vocabulary.txt", "vocabulary.json")
_SAMPLE_RATE = 16_000  # samples a second, Whisper's input
# Demuxers that read one file. A playlist would make FFmpeg open other files and addresses.
_DEMUXERS = "wav,w64,mp3,flac,ogg,aac,aiff,au,caf,amr,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf"


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of a recording, their language (ISO 639-1) and the length in seconds.

    `confidence` in [0, 1] is the model's mean probability of a token, as a geometric mean.
    """

    text: str
    language: str
    seconds: float
    confidence: float


class Transcriber:
    """Transcribe recordings with a Whisper model, which is loaded on first use.

    Safe to call from several threads.

    `folder` holds a Whisper model in CTranslate2's format. With `language` None the model detects
    the language: this takes half as long again and is sometimes wrong for short questions.
    `prompt` biases the spelling of technical words; an empty prompt turns this off.
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

    def transcribe(
        self, recording: bytes, terms: Sequence[str] = (), name: str = "recording"
    ) -> Transcript:
        """Return the words of a recording: the bytes of an audio file.

        `terms` are words that the speaker probably uses, most likely first. Terms that the model
        spells with several tokens replace `prompt`. `name` stands for the recording in messages.

        Raises `BadInput` if the recording is empty, is not audio, is longer than `max_seconds` or
        holds no speech; `Missing` if the extra `speech` or the model is not installed.
        """
        _check_extra()
        samples = decode_audio(recording, self.max_seconds, name)
        with self._lock:
            segments, info = self._model.transcribe(
                samples,
                language=self.language,
                beam_size=5,
                vad_filter=True,
                initial_prompt=self._prompt(terms) or None,
                condition_on_previous_text=False,  # so that errors do not spread
            )
            spoken = list(segments)  # the model runs while they are read
        text = " ".join(segment.text.strip() for segment in spoken).strip()
        if not text:
            raise BadInput(
                f"{name}: no speech found; expected a spoken question, record it again closer to "
                "the microphone"
            )
        seconds = round(len(samples) / _SAMPLE_RATE, 2)
        return Transcript(text, info.language, seconds, _confidence(spoken))

    def _prompt(self, terms: Sequence[str]) -> str:
        rare = [term for term in terms if len(self._token_ids(term)) > 1][:_MAX_PROMPT_TERMS]
        return _PROMPT_TEMPLATE.format(", ".join(rare)) if rare else self.prompt

    def _token_ids(self, word: str) -> list[int]:
        ids: list[int] = self._model.hf_tokenizer.encode(f" {word}", add_special_tokens=False).ids
        return ids

    @cached_property
    def _model(self) -> Any:
        missing = [name for name in _MODEL_FILES if not (self.folder / name).is_file()]
        if not any((self.folder / name).is_file() for name in _VOCABULARY_FILES):
            missing.append(_VOCABULARY_FILES[0])
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
        except ValueError as error:  # CTranslate2 does not know the device or type
            raise BadSetting(
                f"speech on device {self.device!r} with compute type {self.compute_type!r}: "
                f"{error}; expected for example cpu with int8"
            ) from None
        except RuntimeError as error:  # CTranslate2 cannot use a file
            raise Missing(
                f"{self.folder}: the speech model cannot be loaded ({error}); "
                "run: unirag models pull"
            ) from None


def decode_audio(
    recording: bytes, max_seconds: float, name: str = "recording"
) -> NDArray[np.float32]:
    """Decode the first audio stream of a file to (samples,), mono, 16 kHz, in [-1, 1].

    Decoding stops once `max_seconds` are exceeded: a long or endless file costs no more. Raises
    `BadInput` if the file is empty, is not audio or is too long.
    """
    import av

    if not recording:
        raise BadInput(f"{name}: the file is empty; record the question again")
    limit, count = int(max_seconds * _SAMPLE_RATE), 0
    chunks: list[NDArray[Any]] = []
    # s16, as in faster-whisper: with float, FFmpeg's mono mix of stereo channels can exceed 1.
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_SAMPLE_RATE)
    try:
        with av.open(
            io.BytesIO(recording), "r", options={"format_whitelist": _DEMUXERS}
        ) as container:
            if not container.streams.audio:
                raise BadInput(f"{name}: the file holds no sound; expected a recording")
            for frame in chain(container.decode(audio=0), [None]):  # None flushes the resampler
                for resampled in resampler.resample(frame):
                    chunks.append(resampled.to_ndarray().reshape(-1))
                    count += len(chunks[-1])
                if count > limit:
                    raise BadInput(
                        f"{name}: the recording is longer than the {max_seconds:g} s allowed; "
                        "ask a shorter question"
                    )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadInput(
            f"{name}: not a recording that can be read ({error.__class__.__name__}); expected "
            "wav, mp3, m4a, ogg, flac or webm"
        ) from None
    if not count:
        raise BadInput(f"{name}: the recording is empty; record the question again")
    samples: NDArray[np.float32] = np.concatenate(chunks).astype(np.float32)
    return samples / np.float32(32768)


def _confidence(segments: Sequence[Any]) -> float:
    """Return the geometric mean of the tokens' probabilities. Longer segments count more."""
    lengths = [len(segment.tokens) for segment in segments]
    logs = [segment.avg_logprob for segment in segments]
    return round(float(np.exp(np.average(logs, weights=lengths))), 3)


def _check_extra() -> None:
    if importlib.util.find_spec("faster_whisper") is None:
        raise Missing('spoken questions need the extra `speech`; run: pip install "unirag[speech]"')
