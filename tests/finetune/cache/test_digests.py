from __future__ import annotations

import os
from pathlib import Path

from shoritui.finetune.cache.digests import digest_of, digests_of, fingerprint_of


def test_a_file_is_read_again_once_it_was_touched(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    before = digests_of([file])[file]
    assert before == digest_of(file) == digests_of([file])[file]
    about = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    assert digests_of([file])[file] == digest_of(file) != before


def test_a_torn_memory_of_digests_is_none(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    expected = digests_of([file])
    [memory] = home.rglob("digests.json")
    for text in ("{", "[]", f'{{"{file}": [1, 2]}}', f'{{"{file}": 3}}'):
        memory.write_text(text)
        assert digests_of([file]) == expected
    another = memory.read_text().replace(expected[file], "0" * len(expected[file]))
    memory.write_text(another)
    assert digests_of([file]) == expected


def test_a_base_is_its_weights_and_config_wherever_it_lies(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")
    one, two = folders
    assert fingerprint_of(one) == fingerprint_of(two)
    (two / "README.md").write_text("more")
    (two / "consolidated.safetensors").write_bytes(b"again")
    assert fingerprint_of(one) == fingerprint_of(two)
    (two / "config.json").write_text('{"rope_theta": 1e6}')
    assert fingerprint_of(one) != fingerprint_of(two)
