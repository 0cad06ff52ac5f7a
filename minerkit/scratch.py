"""A base model made from nothing but the run's own text: a small BERT, with a WordPiece tokenizer."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from minerkit.cache import cache_folder
from minerkit.recipe import Family

__all__ = ["scratch_folder"]

LAYERS, WIDTH, HEADS, LENGTH, VOCABULARY = 2, 128, 2, 256, 30_000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VERSION = f"scratch-1 {LAYERS} {WIDTH} {HEADS} {LENGTH} {VOCABULARY}"


def scratch_folder(texts: pl.Series, family: Family, seed: int) -> Path:
    """Make a small BERT with random weights, unless the cache holds it.

    Args:
        texts: The texts its tokenizer is made from.
        family: The kind of model.
        seed: Seed of its weights.

    Returns:
        The folder of a CrossEncoder, or of a SentenceTransformer that takes the mean of its tokens.
    """
    digest = hashlib.blake2b(f"{VERSION} {family} {seed}".encode(), digest_size=16)
    for text in texts:
        digest.update(text.encode() + b"\0")
    folder = cache_folder() / "models" / f"scratch-{digest.hexdigest()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as place:
                made = Path(place) / "model"
                _save(_tokenizer(texts), family, seed, made)
                shutil.move(made, folder)
    return folder


def _save(tokenizer: Any, family: Family, seed: int, folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=LAYERS,
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        num_labels=1,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        maker = BertForSequenceClassification if family == "cross_encoder" else BertModel
        model = maker(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if family == "sentence_transformer":
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        body = Transformer(str(folder))
        pooled = SentenceTransformer(modules=[body, Pooling(WIDTH, "mean")], device="cpu")
        shutil.rmtree(folder)
        pooled.save_pretrained(str(folder), create_model_card=False)


def _tokenizer(texts: pl.Series) -> Any:
    """Train a WordPiece tokenizer that comes out the same every time."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    def empty(vocabulary: dict[str, int]) -> Any:
        made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        made.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True)]
        )
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return made

    learner = empty({})
    # The trainer numbers the characters inside of words (##a, ##b, ...) in the order of a hash map, which
    # differs from process to process, and decides ties between merges by these numbers. Given as special
    # tokens they are numbered here; the tokenizer that is used gets the vocabulary alone.
    cut = learner.pre_tokenizer.pre_tokenize_str
    words = {word for text in texts for word, _ in cut(learner.normalizer.normalize_str(text))}
    inner = [f"##{character}" for character in sorted({c for word in words for c in word[1:]})]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, min_frequency=2, special_tokens=SPECIAL + inner, show_progress=False
    )
    learner.train_from_iterator(texts.to_list(), trainer)
    tokenizer = empty(learner.get_vocab())
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, SPECIAL.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LENGTH,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{token[1:-1].lower()}_token": token for token in SPECIAL},
    )
