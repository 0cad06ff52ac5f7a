"""A static encoder trained on the run's own pairs: no download, any language, about a minute on two cores."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from minerkit.errors import EncoderError
from minerkit.runtime import cache_folder
from minerkit.storage import atomic_folder

__all__ = ["trained_folder"]

DIMENSIONS, MATRYOSHKA = 1024, [1024, 128]
VOCABULARY, BATCH, LEARNING_RATE, SEED = 30_000, 2048, 0.1, 12
#: Small corpora are seen more often, so that each run has enough steps to learn from.
MIN_STEPS, MAX_EPOCHS = 40, 10
VERSION = (
    f"static-3 {DIMENSIONS} {MATRYOSHKA} {VOCABULARY} {BATCH} {LEARNING_RATE} {SEED} {MIN_STEPS} {MAX_EPOCHS}"
)


def trained_folder(pairs: pl.DataFrame, texts: pl.Series, progress: Callable[[int], object] = id) -> Path:
    """Train a StaticEmbedding model on query-positive pairs, unless the cache holds it.

    Multiple negatives ranking loss (Henderson et al. 2017) at several output sizes at once (Kusupati et
    al. 2022, Matryoshka Representation Learning), from random weights.

    Args:
        pairs: query, positive: the train pairs.
        texts: All texts of the run, from which the vocabulary is made.
        progress: Called with the number of pairs done, each time some are.

    Returns:
        The folder of the trained sentence-transformers model.

    Raises:
        EncoderError: There are too few pairs to train on.
    """
    if len(pairs) < 100:
        raise EncoderError(
            f"encoder.model=static: {len(pairs)} train pairs are too few; use encoder.model=lsa"
        )
    digest = hashlib.blake2b(VERSION.encode(), digest_size=16)
    for column in (pairs["query"], pairs["positive"], texts):
        for text in column:
            digest.update(text.encode() + b"\0")
    folder = cache_folder() / "models" / f"static-{digest.hexdigest()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with atomic_folder(folder) as made, tempfile.TemporaryDirectory() as place:
                model = _train(pairs, texts, progress, place)
                model.save_pretrained(str(made), create_model_card=False)
        else:
            progress(len(pairs))
    return folder


def _tokenizer(texts: pl.Series) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    # BPE, not WordPiece, whose trainer gives another vocabulary each time; and Chinese is not split into
    # characters first, so that its frequent words become tokens.
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=False)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, min_frequency=2, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator(texts.to_list(), trainer)
    return tokenizer


def _rarity(tokenizer: Any, texts: pl.Series) -> Any:
    """Weigh tokens by inverse document frequency, with a mean of 1."""
    import numpy as np
    import torch

    counts = np.zeros(tokenizer.get_vocab_size())
    for start in range(0, len(texts), 10_000):
        for encoding in tokenizer.encode_batch_fast(texts.slice(start, 10_000).to_list()):
            counts[list(set(encoding.ids))] += 1
    idf = np.log((1 + len(texts)) / (1 + counts)) + 1
    return torch.from_numpy((idf / idf.mean()).astype(np.float32))


def _train(pairs: pl.DataFrame, texts: pl.Series, progress: Callable[[int], object], place: str) -> Any:
    import datasets
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from transformers import PrinterCallback, TrainerCallback, set_seed

    class Report(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(round(len(pairs) / state.max_steps))

    set_seed(SEED)
    tokenizer = _tokenizer(texts)
    module = StaticEmbedding(tokenizer, embedding_dim=DIMENSIONS)
    # Rare tokens start out longer, so that training begins from TF-IDF (randomly projected), not from noise.
    module.embedding.weight.data *= _rarity(tokenizer, texts)[:, None]
    model = SentenceTransformer(modules=[module], device="cpu")
    batch = min(BATCH, max(16, len(pairs) // 8))
    epochs = min(MAX_EPOCHS, max(1, -(-MIN_STEPS * batch // len(pairs))))
    arguments = SentenceTransformerTrainingArguments(
        output_dir=place,
        num_train_epochs=epochs,
        per_device_train_batch_size=batch,
        learning_rate=LEARNING_RATE,
        warmup_steps=0.1,
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        seed=SEED,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
    )
    data = datasets.Dataset.from_dict(
        {"query": pairs["query"].to_list(), "positive": pairs["positive"].to_list()}
    )
    loss = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model), matryoshka_dims=MATRYOSHKA)
    model.model_card_data.widget = [{}]  # no card is written, so no examples are looked for
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=data, loss=loss, callbacks=[Report()]
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, where only results go
    trainer.train()
    return model
