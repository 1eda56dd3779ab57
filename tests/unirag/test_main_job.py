"""The main job as a newcomer runs it: sample corpus, real models, command line, no network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter

import data.sample

SAMPLE = Path(data.sample.__file__).parent
# Runs a command without network.
OFFLINE = """
import socket, sys
def shut(*args, **kwargs):
    raise OSError("the network is off in this test")
socket.socket.connect = socket.socket.connect_ex = shut
socket.getaddrinfo = socket.create_connection = shut
try:
    socket.create_connection(("127.0.0.1", 9))
except OSError as error:
    assert "off in this test" in str(error)
sys.argv = ["unirag", *sys.argv[1:]]
from unirag.cli import main
main()
"""


class Home:
    def __init__(self, path: Path, models: Path) -> None:
        self.path, self.models = path, models

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = subprocess.run(
            [sys.executable, "-c", OFFLINE, *command, "--home", str(self.path)],
            capture_output=True,
            text=True,
            timeout=600,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.path.parent),
                "UNIRAG_MODELS": str(self.models),
                "PYTHONPATH": str(SAMPLE.parent.parent),
                "COLUMNS": "200",
            },
            cwd=self.path.parent,
            check=False,
        )
        assert process.returncode == code, process.stdout + process.stderr
        return process

    def json(self, *command: str, code: int = 0) -> Any:
        return json.loads(self.run(*command, "--json", code=code).stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Home:
    home = Home(tmp_path_factory.mktemp("main") / "home", models)
    report = home.json("index", str(SAMPLE), "--corpus", "sample")["corpora"][0]
    assert report["documents"]["failed"] == 0
    assert report["documents"]["new"] >= 48
    assert report["figures"] >= 48
    assert report["problems"] == []
    return home


def test_a_second_run_of_index_changes_nothing(home: Home) -> None:
    report = home.json("index", str(SAMPLE), "--corpus", "sample")["corpora"][0]
    assert report["documents"]["new"] == report["documents"]["changed"] == 0
    assert home.json("corpora", "list")["corpora"][0]["name"] == "sample"


def check_hits(result: dict[str, Any]) -> None:
    """Check the documented fields of `search --json`."""
    assert set(result) >= {"query", "hits", "no_good_match", "timings_ms"}
    for hit in result["hits"]:
        assert set(hit) == {
            "id", "kind", "title", "text", "image", "corpus", "section", "source", "licence",
            "attribution", "score", "channels", "relevance",
        }  # fmt: skip
        assert set(hit["channels"]) == {"image", "text", "bm25"}
        assert hit["kind"] in ("figure", "passage")
        if hit["kind"] == "figure":
            assert Path(hit["image"]).is_file()


@pytest.mark.parametrize(
    ("question", "section"),
    [
        ("why does light bend when it enters glass", "Refraction"),
        ("how do you find the greatest height of a thrown ball", "Projectile"),
        ("which way does the equilibrium shift when I heat it", "equilibrium"),
        ("how does a computer add two bits", "gates"),
    ],
)
def test_a_question_in_words_finds_its_section(home: Home, question: str, section: str) -> None:
    result = home.json("search", question)
    check_hits(result)
    assert not result["no_good_match"]
    assert section.lower() in sections(result)


def sections(result: dict[str, Any]) -> str:
    """Return the headings above the first five hits, in lower case."""
    return "\n".join(" ".join(hit["section"]) for hit in result["hits"][:5]).lower()


def test_a_photo_of_a_figure_finds_the_figure(home: Home, tmp_path: Path) -> None:
    with Image.open(SAMPLE / "figures" / "simple-pendulum.png") as picture:
        photo = picture.convert("RGB").rotate(2, expand=True, fillcolor="white")
    photo.resize((420, 300)).filter(ImageFilter.GaussianBlur(0.8)).save(tmp_path / "photo.jpg")
    result = home.json("search", "--image", str(tmp_path / "photo.jpg"))
    check_hits(result)
    figure = next(h for h in result["hits"] if h["kind"] == "figure")
    assert "pendulum" in " ".join(figure["section"]).lower()
    assert figure["channels"]["image"] > 0.5
    mixed = home.json("search", "what sets its period", "--image", f"{tmp_path / 'photo.jpg'}:0.5")
    assert "pendulum" in sections(mixed)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_a_spoken_question_finds_its_section(home: Home, tmp_path: Path) -> None:
    question = "How does a hydraulic press multiply force?"
    subprocess.run(
        ["espeak-ng", "-s", "140", "-w", str(tmp_path / "q.wav"), question], check=True, timeout=60
    )
    result = home.json("search", "--audio", str(tmp_path / "q.wav"))
    assert "press" in result["query"].lower()
    assert "hydraulic" in sections(result)


def test_every_sentence_of_an_answer_cites_a_hit(home: Home) -> None:
    answer = home.json("ask", "Why does light bend when it enters glass?")
    check_hits(answer)
    assert set(answer) >= {"answer", "sentences", "refused", "quoted", "task", "level"}
    assert (answer["task"], answer["level"]) == ("explain", "school")
    assert not answer["refused"]
    ids = {hit["id"] for hit in answer["hits"]}
    assert answer["sentences"]
    first = answer["sentences"][0]  # quotations come before the words of the model
    texts = {hit["id"]: hit["text"] for hit in answer["hits"]}
    assert first["quoted"]
    assert first["text"] in texts[first["citations"][0]]
    for sentence in answer["sentences"]:
        assert sentence["citations"]
        assert set(sentence["citations"]) <= ids
        assert 0 < sentence["support"] <= 1
    assert answer["answer"] == " ".join(s["text"] for s in answer["sentences"])


def test_a_quiz_and_feedback_come_from_the_sources(home: Home) -> None:
    question = "What sets the period of a pendulum?"
    quiz = home.json("ask", question, "--task", "quiz", "--level", "college")
    assert (quiz["task"], quiz["level"]) == ("quiz", "college")
    texts = {hit["id"]: hit["text"] for hit in quiz["hits"]}
    clozes, keys = quiz["sentences"][::2], quiz["sentences"][1::2]
    assert len(clozes) == len(keys) == 3
    for cloze, key in zip(clozes, keys, strict=True):
        term = key["text"].removeprefix("Key: ").removesuffix(".")
        definition = cloze["text"].removeprefix("Complete: ").replace("____ means", f"{term}:")
        assert definition.replace("____", term) in texts[cloze["citations"][0]]
    output = home.run(
        "ask", question, "--task", "feedback",
        "--student-answer", "On the Moon the pendulum swings about 3.5 times more slowly.",
    ).stdout  # fmt: skip
    assert "The sources give 2.5, not 3.5: “On the Moon" in output
    assert "You left out: “" in output
    run = home.run("ask", question, "--task", "feedback", code=2)
    assert "student_answer: is empty" in run.stderr


@pytest.mark.parametrize(
    "question",
    [
        "Who won the football world cup in 1998 and where was it played?",
        "What does the term the skaxkliflioic law mean?",
    ],
)
def test_ask_refuses_without_evidence(home: Home, question: str) -> None:
    answer = home.json("ask", question)
    assert answer["refused"]
    assert answer["no_good_match"]
    assert answer["sentences"] == []
    assert answer["hits"]
    assert "There is no evidence" in home.run("ask", question).stdout


def test_ask_says_that_it_cannot_read_another_language(home: Home) -> None:
    answer = home.json("ask", "Was bestimmt die Periode eines Pendels?")
    assert answer["sentences"][0]["text"].startswith("I cannot read this language yet.")
    assert answer["hits"] == []


def test_an_empty_workspace_has_no_hits_and_names_the_command_to_list_corpora(
    home: Home, tmp_path: Path
) -> None:
    empty = Home(tmp_path / "empty", home.models)
    assert empty.json("search", "anything") | {"timings_ms": 0} == {
        "query": "anything", "hits": [], "no_good_match": True, "timings_ms": 0,
        "styles": {}, "experts": [], "corrections": {},
    }  # fmt: skip
    assert "unirag corpora list" in empty.run("search", "anything").stdout
    answer = empty.json("ask", "What sets the period of a pendulum?")
    assert answer["refused"]
    assert (answer["sentences"], answer["hits"]) == ([], [])


def test_removing_a_corpus_removes_its_items_and_pictures(home: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "copy", home.models)
    card = tmp_path / "card"
    (card / "figures").mkdir(parents=True)
    (card / "cards").mkdir()
    shutil.copy(SAMPLE / "cards" / "simple-pendulum.md", card / "cards")
    shutil.copy(SAMPLE / "figures" / "simple-pendulum.png", card / "figures")
    copy.json("index", str(card), "--no-ocr")
    assert [*copy.path.glob("assets/*/*.png")]
    assert copy.json("corpora", "remove", "card")["removed"] > 3
    assert not [*copy.path.glob("assets/*/*.png")]
    assert copy.json("search", "pendulum")["hits"] == []
