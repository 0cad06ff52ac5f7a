"""A base model made from nothing but the run's own text: a small BERT and its WordPiece tokenizer."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from minerkit.runtime import Family, cache_folder
from minerkit.storage import atomic_folder

__all__ = ["scratch_folder"]

LAYERS, WIDTH, HEADS, LENGTH, VOCABULARY = 2, 128, 1, 256, 30_000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
#: What _match lays down: how far apart the two texts are, and scores before a softmax. With a larger FIRST
#: the untrained model ranks by shared words already, or against them; with a smaller one it learns slowly.
SIDE, SAME, ACROSS, FIRST = 3.0, 20.0, 4.0, 1.5
#: Of all that shapes the model; a change makes other folders.
VERSION = f"1 {LAYERS} {WIDTH} {HEADS} {LENGTH} {VOCABULARY} {SIDE} {SAME} {ACROSS} {FIRST}"


def scratch_folder(texts: pl.Series, family: Family, seed: int) -> Path:
    """Make a small BERT that has read nothing, unless the cache holds it.

    Args:
        texts: The texts its tokenizer is made from; those of the dev split alone should not be among them.
        family: The kind of model.
        seed: Seed of its weights; the tokenizer does not depend on it.

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
            with atomic_folder(folder) as made:
                _save(_tokenizer(texts), family, seed, made)
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
        hidden_dropout_prob=0.0,  # dropout is meant for long training, and blurs what _match lays down
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if family == "cross_encoder":
            model = BertForSequenceClassification(config)
            _match(model)
        else:
            model = BertModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if family == "sentence_transformer":
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        body = Transformer(str(folder))
        pooled = SentenceTransformer(modules=[body, Pooling(WIDTH, "mean")], device="cpu")
        shutil.rmtree(folder)
        pooled.save_pretrained(str(folder), create_model_card=False)


def _match(model: Any) -> None:
    """Give a BERT the habit of looking up each token in the other text.

    A cross-encoder with random weights learns next to nothing from a few thousand rows: that it pays to
    compare the two texts is more than they can teach. So the first layer starts as a matcher of equal tokens,
    and the second as the count of those that the first text shares. Which words matter, and that a shared
    word speaks for a pair at all, is left to training.

    That attention learns from less data when it starts as a likeness of what training would make of it is
    from Trockman and Kolter, "Mimetic Initialization of Self-Attention Layers" (ICML 2023, arXiv:2305.09828).
    There W_Q W_K^T starts near a multiple of the identity, as here, and W_V W_O near a negative one; here
    the values of the first layer carry one flag and nothing else.

    Args:
        model: A BertForSequenceClassification of two layers with one attention head each, changed in place.
    """
    import torch

    # Two coordinates are kept free of words: which text a token is in, and whether the other text has it too.
    side, found = WIDTH - 2, WIDTH - 1
    words = torch.eye(WIDTH)
    words[[side, found]] = 0
    inputs, (first, second) = model.bert.embeddings, model.bert.encoder.layer
    with torch.no_grad():
        # Words are large beside positions, so that a token is much the same wherever it stands.
        inputs.word_embeddings.weight.normal_().mul_(words.sum(0))
        inputs.position_embeddings.weight.mul_(words.sum(0))
        inputs.token_type_embeddings.weight.zero_()[:, side] = torch.tensor([SIDE, -SIDE])

        # A token attends to its equal in the other text (SAME + ACROSS), or else to itself (SAME - ACROSS).
        look = first.attention.self
        scale = WIDTH**0.5  # what attention divides by
        look.query.weight += words * (SAME * scale / WIDTH) ** 0.5
        look.key.weight += words * (SAME * scale / WIDTH) ** 0.5
        look.query.weight[side, side] = -((ACROSS * scale) ** 0.5) / SIDE
        look.key.weight[side, side] = (ACROSS * scale) ** 0.5 / SIDE
        look.value.weight[side, side] = 1
        first.attention.output.dense.weight[found, side] = -1

        # Every token, so [CLS] too, gathers from the first text: the mean of its flags is the share found.
        gather = second.attention.self
        gather.query.bias[side] = FIRST * scale / SIDE
        gather.key.weight[side, side] = 1
        gather.value.weight += torch.eye(WIDTH)
        second.attention.output.dense.weight += torch.eye(WIDTH)

        # The head is larger than is usual, to learn within some hundred steps. It would read the count
        # by chance, with either sign: it starts blind to it.
        model.classifier.weight.normal_(std=WIDTH**-0.5)
        model.bert.pooler.dense.weight.normal_(std=WIDTH**-0.5)[:, found] = 0


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
    # The trainer numbers the characters inside of words (##a, ##b, ...) in the order of a hash map, another
    # in every process, and decides ties between merges by these numbers. Given as special tokens they are
    # numbered here; the tokenizer that is used gets the vocabulary alone.
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
