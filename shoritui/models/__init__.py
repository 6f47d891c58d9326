"""Models on disk: which ones are on this machine, what they are, and downloading another.

Downloads are in `hub` and `download`, which import huggingface_hub: only who downloads pays that.
"""

from shoritui.models.catalogue import (
    Description,
    Kind,
    Model,
    Models,
    describe,
    describe_file,
    found_models,
    model_file,
    size_on_disk,
)
from shoritui.models.storyteller import NAME as STORYTELLER
from shoritui.models.storyteller import (
    better,
    making,
    shipped_model,
    shipped_path,
    storyteller_path,
)

__all__ = [
    "STORYTELLER",
    "Description",
    "Kind",
    "Model",
    "Models",
    "better",
    "describe",
    "describe_file",
    "found_models",
    "making",
    "model_file",
    "shipped_model",
    "shipped_path",
    "size_on_disk",
    "storyteller_path",
]
