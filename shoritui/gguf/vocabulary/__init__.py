"""The vocabulary of a model: of a folder, whichever kind it has, and as a GGUF states it.

tokenizer.model ──▶ sentencepiece ─┐
tokenizer.json ───▶ bpe ───────────┼──▶ gguf_vocabulary: the metadata of a GGUF
vocabulary.gguf ──▶ kept ──────────┘
"""

from shoritui.gguf.vocabulary.bpe import BpeVocabulary
from shoritui.gguf.vocabulary.kept import KeptVocabulary
from shoritui.gguf.vocabulary.of_folder import (
    Vocabulary,
    gguf_vocabulary,
    vocabulary_of_folder,
)
from shoritui.gguf.vocabulary.sentencepiece import SentencePieceVocabulary

__all__ = [
    "BpeVocabulary",
    "KeptVocabulary",
    "SentencePieceVocabulary",
    "Vocabulary",
    "gguf_vocabulary",
    "vocabulary_of_folder",
]
