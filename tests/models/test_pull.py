"""Pulling a model, from a server on this machine that speaks as the hub does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from shoritui.errors import UserError
from shoritui.models.download import download
from shoritui.models.hub import Offer, Repository, choose, repository, suggest
from tests.models.gguf_files import gguf, model
from tests.models.hub_server import COMMIT, Hub, serving

NAME = "someone/Night-GGUF"
CONTENT = gguf(model(), ((256, 256),))
GIB = 2**30


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user without a token."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(NAME, {"README.md": b"# Night", "night.Q4_K_M.gguf": CONTENT})) as hub:
        yield hub


def pull(hub: Hub, folder: Path, wanted: str = "", tries: int = 1) -> list[int]:
    """Pulls into a folder; what was reported."""
    reports: list[int] = []
    repo = repository(NAME, hub.url)
    download(repo, choose(repo, wanted, None), folder, reports.append, tries=tries)
    return reports


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_the_only_model_is_pulled(hub: Hub, tmp_path: Path) -> None:
    reports = pull(hub, tmp_path)
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}
    assert reports == sorted(reports) and reports[-1] == len(CONTENT)


def test_what_is_here_is_not_pulled_again(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    assert pull(hub, tmp_path)[-1] == len(CONTENT)
    assert len(hub.sent) == 1


def test_another_file_of_the_same_name_is_replaced(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "night.Q4_K_M.gguf").write_bytes(bytes(len(CONTENT)))
    pull(hub, tmp_path)
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}


def test_a_broken_pull_goes_on_where_it_ended(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = 100_000
    with pytest.raises(UserError, match=r"broke; .* and the same command goes on from there"):
        pull(hub, tmp_path)
    assert not list(tmp_path.glob("*.gguf")), "nothing is in its place before it is whole"
    reports = pull(hub, tmp_path)
    assert [asked for _, asked in hub.sent] == ["", "bytes=100000-"]
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}
    assert reports == sorted(reports)


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    hub.break_after, hub.breaks = 100_000, 1
    pull(hub, tmp_path, tries=2)
    assert [asked for _, asked in hub.sent] == ["", "bytes=100000-"]
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}


def test_a_server_that_ignores_ranges_sends_it_anew(hub: Hub, tmp_path: Path) -> None:
    hub.break_after, hub.ignores_ranges = 100_000, True
    with pytest.raises(UserError):
        pull(hub, tmp_path)
    pull(hub, tmp_path)
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}


def test_a_repository_that_changed_meanwhile_begins_anew(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = 100_000
    with pytest.raises(UserError):
        pull(hub, tmp_path)
    hub.files["night.Q4_K_M.gguf"] = newer = gguf(model(), ((256, 255),))
    pull(hub, tmp_path)
    assert files(tmp_path) == {"night.Q4_K_M.gguf": newer}, "the old part is gone too"


@pytest.mark.parametrize("in_git", [False, True])
def test_what_came_damaged_is_thrown_away(hub: Hub, tmp_path: Path, in_git: bool) -> None:
    hub.damaged, hub.in_git = True, in_git
    with pytest.raises(UserError, match="came damaged"):
        pull(hub, tmp_path)
    assert not any(files(tmp_path).values())
    hub.damaged = False
    pull(hub, tmp_path)
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}


def test_the_parts_of_a_split_model_come_together(hub: Hub, tmp_path: Path) -> None:
    first, second = gguf(model(), ((9, 9),)), gguf({}, ((300, 300),))
    hub.files = {
        "Q8_0/night-Q8_0-00001-of-00002.gguf": first,
        "Q8_0/night-Q8_0-00002-of-00002.gguf": second,
        "night-Q4_0.gguf": CONTENT,
    }
    hub.break_after = 200_000  # in the second part
    hub.breaks = 2
    with pytest.raises(UserError, match="broke"):
        pull(hub, tmp_path, "q8_0")
    pull(hub, tmp_path, "q8_0")
    assert files(tmp_path) == {
        "Q8_0/night-Q8_0-00001-of-00002.gguf": first,
        "Q8_0/night-Q8_0-00002-of-00002.gguf": second,
    }


@pytest.mark.parametrize(
    "wanted", ["Q6_K", "q6_k", "night.q6_k.gguf", "NIGHT.Q6_K", "other/night.q6_k.gguf"]
)
def test_a_model_is_chosen_by_quantisation_or_file(hub: Hub, wanted: str) -> None:
    hub.files = {"a.Q4_K_M.gguf": b"1", "other/night.q6_k.gguf": b"22", "mmproj-F16.gguf": b"333"}
    assert choose(repository(NAME, hub.url), wanted, None).size_bytes == 2


def test_without_a_name_the_choices_and_a_suggestion_are_told(hub: Hub) -> None:
    hub.files = {f"night.{q}.gguf": bytes(n) for n, q in enumerate(("Q3_K_S", "Q6_K", "F16"), 1)}
    repo = repository(NAME, hub.url)
    with pytest.raises(UserError, match=r"Q3_K_S \(.* Q6_K \(.* F16 \(.*take Q6_K: .*:Q6_K$"):
        choose(repo, "", 4)
    with pytest.raises(UserError, match="take Q3_K_S"):
        choose(repo, "", 1)
    with pytest.raises(UserError, match="Did you mean Q6_K"):
        choose(repo, "q6k", None)
    with pytest.raises(UserError, match=r"has no Q5_K, but Q3_K_S .*\)\.$"):
        choose(repo, "Q5_K", None)
    hub.files["other.Q6_K.gguf"] = b"1"
    with pytest.raises(UserError, match=r"name the file: .*other.Q6_K.gguf"):
        choose(repository(NAME, hub.url), "Q6_K", None)


def test_the_suggestion_leaves_room_in_the_memory() -> None:
    sizes = {"Q3_K_S": 3, "Q4_K_M": 4, "Q8_0": 8, "F16": 14}
    offers = [Offer(q, q, (SimpleNamespace(size_bytes=n * GIB),)) for q, n in sizes.items()]  # type: ignore[arg-type]
    picks = {gib: suggest(offers, gib * GIB).quantisation for gib in (4, 8, 16, 512)}
    assert picks == {4: "Q3_K_S", 8: "Q4_K_M", 16: "Q8_0", 512: "Q8_0"}
    assert suggest(offers, None).quantisation == "Q3_K_S"


def test_a_hostile_repository_writes_nowhere_else(hub: Hub, tmp_path: Path) -> None:
    hub.files = {
        "../evil.gguf": b"1",
        "/evil.gguf": b"22",
        "a/../../evil.gguf": b"333",
        "c:\\evil.gguf": b"4444",
        "C:evil.gguf": b"55555",
        ".hidden.gguf": b"666666",
        "e\x1b[31mvil.gguf": b"7777777",
        "..\\evil.gguf": b"88888888",
    }
    with pytest.raises(UserError, match="has no GGUF files"):
        repository(NAME, hub.url)


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        ((404, "RepoNotFound"), "no repository someone/Night-GGUF .* that you may read"),
        ((401, ""), "check the name, and that HF_TOKEN"),
        ((403, "GatedRepo"), "asks for consent: give it on http://"),
        ((401, "Invalid credentials in Authorization header"), "still valid"),
        ((403, "Access to this resource is disabled."), "was disabled"),
        ((403, ""), "refuses access"),
        ((429, ""), "too many requests"),
        ((500, ""), "status 500"),
    ],
)
def test_a_refusal_is_one_sentence(hub: Hub, refusal: tuple[int, str], sentence: str) -> None:
    hub.refusal = refusal
    with pytest.raises(UserError, match=sentence) as error:
        repository(NAME, hub.url)
    assert "\n" not in str(error.value)


def test_a_page_that_is_no_hub_is_one_sentence(hub: Hub) -> None:
    for hub.page in ("<html>Welcome to the hotel</html>", "[]", "{}", '{"id": 3, "siblings": 4}'):
        with pytest.raises(UserError, match=r"check HF_ENDPOINT|has no GGUF"):
            repository(NAME, hub.url)


FILE = {"rfilename": "a.Q4_K_M.gguf", "size": 9, "blobId": "0" * 40}
LFS = {"size": 9, "sha256": "0" * 64, "pointerSize": 1}


@pytest.mark.parametrize(
    "facts",
    [
        *({**FILE, "size": size} for size in (-1, 2**63, 1.5, "9", [9])),
        *({**FILE, "blobId": name} for name in ("../../x", 5, "\x1b[2J", "0" * 39)),
        *({**FILE, "lfs": {**LFS, "sha256": name}} for name in ("../" * 21 + "x", 5, "g" * 64)),
        *({**FILE, "lfs": {**LFS, "size": size}} for size in (-9, "9", None)),
        {**FILE, "lfs": 5},
        *({**FILE, "rfilename": name} for name in (5, None)),
        5,
    ],
    ids=str,
)
def test_facts_of_a_file_that_cannot_be_are_one_sentence(hub: Hub, facts: object) -> None:
    hub.page = json.dumps({"id": NAME, "sha": COMMIT, "siblings": [facts]})
    with pytest.raises(UserError) as error:
        repository(NAME, hub.url)
    assert "does not answer as the hub does" in str(error.value) and str(error.value).isprintable()


def test_a_commit_is_no_path(hub: Hub) -> None:
    hub.page = json.dumps({"id": NAME, "sha": "../../other", "siblings": [FILE]})
    with pytest.raises(UserError, match="does not answer as the hub does"):
        repository(NAME, hub.url)


@pytest.mark.parametrize(
    ("name", "endpoint", "sentence"),
    [
        (NAME, "http://127.0.0.1:9", "cannot be reached"),
        (NAME, "nonsense", "HF_ENDPOINT is nonsense"),
        (NAME, "http://[", "HF_ENDPOINT"),
        (NAME, "http://127.0.0.1:99999", "HF_ENDPOINT"),
        ("a/b/c", None, "expected a repository's name"),
        ("", None, "expected a repository's name"),
        ("../..", None, "expected a repository's name"),
        ("\x1b[31m", None, "expected a repository's name"),
    ],
)
def test_a_wrong_address_is_one_sentence(name: str, endpoint: str | None, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        repository(name, endpoint or "http://127.0.0.1:9")
    assert str(error.value).isprintable()


def test_a_proxy_that_is_set_wrongly_is_one_sentence(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.utils import close_session

    close_session()
    try:
        for proxy in ("nonsense://x", "socks5://127.0.0.1:9"):
            with monkeypatch.context() as patch:
                patch.setenv("ALL_PROXY", proxy)
                patch.setenv("NO_PROXY", "")
                with pytest.raises(UserError, match=r"proxy|cannot be reached"):
                    repository(NAME, hub.url)
    finally:
        close_session()


def test_a_token_opens_a_private_repository_and_stays_at_home(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    with pytest.raises(UserError, match="set HF_TOKEN"):
        pull(hub, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(hub, tmp_path)
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}
    assert hub.sent and not hub.told_tokens, "the content's host is not the hub"


@pytest.mark.parametrize(
    "token", ["hf_secreté", "hf_secret\nX-Other: 1", "hf secret", "hf_secret\x01"]
)
def test_what_is_no_token_is_told_and_not_sent(
    token: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match="HF_TOKEN has characters that no token has") as error:
        pull(hub, tmp_path)
    assert "secret" not in str(error.value) and not hub.sent


def test_a_full_disk_is_told_before(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with pytest.raises(UserError, match=r"1.0 MiB free, .* takes .*pull a smaller"):
        pull(hub, tmp_path)
    assert not hub.sent


def test_a_folder_that_cannot_be_written_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("no folder")
    with pytest.raises(UserError, match="cannot be written"):
        pull(hub, tmp_path / "models")


def test_a_second_pull_of_the_same_file_is_refused(hub: Hub, tmp_path: Path) -> None:
    repo: Repository = repository(NAME, hub.url)
    offer = choose(repo, "", None)

    def again(done: int) -> None:
        with pytest.raises(UserError, match="is being pulled already"):
            download(repo, offer, tmp_path, lambda done: None)

    download(repo, offer, tmp_path, again)
    assert files(tmp_path) == {"night.Q4_K_M.gguf": CONTENT}
