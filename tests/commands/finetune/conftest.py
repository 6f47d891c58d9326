"""The trained adapters that the export's tests share."""

from tests.finetune.export.conftest import home, one_thread, tiny, trained

__all__ = ["home", "one_thread", "tiny", "trained"]
