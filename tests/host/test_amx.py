"""llama.cpp's code for AMX, which some compilers break, is not used."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from shoritui.host import amx


def llama_cpp(info: bytes) -> SimpleNamespace:
    def default() -> SimpleNamespace:
        return SimpleNamespace(use_extra_bufts=True)

    default.argtypes = []  # type: ignore[attr-defined]
    return SimpleNamespace(llama_model_default_params=default, llama_print_system_info=lambda: info)


@pytest.mark.parametrize(
    ("cpu", "info", "used"),
    [
        ("flags: avx2 amx_tile amx_int8", b"AVX2 = 1 | AMX_INT8 = 1 |", False),
        ("flags: avx2 amx_tile amx_int8", b"AVX2 = 1 | REPACK = 1 |", True),
        ("flags: avx2", b"AVX2 = 1 | AMX_INT8 = 1 |", True),
    ],
)
def test_only_where_it_would_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str, info: bytes, used: bool
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(amx, "_CPU", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(cpu)
    library = amx.without_amx(amx.without_amx(llama_cpp(info)))
    assert library.llama_model_default_params().use_extra_bufts is used
    assert library.llama_model_default_params.argtypes == []
